"""The models that a worker uses: read once, and remembered."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from leadline.core.models import LoadedVersion, Version
from leadline.foreign_text import shown
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.model_files import Mark, ModelFiles
from leadline.learning.store import LOOK_EVERY_S, ModelStore, StoreAwayError
from leadline.settings import ModelSettings, SettingsError

_Key = tuple[str, str]
"""A model, and a version of it."""
_T = TypeVar("_T", bound=Version)
_MOST_CHARS = 500
"""Of a reason: dead letters carry it."""
_MOST_REFUSED = 10_000
"""Attempts that are remembered: each name of a version that a command says makes one."""
_log = structlog.get_logger(__name__)


class CachedModels:
    """The `leadline.core.models.Models` of the files below ``root``. What was read stays: a version never changes.

    ``store``: where ``root`` holds copies, a version is fetched from there when it is needed; what the store does not give while it is away
    is asked for again. What cannot be used is logged once. Settings are read again when their file has changed. A version is read again
    when it is rolled out again, to score with; when its files have changed, to describe it.
    """

    def __init__(self, root: Path, store: ModelStore | None = None) -> None:
        self._files = ModelFiles(root)
        self._store = store
        self._waiting: dict[_Key, float] = {}
        self._fetched = 0
        self._described: dict[_Key, Version] = {}
        self._loaded: dict[_Key, LoadedVersion] = {}
        self._refused: set[tuple[str, str, str, int | None]] = set()
        self._broken: dict[str, tuple[Mark | None, str]] = {}
        self._broken_versions: dict[_Key, str] = {}
        self._reading = threading.Lock()

    def names(self) -> list[str]:
        """As `ModelFiles.names`, and the models whose settings were read."""
        return sorted({*self._files.names(), *self._files.known})

    def settings(self, model: str) -> ModelSettings | None:
        """The settings of a model; None where there is no such model, and where they cannot be read."""
        known = self._files.known.get(model)
        return self._settings(model) if known is None else known

    def why_unusable(self, model: str, version: str | None = None) -> str | None:
        """Why a model that is there, or a version of it, was found not to be usable; None where nothing is known against it."""
        if version is not None and (model, version) in self._broken_versions:
            return self._broken_versions[model, version]
        return self._broken[model][1] if model in self._broken else None

    def broken(self) -> dict[str, str]:
        """Each model whose settings cannot be read, and each `model version` that was asked for and cannot be used, with the reason."""
        for model in self.names():
            self.settings(model)
        models = {model: why for model, (_, why) in list(self._broken.items())}
        return models | {f"{model} {version}": why for (model, version), why in list(self._broken_versions.items())}

    def in_use(self) -> list[str]:
        """The versions that are loaded, as `model version`."""
        return sorted(f"{model} {version}" for model, version in list(self._loaded))

    def version(self, model: str, version: str) -> Version | None:
        """The description of a version; None where it cannot be used."""
        key = model, version
        known = self._loaded.get(key) or self._described.get(key)
        if known is None and self._is_there(model):
            changed_ns = self._files.changed_ns(model, version)
            known = self._read(self._files.describe, key, self._described, "this version is not used", changed_ns)
        return known

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """A version with its model; None where it cannot be used."""
        key, event = (model, version), "this rollout is not followed here; mend the version, and roll it out again"
        known = self._loaded.get(key)
        if known is None and self._is_there(model):
            known = self._read(self._files.load_survived, key, self._loaded, event, rolled_out_ms)
        return known

    def fetched(self) -> int:
        """How many versions have come by now that the store did not give while it was away."""
        return self._fetched

    def fetch_again(self, load: Callable[[], None]) -> None:
        """Ask the store again for what it did not give while it was away, which may take long; ``load`` it before `fetched` tells of it."""
        came = 0
        for key in list(self._waiting):
            if not self._has_come(key):
                break
            came += 1
        load()
        with self._reading:
            self._fetched += came

    def _has_come(self, key: _Key) -> bool:
        """Whether the store answers; what it has against a version is told to who asks for it next."""
        try:
            if self._store is not None:
                self._store.fetch(*key)
        except StoreAwayError:
            return False
        except RegistryError:
            pass
        self._waiting.pop(key, None)
        return True

    def _is_there(self, model: str) -> bool:
        """Whether versions of a model can be looked at: not while its settings cannot be read."""
        return self.settings(model) is not None or model not in self._broken

    def _settings(self, model: str) -> ModelSettings | None:
        if self._store is not None:
            self._store.look()
        mark = self._files.settings_mark(model)  # before it is read: what changes meanwhile is looked at again
        told = self._broken.get(model)
        if told is not None and told[0] == mark:
            return None
        try:
            found = self._files.settings(model)
        except SettingsError as error:
            self._broken[model] = mark, _line(error)
            _log.error("this model is not used; mend its settings", model=model, error=_line(error))
            return None
        if self._broken.pop(model, None) is not None and found is not None:
            _log.info("the settings of this model can be read again", model=model)
        return found

    def _read(
        self, read: Callable[[str, str], _T], key: _Key, known: dict[_Key, _T], event: str, attempt: int | None
    ) -> _T | None:
        """Read and remember a version, or that it cannot be used; one attempt is made once."""
        with self._reading:  # who comes second finds what the first has read
            return known.get(key) or self._read_once(read, key, known, event, attempt)

    def _read_once(
        self, read: Callable[[str, str], _T], key: _Key, known: dict[_Key, _T], event: str, attempt: int | None
    ) -> _T | None:
        if (event, *key, attempt) in self._refused or self._waiting.get(key, 0.0) > time.monotonic():
            return None
        try:
            if self._store is not None:
                self._store.fetch_soon(*key)
            found = known[key] = read(*key)
        except StoreAwayError as error:
            self._waiting[key] = time.monotonic() + LOOK_EVERY_S
            self._broken_versions[key] = _line(error)
            return None
        except (RegistryError, SettingsError) as error:
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused.add((event, *key, attempt))
            is_gone = isinstance(error, NotHereError)
            if not is_gone or known is self._loaded:  # what is only asked about need not be here
                self._broken_versions[key] = _line(error)
            (_log.warning if is_gone else _log.error)(event, model=key[0], version=key[1], error=_line(error))
            return None
        self._broken_versions.pop(key, None)
        self._fetched += self._waiting.pop(key, None) is not None
        return found


def _line(error: Exception) -> str:
    """One line that a log and a dead letter can carry, and that no terminal obeys."""
    return shown(" ".join(str(error).split()), _MOST_CHARS)
