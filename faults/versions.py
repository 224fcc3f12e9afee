"""The versions of the model that is asked under faults: trained, added, and made to fail."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from faults.broken import Broken
from faults.traffic import CATEGORIES, GRACE_MS, HORIZON_MS, WINDOW_MS
from faults.trainers import SETTINGS
from leadline.learning.add import add_version
from leadline.learning.limits import MODEL
from leadline.learning.train import train
from leadline.settings import ModelSettings

_MODEL = {
    "name": "m", "numeric": ["amount", "wind"], "categorical": ["kind"], "segments": ["kind"], "horizon": HORIZON_MS, "window": WINDOW_MS,
    "grace": GRACE_MS, "trusted": ["faults.broken.Broken"], "categories": {"kind": CATEGORIES},
    "lookups": {"weather": {"key": "station", "features": ["wind"]}}, "training": SETTINGS,
}  # fmt: skip


class Versions:
    """Those of model ``m`` below ``folder``. ``kinds``: how each numbers its categories; ``broken``: which fail on some requests."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.kinds: dict[str, list[str]] = {}
        self.broken: set[str] = set()
        self._rng = rng
        self._estimators: dict[str, Any] = {}

    def add(self, name: str) -> None:
        """Train and add a version, called v and a number; each number gives another one."""
        if name not in self._estimators:
            self._add(name, 10.0, None)

    def add_broken(self, name: str) -> None:
        """Train and add a version that passes on its reference, and fails on some of the requests."""
        self._add(name, 0.5, Broken)
        self.broken.add(name)

    def _add(self, name: str, most: float, wrapped: type[Broken] | None) -> None:
        """A version whose reference has amounts up to so much, either way."""
        data, settings = _reference(int(name[1:]), most), ModelSettings.model_validate(_MODEL)
        estimator = train(data, settings, "outcome")
        if wrapped is not None:
            estimator = wrapped(estimator).fit(np.zeros((1, 3)), [0])
        self._estimators[name] = estimator
        added = add_version(self.folder, settings, name, estimator, data, "outcome")
        self.kinds[name] = added.signature.categories["kind"]

    def scores(self, name: str, features: list[list[float]]) -> list[float]:
        """What scikit-learn itself says for rows of features."""
        found: list[float] = self._estimators[name].predict_proba(np.array(features))[:, 1].tolist()
        return found

    def tamper(self, name: str) -> None:
        """Flip a byte in the model file of a version, or cut it."""
        path = self.folder / "m" / name / MODEL
        data = bytearray(path.read_bytes())
        at = self._rng.randrange(len(data))
        data[at] ^= 1 + self._rng.randrange(255)
        path.write_bytes(self._rng.choice([bytes(data), bytes(data[:at])]))

    def break_model(self, name: str) -> None:
        """Put down the settings of a model, of which nobody can read more than the beginning."""
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "model.toml").write_text(f'name = "{name}"\nnumeric = ["amo', "utf-8")


def _reference(seed: int, most: float) -> pa.Table:
    rng = np.random.default_rng(seed)
    amount, wind = rng.normal(0, 1, 4000).clip(-most, most), rng.uniform(0, 20, 4000)
    kind = rng.choice(CATEGORIES, 4000)
    wind[rng.random(4000) < 0.1] = np.nan
    truth = amount + np.nan_to_num(wind) / 10 - 1 + rng.normal(0, 0.5, 4000) > 0
    return pa.table({"amount": amount, "wind": wind, "kind": kind, "outcome": truth.astype(float)})
