"""The settings of a model as they are in force: those of its file, with what the table of model settings changed of them."""

from dataclasses import replace
from typing import NamedTuple

from leadline.core.models import LoadedVersion, Models, Version
from leadline.core.tables import Table
from leadline.records import LiveSettings
from leadline.settings import ModelSettings, in_force


class _Known(NamedTuple):
    """Settings in force, and what they were made of."""

    of: ModelSettings
    live: LiveSettings
    settings: ModelSettings


class LiveModels:
    """`Models` whose settings are those in force. The description of a version has them too; what is loaded to score has its file's."""

    def __init__(self, models: Models, table: Table) -> None:
        self._models = models
        self._table = table
        self._known: dict[str, _Known] = {}

    def names(self) -> list[str]:
        """As `Models.names`."""
        return self._models.names()

    def settings(self, model: str) -> ModelSettings | None:
        """As `Models.settings`, as they are in force now."""
        found = self._models.settings(model)
        return None if found is None else self._in_force(model, found)

    def why_unusable(self, model: str, version: str | None = None) -> str | None:
        """As `Models.why_unusable`."""
        return self._models.why_unusable(model, version)

    def version(self, model: str, version: str) -> Version | None:
        """As `Models.version`, with the settings in force now."""
        found = self._models.version(model, version)
        return None if found is None else replace(found, settings=self._in_force(model, found.settings))

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:
        """As `Models.loaded`."""
        return self._models.loaded(model, version, rolled_out_ms)

    def fetched(self) -> int:
        """As `Models.fetched`."""
        return self._models.fetched()

    def _in_force(self, model: str, settings: ModelSettings) -> ModelSettings:
        live = self._table.newest(model.encode())
        if not isinstance(live, LiveSettings):
            return settings
        known = self._known.get(model)
        if known is None or known.live is not live or known.of != settings:
            known = _Known(settings, live, in_force(settings, {each.key: each.value for each in live.settings}))
            self._known[model] = known
        return known.settings
