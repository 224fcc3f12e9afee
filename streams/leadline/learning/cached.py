"""The models that a worker uses: read once, and remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from leadline.core.models import LoadedVersion, Version
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.settings import ModelSettings

_Key = tuple[str, str]
"""A model, and a version of it."""
_T = TypeVar("_T", bound=Version)
_log = structlog.get_logger(__name__)


class CachedModels:
    """The `leadline.core.models.Models` of the files below ``root``. A version never changes, so one that was read stays.

    One that cannot be used is logged once. It is read again when it is rolled out again, to score with; when its files have changed, to
    describe it. Both raise SettingsError where the settings of the model are broken.
    """

    def __init__(self, root: Path) -> None:
        self._files = ModelFiles(root)
        self._described: dict[_Key, Version] = {}
        self._loaded: dict[_Key, LoadedVersion] = {}
        self._refused: set[tuple[str, str, str, int | None]] = set()

    def names(self) -> list[str]:
        """As `ModelFiles.names`."""
        return self._files.names()

    def settings(self, model: str) -> ModelSettings | None:
        """As `ModelFiles.settings`."""
        return self._files.settings(model)

    def version(self, model: str, version: str) -> Version | None:
        """The description of a version; None where it cannot be used."""
        key = model, version
        known = self._loaded.get(key) or self._described.get(key)
        if known is None:
            changed_ns = self._files.changed_ns(model, version)
            known = self._read(self._files.describe, key, self._described, "this version is not used", changed_ns)
        return known

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """A version with its model; None where it cannot be used."""
        key, event = (model, version), "this rollout is not followed here; mend the version, and roll it out again"
        return self._loaded.get(key) or self._read(self._files.load, key, self._loaded, event, rolled_out_ms)

    def _read(
        self, read: Callable[[str, str], _T], key: _Key, known: dict[_Key, _T], event: str, attempt: int | None
    ) -> _T | None:
        """Read and remember a version, or that it cannot be used; one attempt is made once."""
        if (event, *key, attempt) in self._refused:
            return None
        try:
            found = known[key] = read(*key)
        except RegistryError as error:
            self._refused.add((event, *key, attempt))
            log = _log.warning if isinstance(error, NotHereError) else _log.error
            log(event, model=key[0], version=key[1], error=str(error))
            return None
        return found
