"""What alerting knows of models and versions: read from the store when it is first asked for, and written where it has changed."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from leadline.core.processor import Store
from leadline.core.store_keys import AlertingKeys
from leadline.core.watch.confirmed import Confirmed
from leadline.core.watch.drift_incidents import Drifting
from leadline.core.watch.early import Early
from leadline.core.watch.feeds import Feed, Feeds
from leadline.core.watch.incidents import Incident
from leadline.core.watch.silences import Silences
from leadline.core.watch.waiting import Waiting
from leadline.core.windows.partials import EARLIEST
from leadline.records import identity

MOST_VERSIONS = 100
"""Versions of a model that are watched; of more, the one that was seen first is left out."""


@dataclass(slots=True)
class OfVersion:
    """All that is known of one version."""

    waiting: Waiting = field(default_factory=Waiting)
    confirmed: Confirmed = field(default_factory=Confirmed)
    early: Early = field(default_factory=Early)
    drifting: Drifting = field(default_factory=Drifting)
    open: dict[str, Incident] = field(default_factory=dict)


@dataclass(slots=True)
class OfModel:
    """All that is known of a model whatever the version. ``watermark``: the log time that all its partitions have reached.

    ``revision``: of the newest join counts.
    """

    revision: int = -1
    clock: int = EARLIEST
    watermark: int | None = None
    versions: list[str] = field(default_factory=list)
    feeds: Feeds = field(default_factory=lambda: Feeds(Feed(), Feed(), EARLIEST))
    open: dict[str, Incident] = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences)


_OF_VERSION, _OF_MODEL = TypeAdapter(OfVersion), TypeAdapter(OfModel)


class Known:
    """The state of one task, as objects; `keep` writes what has changed and forgets what was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions: dict[tuple[str, str], OfVersion] = {}
        self._models: dict[str, OfModel] = {}

    def version(self, model: str, version: str) -> OfVersion:
        held = self._versions.get((model, version))
        if held is None:
            value = self._store.get(AlertingKeys.VERSION + identity(model, version))
            held = OfVersion() if value is None else _OF_VERSION.validate_json(value)
            self._versions[model, version] = held
        return held

    def watched(self, model: str, version: str) -> OfVersion:
        """A version of which something has come: it is one of its model's from now on."""
        of = self.model(model)
        if version not in of.versions:
            of.versions = [*of.versions, version][-MOST_VERSIONS:]
        return self.version(model, version)

    def model(self, model: str) -> OfModel:
        held = self._models.get(model)
        if held is None:
            value = self._store.get(AlertingKeys.MODEL + model.encode())
            held = self._models[model] = OfModel() if value is None else _OF_MODEL.validate_json(value)
        return held

    def models(self) -> list[str]:
        """The models of which something has come."""
        held = self._store.scan(AlertingKeys.MODEL, AlertingKeys.MODEL + b"\xff" * 801)
        return [key[len(AlertingKeys.MODEL) :].decode() for key, _ in held]

    def keep(self) -> None:
        """Write what has changed, and forget what was read."""
        for version, held in self._versions.items():
            self._put(AlertingKeys.VERSION + identity(*version), _OF_VERSION.dump_json(held))
        for model, of in self._models.items():
            self._put(AlertingKeys.MODEL + model.encode(), _OF_MODEL.dump_json(of))
        self._versions, self._models = {}, {}

    def _put(self, key: bytes, value: bytes) -> None:
        if self._store.get(key) != value:
            self._store.put(key, value)
