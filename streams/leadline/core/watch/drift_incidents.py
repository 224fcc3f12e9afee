"""Incidents of drift and of the pipeline: one for all features, each of which opens and resolves by itself.

A feature counts after ``open_after`` drifted windows in a row, and no longer after ``resolve_after`` others. A window with so few rows that
it could not have shown what the feature counts for says nothing of it, as one without any. The incident of drift opens
when a feature counts and the evidence of the windows reaches what the budget of drift asks; that of the pipeline when a feature counts.
"""

import math
from dataclasses import dataclass, field, replace

from leadline.core.statistics.budget import alarm_at
from leadline.core.statistics.e_detector import MOST, p_to_e
from leadline.core.watch.incidents import MOST_FEATURES, Finding, Incidents, listed, number
from leadline.core.windows.latest import holds
from leadline.records import Alert, DriftReport, iso
from leadline.settings import Allowed, ModelSettings

MOST_WAITING = 64
"""Windows whose reports have not all come; of more, those furthest ahead are left out."""
PIPELINE = {"missing": "missing values", "unseen": "new categories"}
_NO_EVIDENCE = math.log(0.5)
_LEAST_P, _MOST_SIZE = 1e-300, 1e300


def _bounded(size: float) -> float:
    """A size that can be kept as JSON, which has no number that is not finite.

    >>> [_bounded(size) for size in (0.5, math.inf, -math.inf, math.nan)]
    [0.5, 1e+300, -1e+300, 1e+300]
    """
    return max(-_MOST_SIZE, min(size, _MOST_SIZE)) if size == size else _MOST_SIZE


@dataclass(slots=True)
class Said:
    """What one report says."""

    feature: str
    kind: str
    finding: str
    log_p: float
    own: bool
    text: str
    size: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.finding} {self.name}"

    @property
    def name(self) -> str:
        return "score" if self.kind == "score" else self.feature

    @classmethod
    def of(cls, report: DriftReport) -> "Said":
        """Both nulls have to be passed, so the larger p value counts."""
        own_p, effect = report.own_p_value, report.effect
        p = max(report.p_value, own_p if own_p is not None else 0.0)
        log_p = math.log(min(1.0, max(p, _LEAST_P))) if p == p else 0.0
        method = report.method.partition("+")[0]
        text = f"{method} {number(report.statistic)} above {number(report.threshold)}, p {number(p)}, n {report.n}"
        return cls(
            report.feature,
            report.kind,
            report.finding,
            log_p,
            own_p is not None and report.own_windows > 0,
            f"{effect}; {text}" if effect else text,
            _bounded(report.statistic),
        )


@dataclass(slots=True)
class Coming:
    """The reports of a window's newest revision, as far as they have come: those that speak of drift, and of others from what size they
    would have.
    """

    end: int
    revision: int
    drifted: dict[str, Said] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)

    def says_nothing(self, key: str, held: Said) -> bool:
        """Whether the window could not have shown what a feature counts for, or has no report of it."""
        return key not in self.drifted and not self.others.get(key, math.inf) < held.size


@dataclass(slots=True)
class Drifting:
    """``runs``: windows in a row in which something drifted, and did not, by what it is. ``counting``: what counts as drifted now."""

    coming: dict[str, Coming] = field(default_factory=dict)
    judged_to: int | None = None
    opened_at: int | None = None
    log_m: float = 0.0
    runs: dict[str, list[int]] = field(default_factory=dict)
    counting: dict[str, Said] = field(default_factory=dict)

    def take(self, report: DriftReport, settings: ModelSettings, incidents: Incidents, at: int) -> list[Alert]:
        """Take in a report; the score's is the last of a revision."""
        start = report.window_start
        again = start == self.opened_at
        if not again and self.judged_to is not None and start <= self.judged_to:
            return []
        window = self._window(report)
        if window is None or not self._collect(window, report):
            return []
        del self.coming[str(start)]
        if again and self.judged_to is not None and start <= self.judged_to:
            return self._restated(start, window, settings, incidents, at)
        self.judged_to = start
        self._count(window, settings)
        return self._data(start, window, settings, incidents, at) + self._pipeline(start, window, incidents, at)

    def _window(self, report: DriftReport) -> Coming | None:
        start = str(report.window_start)
        if start not in self.coming and len(self.coming) >= MOST_WAITING:
            furthest = max(self.coming, key=int)
            if int(furthest) < report.window_start:
                return None
            del self.coming[furthest]
        window = self.coming.setdefault(start, Coming(report.window_end, report.revision))
        if not holds(report.revision, window.revision):
            return None
        if report.revision > window.revision:
            window = self.coming[start] = Coming(report.window_end, report.revision)
        return window

    def _collect(self, window: Coming, report: DriftReport) -> bool:
        """Keep what a report says; whether it is the last one."""
        said = Said.of(report)
        if report.drifted:
            window.drifted[said.key] = said
        else:
            window.others[said.key] = _bounded(report.threshold)
        return report.kind == "score" and said.finding == "distribution"

    def _count(self, window: Coming, settings: ModelSettings) -> None:
        """How long each feature has drifted, or has not; where values are missing or new, their distribution is no finding of its own."""
        drifted = window.drifted
        blind = {key for key, held in self.counting.items() if window.says_nothing(key, held)}
        spoilt = {said.feature for said in drifted.values() if said.finding in PIPELINE}
        for key in [each for each, said in drifted.items() if said.finding not in PIPELINE and said.feature in spoilt]:
            del drifted[key]
        limits = settings.alerts
        for key in {*self.runs, *drifted} - blind:
            bad, good = self.runs.get(key, [0, 0])
            self.runs[key] = [bad + 1, 0] if key in drifted else [0, good + 1]
            if key in drifted and (key in self.counting or bad + 1 >= limits.open_after):
                least = min(drifted[key].size, self.counting.get(key, drifted[key]).size)
                self.counting[key] = replace(drifted[key], size=least)
            if self.runs[key][1] >= limits.resolve_after or (key not in drifted and key not in self.counting):
                self.counting.pop(key, None)
                del self.runs[key]

    def _of(self, pipeline: bool) -> dict[str, Said]:
        found = {key: said for key, said in self.counting.items() if (said.finding in PIPELINE) is pipeline}
        return dict(sorted(found.items(), key=lambda each: (each[1].kind == "score", each[0])))

    # -- drift --------------------------------------------------------------------------------------------------------

    def _data(self, start: int, window: Coming, settings: ModelSettings, incidents: Incidents, at: int) -> list[Alert]:
        counting = self._of(pipeline=False)
        found = _drift_finding(start, window.end, counting, settings)
        if incidents.is_open("drift"):
            return self._go_on(found, counting, incidents, at)
        p = [said.log_p for said in window.drifted.values() if said.finding not in PIPELINE]
        self.log_m = min(MOST, max(self.log_m, 0.0) + (float(p_to_e(min(p))) if p else _NO_EVIDENCE))
        if not counting or self.log_m < _log_c(settings):
            return []
        self.log_m, self.opened_at = 0.0, start
        return incidents.open("drift", found, at)

    def _go_on(self, found: Finding, counting: dict[str, Said], incidents: Incidents, at: int) -> list[Alert]:
        if not counting:
            self.opened_at = None
            return incidents.close("drift", "resolved", found, at)
        if incidents.held["drift"].kind != "prediction-drift" or found.kind == "prediction-drift":
            return incidents.update("drift", found, at)
        closing = found._replace(cause="it is part of the drift of inputs that opens now")
        self.opened_at = found.start
        return [*incidents.close("drift", "resolved", closing, at), *incidents.open("drift", found, at)]

    def _restated(
        self, start: int, window: Coming, settings: ModelSettings, incidents: Incidents, at: int
    ) -> list[Alert]:
        """The window that opened the incident, as it is now known: without drift in it, the incident is withdrawn."""
        if any(said.finding not in PIPELINE for said in window.drifted.values()):
            return []
        self.opened_at = None
        for key in self._of(pipeline=False):
            del self.counting[key]
            del self.runs[key]
        found = _drift_finding(start, window.end, {}, settings)._replace(cause="restated, the window does not drift")
        return incidents.close("drift", "withdrawn", found, at)

    def evidence(self, incidents: Incidents) -> dict[str, str]:
        """What is told of drift elsewhere: what counts as drifted, where an incident of it is open."""
        if not incidents.is_open("drift"):
            return {}
        return {said.name: said.text for said in self._of(pipeline=False).values()}

    # -- pipeline -----------------------------------------------------------------------------------------------------

    def _pipeline(self, start: int, window: Coming, incidents: Incidents, at: int) -> list[Alert]:
        counting = self._of(pipeline=True)
        said = [f"{each.feature} has {PIPELINE[each.finding]}" for each in counting.values()]
        found = Finding(
            "pipeline",
            start,
            window.end,
            listed(said) or "all values are there and known again",
            {**_texts(counting), "windows": iso(start)},
            features=sorted({each.feature for each in counting.values()}),
        )
        if not counting:
            return incidents.close("pipeline", "resolved", found, at)
        return incidents.open("pipeline", found, at)


def _texts(counting: dict[str, Said]) -> dict[str, str]:
    shown = list(counting.values())[:MOST_FEATURES]
    further = len(counting) - len(shown)
    texts = {said.name if said.finding not in PIPELINE else f"{said.finding} {said.name}": said.text for said in shown}
    return texts | ({"further": str(further)} if further else {})


def _drift_finding(start: int, end: int, counting: dict[str, Said], settings: ModelSettings) -> Finding:
    features = [said.feature for said in counting.values() if said.kind != "score"]
    own = bool(counting) and all(said.own for said in counting.values())
    kind = "data-drift" if features else "prediction-drift"
    named = listed([said.name for said in counting.values()])
    cause = f"{named} {'is' if len(counting) == 1 else 'are'} distributed otherwise than in the reference"
    if not own:
        cause += "; the reference has no windows of its own that would tell how far it varies by itself"
    if not counting:
        cause = "features and score are distributed as in the reference again"
    evidence = {"features": listed(features), **_texts(counting), "windows": iso(start)}
    evidence |= {"false_alarms": settings.alerts.false_alarms}
    return Finding(
        kind, start, end, cause, evidence, features=features, early=True, error_rate="calibrated" if own else ""
    )


def _log_c(settings: ModelSettings) -> float:
    limits = settings.alerts
    allowed = Allowed.of(limits.false_alarms)
    return math.log(alarm_at(allowed.number, allowed.period_ms, settings.window, limits.weight("data-drift")))
