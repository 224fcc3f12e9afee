"""One model with two versions, whose scores anybody can check."""

from dataclasses import replace

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.models import NO_TEXTS, LoadedVersion, Named, Signature
from leadline.core.windows.reference_bins import build_profile
from leadline.settings import ModelSettings

MODEL = "m"
SLOPES = {"v1": 1.0, "v2": 2.0}
"""The versions, and how steep the curve of each is."""
NOT_HERE = "v3"
"""A version that is rolled out, and that no worker can load."""
CLASSES = [0.0, 1.0]
NAMES = {"no": 0.0, "yes": 1.0}


class Score:
    """A model that anyone can check: a logistic curve."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, matrix: Floats, texts: Named = NO_TEXTS) -> Floats:  # noqa: ARG002
        scores: Floats = 1 / (1 + np.exp(-self.slope * matrix[:, 0]))
        return scores


class PretendedModels:
    """One model with two versions."""

    def __init__(self, settings: ModelSettings) -> None:
        self.known = settings
        signature = Signature("s", ["x"], [], {})
        values = np.linspace(-3, 3, 200).reshape(-1, 1)
        self.versions = {}
        for name, slope in SLOPES.items():
            profile = build_profile(signature, values, Score(slope).predict(values), {"accuracy": 0.8})
            profile = replace(profile, classes=CLASSES, class_names=list(NAMES))
            self.versions[name] = LoadedVersion(settings, name, signature, profile, Score(slope))

    def names(self) -> list[str]:
        return [MODEL]

    def settings(self, model: str) -> ModelSettings | None:
        return self.known if model == MODEL else None

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> LoadedVersion | None:
        return self.versions.get(version) if model == MODEL else None

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return self.version(model, version)

    def fetched(self) -> int:
        return 0
