"""Alerts from windows: opened after several bad ones in a row, resolved after several good ones, one alert for one cause.

Alerting judges a window when it knows enough of it: labels of enough predictions, or a drift report of every feature. It passes over
all other windows. A verdict may change while labels come. Only the verdicts of the newest judged windows, in the order of time, open
and resolve an alert.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.store_keys import AlertingKeys
from leadline.core.windows.latest import holds
from leadline.core.windows.partials import EARLIEST
from leadline.records import Alert, DriftReport, Metric, WindowMetrics, iso
from leadline.settings import AlertLimits, ModelSettings

SPARE_WINDOWS = 8
"""A window is remembered for horizon and grace, in which its labels come, and for so many windows longer."""
MOST_WINDOWS = 512
"""Windows of a subject that are remembered at most, the newest ones."""
MOST_FEATURES = 50
"""Drifted features that an alert names; it says how many further ones there are."""

LESS_IS_BETTER = frozenset({"mae", "rmse"})


class Subject(NamedTuple):
    """What an alert is about: ``kind`` performance or drift."""

    kind: str
    model: str
    version: str
    segment: str

    @property
    def key(self) -> bytes:
        return AlertingKeys.ALERT + json.dumps(self).encode()

    def alert_id(self, opened_at: int) -> str:
        """Stable while the alert is open, and the same whenever the same log is read.

        >>> Subject("drift", "m", "v1", "*").alert_id(0)
        '5e08af5437917311'
        """
        return sha256(json.dumps([*self, opened_at]).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Verdict:
    """What is known of one window. ``bad`` None: not judged. ``emitted``: an alert has taken account of it before.

    ``waiting``: the drifted features, and how much they drifted, of a revision whose last report has not come.
    """

    end: int
    revision: int
    bad: bool | None = None
    evidence: dict[str, str] = field(default_factory=dict)
    emitted: bool = False
    waiting_revision: int = 0
    waiting: dict[str, str] = field(default_factory=dict)

    def fields(self) -> list[Any]:
        """The fields, in the order of the constructor."""
        return [self.end, self.revision, self.bad, self.evidence, self.emitted, self.waiting_revision, self.waiting]


@dataclass(slots=True)
class Case:
    """The windows of one subject by start, and when its alert was opened (start of the window), if it is open.

    ``now_ms``: the latest time of its records, by the log (their ``as_of``).
    """

    windows: dict[int, Verdict] = field(default_factory=dict)
    opened_at: int | None = None
    revision: int = 0
    now_ms: int = EARLIEST

    def pack(self) -> bytes:
        """The case as bytes; `unpack` reads them."""
        windows = [[start, *verdict.fields()] for start, verdict in self.windows.items()]
        return json.dumps([windows, self.opened_at, self.revision, self.now_ms]).encode()

    @classmethod
    def unpack(cls, value: bytes) -> "Case":
        """Read what `pack` wrote.

        >>> case = Case({0: Verdict(10, 1, True, {"value": "0.5"})}, opened_at=0, revision=3)
        >>> Case.unpack(case.pack()) == case
        True
        """
        windows, *rest = json.loads(value)
        return cls({start: Verdict(*fields) for start, *fields in windows}, *rest)

    def window(self, record: WindowMetrics | DriftReport, settings: ModelSettings) -> Verdict | None:
        """The verdict of a window, for a record of it to change; None where the record, or its window, is too old to count."""
        self.now_ms = max(self.now_ms, record.as_of)
        start = record.window_start
        held = self.windows.get(start)
        if held is not None:
            return held if holds(record.revision, held.revision) else None
        held = self.windows[start] = Verdict(record.window_end, 0)
        self._forget(settings)
        return held if start in self.windows else None

    def _forget(self, settings: ModelSettings) -> None:
        """Forget windows that are long over, but those that decide; and the oldest ones where there are too many."""
        limits = settings.alerts
        keep_ms = settings.horizon + (settings.grace or 0) + SPARE_WINDOWS * settings.window
        deciding = set(self.newest_judged(max(limits.open_after, limits.resolve_after)))
        for start in sorted(self.windows)[:-1]:
            is_over = self.windows[start].end + keep_ms < self.now_ms
            if len(self.windows) > MOST_WINDOWS or (is_over and start not in deciding):
                del self.windows[start]

    def newest_judged(self, count: int) -> list[int]:
        """Starts of the newest judged windows, the newest first."""
        return sorted((start for start, verdict in self.windows.items() if verdict.bad is not None), reverse=True)[
            :count
        ]

    def turn(self, limits: AlertLimits, start: int) -> str | None:
        """The new state of the alert: changed by the window at ``start``, or updated by it for the first time; None: nothing to emit."""
        verdict = self.windows[start]
        is_new = verdict.bad is not None and not verdict.emitted
        verdict.emitted |= is_new
        wanted, count = (True, limits.open_after) if self.opened_at is None else (False, limits.resolve_after)
        newest = self.newest_judged(count)
        if len(newest) == count and all(self.windows[each].bad is wanted for each in newest):
            self.opened_at = newest[0] if wanted else self.opened_at
            return "opened" if wanted else "resolved"
        return "updated" if is_new and self.opened_at is not None else None


class Alerting(EventDriven):
    """The alerts of the models that are routed to this task."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._cases: dict[Subject, Case] = {}

    def on_batch(self, batch: Batch) -> Effects:
        """The alerts that the records change, one record after the other: the same however the log is cut.

        An alert arrives with its cause.
        """
        self._cases = {}
        rows = zip(batch.records, batch.arrival_ms.tolist(), strict=True)
        steps = [(self._step(each), time) for each, time in rows if isinstance(each, WindowMetrics | DriftReport)]
        for subject, case in self._cases.items():
            self._store.put(subject.key, case.pack())
        alerts = [alert for alert, _ in steps if alert is not None]
        arrival_ms = np.array([time for alert, time in steps if alert is not None], np.int64)
        return Effects([Output("alerts", records=alerts, arrival_ms=arrival_ms)] if alerts else [])

    def _step(self, record: WindowMetrics | DriftReport) -> Alert | None:
        settings = self._models.settings(record.model)
        if settings is None:
            return None
        if isinstance(record, DriftReport):
            subject = Subject("drift", record.model, record.model_version, "*")
            return self._drift(subject, record, settings)
        subject = Subject("performance", record.model, record.model_version, record.segment)
        return self._performance(subject, record, settings)

    def _case(self, subject: Subject) -> Case:
        if subject not in self._cases:
            held = self._store.get(subject.key)
            self._cases[subject] = Case.unpack(held) if held else Case()
        return self._cases[subject]

    def _performance(self, subject: Subject, record: WindowMetrics, settings: ModelSettings) -> Alert | None:
        reference = self._reference(subject, settings.alerts)
        if reference is None:
            return None
        case = self._case(subject)
        if record.as_of < record.window_end and record.window_start not in case.windows:
            return None  # it is not over: there is nothing to remember yet
        verdict = case.window(record, settings)
        if verdict is None:
            return None
        verdict.revision = record.revision
        verdict.bad, verdict.evidence = judge(record, settings.alerts, reference)
        return _alert(subject, case, record.window_start, settings)

    def _reference(self, subject: Subject, limits: AlertLimits) -> float | None:
        if limits.reference is not None:
            return limits.reference
        version = self._models.version(subject.model, subject.version)
        return None if version is None or version.profile is None else version.profile.metrics.get(limits.metric)

    def _drift(self, subject: Subject, record: DriftReport, settings: ModelSettings) -> Alert | None:
        """Judge a window when the report of its score has come: it is the last one of a revision."""
        case = self._case(subject)
        verdict = case.window(record, settings)
        if verdict is None or not holds(record.revision, verdict.waiting_revision):
            return None
        earlier = verdict.waiting if record.revision == verdict.waiting_revision else {}
        verdict.waiting_revision, verdict.waiting = record.revision, _with(earlier, _drifted(record))
        if record.kind != "score":
            return None
        verdict.revision, verdict.evidence = record.revision, verdict.waiting
        verdict.bad = bool(verdict.evidence)
        return _alert(subject, case, record.window_start, settings)


def judge(record: WindowMetrics, limits: AlertLimits, reference: float) -> tuple[bool | None, dict[str, str]]:
    """Whether a window is bad, and the evidence: it is where even the best end of its interval is beyond the limit.

    The verdict is None while the window is not over, or too few labels are known: the first labels of a window are not like the others.
    """
    metric: Metric | None = getattr(record, limits.metric)
    known = record.coverage is not None and record.coverage >= limits.min_coverage and record.as_of >= record.window_end
    less = limits.metric in LESS_IS_BETTER
    best = None if metric is None else metric.low if less else metric.high
    if metric is None or best is None or not known:
        return None, {}
    limit = reference + limits.margin if less else reference - limits.margin
    evidence = {
        "metric": limits.metric,
        "value": _text(metric.value),
        "interval": f"{_text(metric.low)} to {_text(metric.high)}",
        "reference": _text(reference),
        "limit": _text(limit),
        "coverage": _text(record.coverage),
        "matched": str(record.matched),
    }
    return best > limit if less else best < limit, evidence


def _drifted(report: DriftReport) -> dict[str, str]:
    if not report.drifted:
        return {}
    text = f"psi {_text(report.statistic)} above {_text(report.threshold)}, p {_text(report.p_value)}, n {report.n}"
    return {f"{report.kind} {report.feature}" if report.kind != "score" else "score": text}


def _with(earlier: dict[str, str], drifted: dict[str, str]) -> dict[str, str]:
    """The evidence of drift with that of one feature more; of very many features only their number."""
    if not drifted or len(earlier) < MOST_FEATURES or drifted.keys() & (earlier.keys() | {"score"}):
        return earlier | drifted
    return earlier | {"further": str(int(earlier.get("further", "0")) + 1)}


def _alert(subject: Subject, case: Case, start: int, settings: ModelSettings) -> Alert | None:
    state = case.turn(settings.alerts, start)
    if state is None or case.opened_at is None:
        return None
    case.revision += 1
    newest = case.newest_judged(settings.alerts.resolve_after if state == "resolved" else settings.alerts.open_after)
    verdict = case.windows[newest[0]]
    critical = subject.kind == "performance" and subject.segment == "*"
    alert = Alert(
        alert_id=subject.alert_id(case.opened_at),
        kind=subject.kind,
        severity="critical" if critical else "warning",
        state=state,
        model=subject.model,
        model_version=subject.version,
        segment=subject.segment,
        window_start=newest[0],
        window_end=verdict.end,
        revision=case.revision,
        evidence={**verdict.evidence, "windows": ", ".join(map(iso, reversed(newest)))},
        runbook=settings.runbook,
    )
    if state == "resolved":
        case.opened_at = None
    return alert


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"
