"""What the stages know of the models: settings, and which version answers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """How one feature (or the score) was distributed in the reference.

    ``kind`` numeric or score: ``edges`` are rising inner bin edges, bin i holds edges[i-1] <= x < edges[i]; one more bin at the end
    counts missing. ``kind`` categorical: one bin a category of ``categories``, then never-seen, then missing.
    """

    name: str
    kind: str
    counts: list[int]
    edges: list[float]
    categories: list[str]


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """The data that a version was trained on, in bins, and how well it did there (metric name -> value)."""

    predictions: int
    features: list[FeatureProfile]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a version: numeric features, then categorical ones with the categories seen in training."""

    id: str
    numeric: list[str]
    categorical: list[str]
    categories: dict[str, list[str]]

    @property
    def names(self) -> list[str]:
        return [*self.numeric, *self.categorical]


class Predictor(Protocol):
    """A loaded model: a matrix (rows x features in the signature's order, float64) to one score a row."""

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class Version:
    """What a version of a model is asked and was made with, verified; the model itself is not loaded."""

    settings: ModelSettings
    version: str
    signature: Signature
    profile: ReferenceProfile | None


@dataclass(frozen=True, slots=True)
class Champion(Version):
    """The version that answers, its model loaded."""

    predictor: Predictor


class Catalog(Protocol):
    """The models that this worker knows."""

    def models(self) -> list[str]:
        """Names of the models that have settings."""
        ...

    def settings(self, model: str) -> ModelSettings | None: ...

    def champion(self, model: str) -> Champion | None:
        """The version that answers; None where no rollout names one."""
        ...

    def version(self, model: str, version: str) -> Version | None: ...
