"""The alerting stage: it hands what comes of a model to the detectors of its versions, and emits what they find.

Only the version that answers has incidents: by the table of rollouts, as it was when the window became due. All is judged record by record,
so that it makes no difference how the log is cut.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from pydantic import TypeAdapter

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import AlertingKeys
from leadline.core.watch.confirmed import Confirmed, Scale
from leadline.core.watch.drift_incidents import Drifting
from leadline.core.watch.early import Early
from leadline.core.watch.feeds import Feed, Feeds, usual_silence
from leadline.core.watch.incidents import Finding, Incident, Incidents
from leadline.core.watch.waiting import Block, Waiting, Windows, counts_now, mature_counts, prefix_of
from leadline.core.watch.yardstick import Yardstick, yardstick
from leadline.core.windows.partials import EARLIEST
from leadline.records import Alert, DriftReport, JoinCounts, WindowMetrics, identity
from leadline.settings import ModelSettings

MOST_VERSIONS = 100
"""Versions of a model that are watched; of more, the one that was seen first is left out."""
MOST_TIME = 1 << 61


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
    """All that is known of a model whatever the version. ``watermark``: the log time that all its partitions have reached."""

    clock: int = EARLIEST
    watermark: int | None = None
    versions: list[str] = field(default_factory=list)
    feeds: Feeds = field(default_factory=lambda: Feeds(Feed(), Feed(), EARLIEST))
    open: dict[str, Incident] = field(default_factory=dict)


_OF_VERSION, _OF_MODEL = TypeAdapter(OfVersion), TypeAdapter(OfModel)


class Alerting(EventDriven):
    """The incidents of the models that are routed to this task."""

    def __init__(self, store: Store, models: Models, deployments: Deployments) -> None:
        self._store = store
        self._models = models
        self._deployments = deployments
        self._yards: dict[tuple[str, str], tuple[ModelSettings, Yardstick | None]] = {}
        self._windows = Windows(store)
        self._of_version: dict[tuple[str, str], OfVersion] = {}
        self._of_model: dict[str, OfModel] = {}

    def on_batch(self, batch: Batch) -> Effects:
        """What the records change, one record after the other. An alert arrives with its cause."""
        self._of_version, self._of_model = {}, {}
        steps = [
            (self._step(record, arrival_ms), arrival_ms)
            for record, arrival_ms in zip(batch.records, batch.arrival_ms.tolist(), strict=True)
        ]
        self._windows.keep()
        for version, held in self._of_version.items():
            self._keep(AlertingKeys.VERSION + identity(*version), _OF_VERSION.dump_json(held))
        for model, of in self._of_model.items():
            self._keep(AlertingKeys.MODEL + model.encode(), _OF_MODEL.dump_json(of))
        alerts = [alert for found, _ in steps for alert in found]
        arrival_ms = np.array([time for found, time in steps for _ in found], np.int64)
        return Effects([Output("alerts", records=alerts, arrival_ms=arrival_ms)] if alerts else [])

    def _keep(self, key: bytes, value: bytes) -> None:
        """Write a state where it has changed."""
        if self._store.get(key) != value:
            self._store.put(key, value)

    def _step(self, record: object, at: int) -> list[Alert]:
        if not isinstance(record, WindowMetrics | JoinCounts | DriftReport):
            return []
        settings = self._models.settings(record.model)
        if settings is None or not _is_possible(record):
            return []
        if isinstance(record, DriftReport):
            return self._drift(record, settings, at)
        if isinstance(record, JoinCounts):
            return self._counts(record, settings, at)
        return self._metrics(record, settings, at)

    # -- what comes ---------------------------------------------------------------------------------------------------

    def _drift(self, record: DriftReport, settings: ModelSettings, at: int) -> list[Alert]:
        known = self._models.version(record.model, record.model_version)
        if known is None or known.profile is None:
            return []
        watch = self._version(record.model, record.model_version)
        incidents = _incidents(record.model, record.model_version, settings, watch.open)
        if not self._answers(record.model, record.model_version, record.window_end):
            return []
        return watch.drifting.take(record, settings, incidents, at)

    def _counts(self, record: JoinCounts, settings: ModelSettings, at: int) -> list[Alert]:
        of = self._model(record.model)
        of.watermark, of.clock = record.as_of, max(of.clock, record.as_of)
        alerts = self._feeds(record, settings) if record.as_of > EARLIEST else []
        return alerts + [
            alert for version in of.versions for alert in self._advance(record.model, version, settings, at)
        ]

    def _metrics(self, record: WindowMetrics, settings: ModelSettings, at: int) -> list[Alert]:
        model, version = record.model, record.model_version
        of = self._model(model)
        of.clock = max(of.clock, record.as_of)
        yard = self._yard(model, version, settings)
        if yard is None:
            return []
        if version not in of.versions:
            of.versions = [*of.versions, version][-MOST_VERSIONS:]
        watch = self._version(model, version)
        if watch.waiting.judged_to is not None and record.window_start < watch.waiting.judged_to:
            return self._corrected(record, watch, Scale(yard, settings), at)
        is_ready, alerts = watch.waiting.take(self._windows, prefix_of(model, version), record), list[Alert]()
        if record.segment == "*" and self._answers(model, version, record.window_end):
            incidents = _incidents(model, version, settings, watch.open)
            drift = watch.drifting.evidence(incidents)
            alerts += watch.early.look(record, Scale(yard, settings), incidents, drift, at)
        return alerts + (self._advance(model, version, settings, at) if is_ready else [])

    def _feeds(self, counts: JoinCounts, settings: ModelSettings) -> list[Alert]:
        """What has stopped, or comes again. Only counts tell: a window that comes before them knows of no later record."""
        model, of = counts.model, self._model(counts.model)
        champion = self._deployments.champion(model)
        version = champion or (of.versions[-1] if of.versions else "")
        known = self._models.version(model, version)
        incidents = _incidents(model, version, settings, of.open)
        alerts = of.feeds.take(counts, incidents)
        if self._yard(model, version, settings) is None:
            return alerts
        return alerts + of.feeds.judge(settings, usual_silence(known.profile if known is not None else None), incidents)

    # -- what is due --------------------------------------------------------------------------------------------------

    def _advance(self, model: str, version: str, settings: ModelSettings, at: int) -> list[Alert]:
        """Judge the blocks that are due, the oldest first."""
        of, watch, prefix = self._model(model), self._version(model, version), prefix_of(model, version)
        if not watch.waiting.starts:
            return []
        take = partial(watch.waiting.next_block, self._windows, prefix, settings, of.watermark, of.clock)
        return [alert for block in iter(take, None) for alert in self._judge(model, version, settings, block, at)]

    def _judge(self, model: str, version: str, settings: ModelSettings, block: Block, at: int) -> list[Alert]:
        watch, yard = self._version(model, version), self._yard(model, version, settings)
        assert yard is not None
        incidents, scale = _incidents(model, version, settings, watch.open), Scale(yard, settings)
        if not self._answers(model, version, block.start + scale.size + settings.horizon):
            watch.confirmed, watch.early, watch.drifting = Confirmed(), Early(), Drifting()
            return _give_up(block, incidents, at)
        alerts = watch.confirmed.judge(block, scale, incidents, watch.drifting.evidence(incidents), at)
        final = block.start - (settings.grace or 0)
        if yard.metric != "auc" and settings.grace is not None:
            watch.confirmed.performance.forget(yard, final)
        return alerts + watch.early.confirm(block, scale, incidents, at)

    def _corrected(self, record: WindowMetrics, watch: OfVersion, scale: Scale, at: int) -> list[Alert]:
        """A judged window, as it is now known: it may take an incident back, and opens none."""
        if mature_counts(record) is None or not watch.confirmed.performance.recent:
            return []
        size = scale.size
        start = record.window_start // size * size
        block = Block(start, start + size, [])
        if not watch.confirmed.corrected(scale, block, record.window_start, record.segment, counts_now(record)):
            return []
        found = Finding("performance", start, block.end, "corrected labels do not confirm it", {}, ["*"])
        incidents = _incidents(record.model, record.model_version, scale.settings, watch.open)
        return incidents.close("quality", "withdrawn", found, at)

    # -- who is watched, by what --------------------------------------------------------------------------------------

    def _answers(self, model: str, version: str, before_ms: int) -> bool:
        """Whether a version answered just before a time; any does where no rollout tells."""
        return self._deployments.champion(model, before_ms=before_ms) in (None, version)

    def _yard(self, model: str, version: str, settings: ModelSettings) -> Yardstick | None:
        """What a version is judged by; None where it has no reference. It changes with the settings alone."""
        before, yard = self._yards.get((model, version), (None, None))
        if before is not settings:
            known = self._models.version(model, version)
            yard = yardstick(None if known is None else known.profile, settings)
            if known is not None:
                self._yards[model, version] = settings, yard
        return yard

    def _version(self, model: str, version: str) -> OfVersion:
        held = self._of_version.get((model, version))
        if held is None:
            value = self._store.get(AlertingKeys.VERSION + identity(model, version))
            held = OfVersion() if value is None else _OF_VERSION.validate_json(value)
            self._of_version[model, version] = held
        return held

    def _model(self, model: str) -> OfModel:
        held = self._of_model.get(model)
        if held is None:
            value = self._store.get(AlertingKeys.MODEL + model.encode())
            held = self._of_model[model] = OfModel() if value is None else _OF_MODEL.validate_json(value)
        return held


def _is_possible(record: WindowMetrics | JoinCounts | DriftReport) -> bool:
    """Whether its times are such that windows around them have times too."""
    times = [record.as_of] if isinstance(record, JoinCounts) else [record.as_of, record.window_start, record.window_end]
    return all(abs(time) < MOST_TIME for time in times)


def _incidents(model: str, version: str, settings: ModelSettings, held: dict[str, Incident]) -> Incidents:
    return Incidents(model, version, settings.runbook, held)


def _give_up(block: Block, incidents: Incidents, at: int) -> list[Alert]:
    """Another version answers: what is open of this one is over."""
    alerts: list[Alert] = []
    for cause in sorted(incidents.held):
        kind = incidents.held[cause].kind
        found = Finding(kind, block.start, block.end, "another version answers now", {})
        alerts += incidents.close(cause, "resolved", found, at)
    return alerts
