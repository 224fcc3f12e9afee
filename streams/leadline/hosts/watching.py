"""Models that a host watches at work: core knows no clock, so how long a version takes is measured here."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leadline.core.models import LoadedVersion, Models, Named, Predictor, StoppedError, Version
from leadline.settings import ModelSettings


class Watch:
    """Watches the calls of one thread, in the order in which they are made."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def taken(self) -> list[float]:
        """How long each call took since this was asked last."""
        taken, self._seconds = self._seconds, []
        return taken

    @contextmanager
    def loading(self, model: str, version: str) -> Iterator[None]:  # noqa: ARG002
        """While a version is loaded."""
        yield

    def is_stopped(self, model: str, version: str) -> bool:  # noqa: ARG002
        """Whether a version scores no more here."""
        return False

    def begins(self, model: str, version: str) -> None:
        """A version is about to score; raises StoppedError where it is not to."""

    def ends(self, model: str, version: str, seconds: float) -> None:  # noqa: ARG002
        """A version has scored, or failed."""
        self._seconds.append(seconds)


class WatchedModels:
    """`Models` whose predictors are watched."""

    def __init__(self, models: Models, watch: Watch) -> None:
        self._models, self._watch = models, watch
        self._watched: dict[tuple[str, str], tuple[LoadedVersion, LoadedVersion]] = {}

    def names(self) -> list[str]:
        """As `Models.names`."""
        return self._models.names()

    def settings(self, model: str) -> ModelSettings | None:
        """As `Models.settings`."""
        return self._models.settings(model)

    def why_unusable(self, model: str, version: str | None = None) -> str | None:
        """As `Models.why_unusable`."""
        return self._models.why_unusable(model, version)

    def version(self, model: str, version: str) -> Version | None:
        """As `Models.version`."""
        return self._models.version(model, version)

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """As `Models.loaded`; of a version that is stopped the model is not loaded."""
        if self._watch.is_stopped(model, version):
            found = self._models.version(model, version)
            if found is None:
                return None
            return LoadedVersion(found.settings, version, found.signature, found.profile, _Stopped())
        with self._watch.loading(model, version):
            loaded = self._models.loaded(model, version, rolled_out_ms)
        return None if loaded is None else self._with_watch(model, version, loaded)

    def fetched(self) -> int:
        """As `Models.fetched`."""
        return self._models.fetched()

    def _with_watch(self, model: str, version: str, loaded: LoadedVersion) -> LoadedVersion:
        known = self._watched.get((model, version))
        if known is None or known[0] is not loaded:
            watched = replace(loaded, predictor=_Watched(loaded.predictor, self._watch, model, version))
            known = self._watched[model, version] = loaded, watched
        return known[1]


class _Watched:
    def __init__(self, predictor: Predictor, watch: Watch, model: str, version: str) -> None:
        self._predictor, self._watch, self._name = predictor, watch, (model, version)

    def predict(self, matrix: NDArray[np.float64], texts: Named) -> NDArray[np.float64]:
        self._watch.begins(*self._name)
        began = time.perf_counter()
        try:
            return self._predictor.predict(matrix, texts)
        finally:
            self._watch.ends(*self._name, time.perf_counter() - began)


class _Stopped:
    def predict(self, matrix: NDArray[np.float64], texts: Named) -> NDArray[np.float64]:  # noqa: ARG002
        raise StoppedError
