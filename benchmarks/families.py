"""``scripts/bench families``: what a model of each library costs: rows a processor second, memory, and seconds until it answers.

Models are of two classes with ten numbers and a category: a hundred trees of 31 leaves, or one linear model. Each is made in one process,
and loaded in another, as a worker loads it once it was tried. Memory is what comes on top of scikit-learn and pandas.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import skops.io  # its estimators are a part of what is there before
from rich.table import Table

from leadline.learning.deciding import Sample
from leadline.learning.examine import examine
from leadline.learning.models import read_model
from leadline.learning.predictors import model_of
from leadline.learning.reference import inputs, signature_of
from leadline.settings import ModelSettings

ROWS, RUN = 10_000, 500
"""Rows at once, and requests of a run that a worker scores at once."""
_SECONDS = 0.5
_NUMBERS = [f"n{at}" for at in range(10)]
_NUMERIC = ModelSettings(name="m", numeric=_NUMBERS)
_MIXED = ModelSettings(name="m", numeric=_NUMBERS, categorical=["c"])
_COLUMNS = [
    "model", "file, KiB", "rows a CPU-second, 10,000 at once", "in runs of 500", "loaded, CPU-seconds", "memory, MiB",
]  # fmt: skip


def tables() -> list[Table]:
    """A row for each library."""
    table = Table(*_COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in MODELS.items():
            file = Path(folder) / "model"
            settings = ModelSettings(**_apart(partial(_made, make, file)))
            found = _apart(partial(_measured, file, settings))
            table.add_row(name, *[f"{found[each]:,.1f}" if each == "load" else f"{found[each]:,.0f}" for each in found])
    return [table]


def _made(make: "Make", file: Path) -> dict[str, Any]:
    """The settings of a model that is in a file now."""
    return make(*_frame(), file).model_dump()


def _frame() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=ROWS) for name in _NUMBERS})
    frame["c"] = pd.Categorical(rng.choice(list("abcdefgh"), ROWS))
    said = frame.n0 + frame.n1 * frame.n2 + (frame.c == "a") + rng.normal(size=ROWS)
    return frame, (said > 0).to_numpy().astype(int)


def _apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a copy of this process answers, so that nothing of it stays here."""
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.write(there, json.dumps(work()).encode())
        os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as answer:
        found: dict[str, Any] = json.loads(answer.read())
    os.waitpid(child, 0)
    return found


def _measured(file: Path, settings: ModelSettings) -> dict[str, float]:
    data = file.read_bytes()
    table = pa.Table.from_pandas(_frame()[0], preserve_index=False)
    signature = signature_of(table, settings)
    before, began = _resident_mb(), time.process_time()
    estimator = read_model(data, "it")
    load, memory = time.process_time() - began, _resident_mb() - before
    known = examine(data, settings, Sample(signature, inputs(table, signature)), "it")
    model, rows = model_of(estimator, settings, known.signature, known.served), inputs(table, known.signature)
    some = rows.take(np.arange(RUN))
    rates = _rate(lambda: model.predict(*rows), ROWS), _rate(lambda: model.predict(*some), RUN)
    return {"size": len(data) / 1024, "at_once": rates[0], "in_runs": rates[1], "load": load, "memory": memory}


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def _rate(score: Callable[[], Any], rows: int) -> float:
    score()
    began, count = time.process_time(), 0
    while time.process_time() - began < _SECONDS:
        score()
        count += rows
    return count / (time.process_time() - began)


def _xgboost(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from xgboost import XGBClassifier

    model = XGBClassifier(
        n_jobs=1, n_estimators=100, max_leaves=31, max_depth=0, grow_policy="lossguide", enable_categorical=True
    )
    model.fit(frame, truth).save_model(file.with_suffix(".ubj"))
    file.with_suffix(".ubj").rename(file)
    return _MIXED


def _lightgbm(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from lightgbm import LGBMClassifier

    LGBMClassifier(n_jobs=1, n_estimators=100, num_leaves=31, verbose=-1).fit(frame, truth).booster_.save_model(file)
    return _MIXED


def _onnx(model: Any, frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from skl2onnx import to_onnx

    rows = frame[_NUMBERS].to_numpy(np.float32)
    file.write_bytes(to_onnx(model.fit(rows, truth), rows[:1]).SerializeToString())
    return _NUMERIC


def _onnx_forest(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from sklearn.ensemble import RandomForestClassifier

    return _onnx(RandomForestClassifier(100, max_leaf_nodes=31, random_state=0), frame, truth, file)


def _onnx_linear(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from sklearn.linear_model import LogisticRegression

    return _onnx(LogisticRegression(), frame, truth, file)


def _skops(model: Any, frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    skops.io.dump(model.fit(frame[_NUMBERS].to_numpy(), truth), file)
    return _NUMERIC


def _boosting(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return _skops(HistGradientBoostingClassifier(max_iter=100, random_state=0), frame, truth, file)


def _forest(frame: pd.DataFrame, truth: Any, file: Path) -> ModelSettings:
    from sklearn.ensemble import RandomForestClassifier

    return _skops(RandomForestClassifier(100, max_leaf_nodes=31, random_state=0), frame, truth, file)


Make = Callable[[pd.DataFrame, Any, Path], ModelSettings]
MODELS: dict[str, Make] = {
    "XGBoost": _xgboost,
    "LightGBM": _lightgbm,
    "ONNX, random forest": _onnx_forest,
    "ONNX, logistic regression": _onnx_linear,
    "scikit-learn, HistGradientBoosting": _boosting,
    "scikit-learn, random forest": _forest,
}
