"""What the topics say of one model: of each window what holds, how its labels came, what drifts, which incidents there are."""

from dataclasses import dataclass, field
from itertools import compress
from typing import NamedTuple

import pyarrow.compute as pc

from leadline.core.processor import Batch
from leadline.core.windows.keys import WindowKey
from leadline.core.windows.latest import keep
from leadline.records import Alert, DriftReport, JoinCounts, Record, WindowMetrics, WindowPartial
from leadline.settings import ModelSettings

_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""Times of the years 1 to 9999."""


@dataclass(slots=True)
class Incident:
    """The first record of an incident that is there, and the newest."""

    first: Alert
    newest: Alert


class Question(NamedTuple):
    """What a drift report is about."""

    version: str
    feature: str
    finding: str
    start: int


@dataclass(slots=True)
class Collected:
    """Of one model and segment.

    ``delays``: of the newest labeled predictions, by request and version; None where the outcome was taken back, or is assumed.
    ``clock``: the newest time of the log. ``unusable``: records with times that cannot be.
    ``has_partials``: whether outcomes by score may be read.
    """

    settings: ModelSettings
    segment: str
    clock: int = _FIRST
    windows: dict[WindowKey, WindowMetrics] = field(default_factory=dict)
    delays: dict[tuple[bytes, str], int | None] = field(default_factory=dict)
    drift: dict[Question, DriftReport] = field(default_factory=dict)
    partials: dict[tuple[WindowKey, int], WindowPartial] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    unusable: int = 0
    has_partials: bool = True

    def take(self, record: Record) -> None:
        """Take in a record; those of a topic in the order of their log."""
        if isinstance(record, JoinCounts):
            if record.model == self.settings.name and _FIRST <= record.as_of <= _LAST:
                self.clock = max(self.clock, record.as_of)
        elif isinstance(record, WindowMetrics | WindowPartial | DriftReport | Alert):
            if record.model != self.settings.name:
                return
            if not _FIRST <= record.window_start <= record.window_end <= _LAST:
                self.unusable += 1
            elif isinstance(record, Alert):
                self._alert(record)
            elif isinstance(record, DriftReport):
                of = (record.model_version, record.feature, record.finding, record.window_start)
                keep(self.drift, Question(*of), record)
            elif record.segment == self.segment:
                self._window(record)

    def _window(self, record: WindowMetrics | WindowPartial) -> None:
        key = WindowKey.of(record)
        if isinstance(record, WindowPartial):
            keep(self.partials, (key, record.source_partition), record)
        elif keep(self.windows, key, record):
            self.clock = max(self.clock, min(record.as_of, _LAST))

    def label(self, batch: Batch) -> None:
        """Take in labeled predictions: how long after its event each outcome was. Of one prediction the last one holds."""
        if batch.columns is None:
            return
        prediction = batch.columns["prediction"]
        wanted = pc.equal(prediction.field("model"), self.settings.name)
        names = ("label_delay_ms", "assumed")
        delays, assumed = (batch.columns[name].filter(wanted).to_pylist() for name in names)
        versions, segments = (
            prediction.field(name).filter(wanted).to_pylist() for name in ("model_version", "segments")
        )
        keys = compress(batch.keys, wanted.to_pylist())
        for key, version, delay, is_assumed, own in zip(keys, versions, delays, assumed, segments, strict=True):
            if self.segment == "*" or self.segment in own:
                self.delays[key, version] = None if is_assumed else delay

    def _alert(self, record: Alert) -> None:
        held = self.incidents.get(record.alert_id)
        if held is None:
            self.incidents[record.alert_id] = Incident(record, record)
        elif record.revision >= held.newest.revision:
            held.newest = record
        elif record.revision < held.first.revision:
            held.first = record
