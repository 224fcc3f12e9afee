"""What there is to serve: the models that a worker knows, their versions and how each was trained; `scoring.routing` says who answers."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, Self

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

    @classmethod
    def of(cls, numeric: list[str], categorical: list[str], categories: dict[str, list[str]]) -> Self:
        """The signature of these inputs. Its id is 16 hex digits, equal for equal inputs.

        >>> Signature.of(["age"], [], {}).id
        '9966198a79d70469'
        """
        inputs = {"numeric": numeric, "categorical": categorical, "categories": categories}
        text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
        return cls(sha256(text.encode()).hexdigest()[:16], numeric, categorical, categories)

    @property
    def names(self) -> list[str]:
        return [*self.numeric, *self.categorical]


class Predictor(Protocol):
    """A loaded model: a matrix (rows x features in the signature's order, float64) to one score a row."""

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class Version:
    """The description of a version: its model's settings, what goes in, and its reference. The model itself is not loaded."""

    settings: ModelSettings
    version: str
    signature: Signature
    profile: ReferenceProfile | None


@dataclass(frozen=True, slots=True)
class LoadedVersion(Version):
    """A version with its model, ready to score."""

    predictor: Predictor


class Models(Protocol):
    """The models that a worker can use."""

    def names(self) -> list[str]:
        """The models that have settings."""
        ...

    def settings(self, model: str) -> ModelSettings | None: ...

    def version(self, model: str, version: str) -> Version | None:
        """The description of a version; None where it cannot be used here."""
        ...

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """A version to score with; None where it cannot be used here.

        A version that could not be used stays so, whatever becomes of its files, until it is rolled out at another time.
        """
        ...
