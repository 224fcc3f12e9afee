"""Early incidents of performance: what the nowcast, or the estimate, says when a window has ended, before its labels have come.

They have a budget of their own, rest on numbers that labels may contradict, and are withdrawn then.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.budget import alarm_at
from leadline.core.statistics.e_detector import FALLS
from leadline.core.statistics.overdispersion import deflation
from leadline.core.watch.confirmed import Scale
from leadline.core.watch.cusum import Cusum
from leadline.core.watch.incidents import Finding, Incidents, listed, number
from leadline.core.watch.waiting import MOST_VALUE, Block
from leadline.core.watch.yardstick import COUNTED, LOSSES, observed
from leadline.records import Alert, Metric, WindowMetrics, iso
from leadline.settings import Allowed

Floats = NDArray[np.float64]
CAUSE = "estimated"
_Z = 1.96


@dataclass(slots=True)
class Early:
    """``judged_to``: windows that start up to this time are judged. ``opened_at``: the window that opened what is open."""

    cusum: Cusum = field(default_factory=Cusum)
    judged_to: int | None = None
    opened_at: int = 0

    def look(
        self, record: WindowMetrics, scale: Scale, incidents: Incidents, drift: dict[str, str], at: int
    ) -> list[Alert]:
        """Judge a window once, by the first record of it after its end."""
        seen = self.judged_to is not None and record.window_start <= self.judged_to
        name, metric = expected(record, scale.yard.metric)
        if seen or record.as_of < record.window_end or metric is None or incidents.is_open("quality"):
            return []
        self.judged_to = record.window_start
        change = self.cusum.step(*_sides(metric, record, scale), _log_c(scale))
        found = _finding(name, metric, record, scale, drift)
        if change == "opened":
            self.opened_at = record.window_start
            return incidents.open(CAUSE, found, at)
        return incidents.close(CAUSE, "resolved", found, at) if change == "resolved" else []

    def confirm(self, block: Block, scale: Scale, incidents: Incidents, at: int) -> list[Alert]:
        """Labels have come: what is open early is confirmed, or withdrawn, or still waits."""
        if not self.cusum.is_open:
            return []
        if incidents.is_open("quality"):
            said = f"confirmed as {incidents.held['quality'].alert_id}"
            return self._end(block, "resolved", said, incidents, at)
        good = _is_good(block, scale) if block.start >= self.opened_at else None
        return self._end(block, "withdrawn", "the labels that came do not confirm it", incidents, at) if good else []

    def _end(self, block: Block, state: str, cause: str, incidents: Incidents, at: int) -> list[Alert]:
        self.cusum.clear()
        found = Finding(
            "estimated-performance", block.start, block.end, cause, {"windows": iso(block.start)}, early=True
        )
        return incidents.close(CAUSE, state, found, at)


def expected(record: WindowMetrics, metric: str) -> tuple[str, Metric | None]:
    """The nowcast of a metric, or its estimate, that has an interval; None where neither has."""
    for kind in ("nowcast", "estimated"):
        found: Metric | None = getattr(record, f"{kind}_{metric}")
        values = () if found is None else (found.value, found.low, found.high)
        if values and all(each is not None and abs(each) <= MOST_VALUE for each in values):
            return kind, found
    return "", None


def _sides(metric: Metric, record: WindowMetrics, scale: Scale) -> tuple[Floats, Floats]:
    """Likelihood ratios of normal laws, whose deviation is that of the interval and of the window's own chance."""
    yard = scale.yard
    assert metric.low is not None
    assert metric.high is not None
    limit = float(yard.limits[0])
    limit = math.sqrt(limit) if yard.metric == "rmse" else limit
    variance = ((metric.high - metric.low) / (2 * _Z)) ** 2
    if yard.metric not in LOSSES:
        variance += limit * (1 - limit) / max(1, record.predictions) * float(deflation(record.predictions, yard.rho[0]))
    worse, falls = limit - metric.value, np.array(FALLS)
    if yard.metric in LOSSES:
        worse, falls = -worse, falls * max(limit, 1e-9)
    variance = max(variance, 1e-12)
    return (worse * falls - falls**2 / 2) / variance, (-worse * falls - falls**2 / 2) / variance


def _log_c(scale: Scale) -> float:
    allowed = Allowed.of(scale.settings.alerts.early_false_alarms)
    return math.log(alarm_at(allowed.number, allowed.period_ms, scale.settings.window, 1.0))


def _is_good(block: Block, scale: Scale) -> bool | None:
    """Whether what is labelled of a block is within the limit; None where nothing is."""
    yard, counts = scale.yard, block.counts().get("*")
    if counts is None or yard.metric not in COUNTED:
        return None
    good, n = observed(yard.metric, counts)
    limit = float(yard.limits[0])
    return None if not n else good / n <= limit if yard.is_loss else good / n >= limit


def _finding(name: str, metric: Metric, record: WindowMetrics, scale: Scale, drift: dict[str, str]) -> Finding:
    limit, measured = float(scale.yard.limits[0]), scale.yard.metric
    said = f"{number(metric.value)} ({number(metric.low)} to {number(metric.high)})"
    shown = number(math.sqrt(limit) if measured == "rmse" else limit)
    cause = f"{measured} is {'estimated' if name == 'estimated' else 'expected'} to be {said}, limit {shown}"
    features = [each for each in drift if each != "score"]
    evidence = {
        **({"features": listed(features)} if features else {}),
        **({"score": drift["score"]} if "score" in drift else {}),
        "estimate": said,
        "by": name,
        "metric": measured,
        "limit": shown,
        "coverage": number(record.coverage),
        "windows": iso(record.window_start),
        "false_alarms": scale.settings.alerts.early_false_alarms,
    }
    cause += f"; with drift of {listed(list(drift))}" if drift else ""
    rate = "calibrated" if scale.yard.error_rate == "calibrated" else ""
    return Finding(
        "estimated-performance",
        record.window_start,
        record.window_end,
        cause,
        evidence,
        ["*"],
        features,
        early=True,
        error_rate=rate,
    )
