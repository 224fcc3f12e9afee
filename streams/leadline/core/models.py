"""What there is to serve: the models that a worker knows, their versions and how each was trained; `scoring.routing` says who answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from leadline.core.processor import Store
from leadline.core.reference import ReferenceProfile
from leadline.core.texts import Texts
from leadline.records import brief
from leadline.settings import ModelSettings


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


Named = Mapping[str, Texts]
"""The categories of some rows by the name of the feature, as they were named."""
NO_TEXTS: Named = {}
OwnLabels = Callable[[NDArray[np.float64], Named, NDArray[np.float64]], NDArray[np.int64]]


class StoppedError(Exception):
    """A version scores no more here, and nobody is told of each request."""


class Predictor(Protocol):
    """A loaded model: a matrix (rows x features in the signature's order, float64) to one score a row.

    ``texts``: the categories of the same rows, for a model that takes them as they were named.
    """

    def predict(self, matrix: NDArray[np.float64], texts: Named) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class Version:
    """The description of a version: its model's settings, what goes in, and its reference. The model itself is not loaded."""

    settings: ModelSettings
    version: str
    signature: Signature
    profile: ReferenceProfile | None


@dataclass(frozen=True, slots=True)
class LoadedVersion(Version):
    """A version with its model, ready to score.

    ``own_labels``: of rows and their scores, where the model says yes in another way than by a threshold of 0.5.
    ``takes_missing``: whether a missing feature is a value to the model, or for each feature whether it is. Where not, a request that lacks
    it is refused whatever the settings say.
    """

    predictor: Predictor
    own_labels: OwnLabels | None = None
    takes_missing: bool | NDArray[np.bool_] = True


class Models(Protocol):
    """The models that a worker can use."""

    def names(self) -> list[str]:
        """The models that have settings."""
        ...

    def settings(self, model: str) -> ModelSettings | None:
        """The settings of a model; None where there is no such model, and where they cannot be read (see `why_unusable`).

        Settings that were read once stay as they were.
        """
        ...

    def why_unusable(self, model: str, version: str | None = None) -> str | None:
        """Why a model that is there, or a version of it, was found not to be usable; None where nothing is known against it."""
        ...

    def version(self, model: str, version: str) -> Version | None:
        """The description of a version; None where it cannot be used here."""
        ...

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """A version to score with; None where it cannot be used here.

        A version that could not be used stays so, whatever becomes of its files, until it is rolled out at another time; one that could not
        be fetched comes later, perhaps (see `fetched`).
        """
        ...

    def fetched(self) -> int:
        """How many versions have come by now that could not be fetched before: where it grows, it is worth asking again."""
        ...


def no_settings(model: str, why: str | None) -> tuple[str, str]:
    """Reason and detail of the dead letter of a record whose model has no settings; ``why`` they cannot be read."""
    if why is not None:
        return "model-unusable", why
    return "unknown-model", f"there are no settings for {brief(model)}: add it with `leadline model add`"


class HeldModels:
    """`Models` whose settings are kept in a store: what was counted by them is counted on, whatever becomes of their file.

    ``prefix``: that of the store's keys. Settings that can be read hold, and replace those in the store.
    """

    def __init__(self, models: Models, store: Store, prefix: bytes) -> None:
        self._models = models
        self._store = store
        self._prefix = prefix
        self._known: dict[str, ModelSettings] = {}

    def names(self) -> list[str]:
        """As `Models.names`, and the models in the store."""
        held = self._store.scan(self._prefix, self._prefix + b"\xff" * 201)
        return sorted({*self._models.names(), *(key[len(self._prefix) :].decode() for key, _ in held)})

    def settings(self, model: str) -> ModelSettings | None:
        """As `Models.settings`, or else those in the store."""
        known = self._known.get(model)
        if known is None:
            known = self._models.settings(model)
            known = self._held(model) if known is None else self._keep(model, known)
        return known

    def why_unusable(self, model: str, version: str | None = None) -> str | None:
        """As `Models.why_unusable`."""
        return self._models.why_unusable(model, version)

    def version(self, model: str, version: str) -> Version | None:
        """As `Models.version`."""
        return self._models.version(model, version)

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """As `Models.loaded`."""
        return self._models.loaded(model, version, rolled_out_ms)

    def fetched(self) -> int:
        """As `Models.fetched`."""
        return self._models.fetched()

    def _keep(self, model: str, settings: ModelSettings) -> ModelSettings:
        key, value = self._prefix + model.encode(), json.dumps(settings.model_dump(), ensure_ascii=False).encode()
        if self._store.get(key) != value:
            self._store.put(key, value)
        self._known[model] = settings
        return settings

    def _held(self, model: str) -> ModelSettings | None:
        value = self._store.get(self._prefix + model.encode())
        return None if value is None else ModelSettings.model_validate(json.loads(value))
