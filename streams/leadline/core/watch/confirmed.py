"""Confirmed incidents: each window is judged once, by its counts as of maturity, and in the order of time.

Performance and concept drift of one fall are one incident: whichever is seen first opens it. Where labels are doubtful (`Bias`), nothing is
judged by them.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.budget import alarm_at
from leadline.core.statistics.e_detector import FALLS, binomial, log_p_below, p_to_e
from leadline.core.statistics.intervals import wilson
from leadline.core.statistics.overdispersion import deflation
from leadline.core.watch.bias import Bias, Labelled
from leadline.core.watch.calibration import Calibration
from leadline.core.watch.cusum import Cusum, Evidence, Tally
from leadline.core.watch.incidents import Finding, Incidents, listed, number
from leadline.core.watch.performance_detector import Performance, Windows
from leadline.core.watch.waiting import Block
from leadline.core.watch.yardstick import COUNTED, Yardstick, observed
from leadline.records import Alert, MatureCounts, Metric, iso
from leadline.settings import Allowed, ModelSettings
from leadline.settings.model import Kind

Floats = NDArray[np.float64]
_RISES = tuple(-fall for fall in FALLS)
_SHARES = ("accuracy", "precision", "recall")


class Scale(NamedTuple):
    """What a version is judged by: its yardstick, and the settings of its model."""

    yard: Yardstick
    settings: ModelSettings

    @property
    def size(self) -> int:
        """The length of a block."""
        return self.settings.alerts.cycle or self.settings.window

    def log_c(self, kind: Kind, parts: int = 1) -> float:
        """Where a detector of a kind alarms, as a logarithm; ``parts`` detectors share what the kind may cause."""
        limits = self.settings.alerts
        allowed = Allowed.of(limits.false_alarms)
        return math.log(alarm_at(allowed.number, allowed.period_ms, self.size, limits.weight(kind) / parts))


@dataclass(slots=True)
class Confirmed:
    """The detectors of one version."""

    bias: Bias = field(default_factory=Bias)
    performance: Performance = field(default_factory=Performance)
    area: Cusum = field(default_factory=Cusum)
    concept: Evidence = field(default_factory=Evidence)
    calibration: Calibration = field(default_factory=Calibration)

    def judge(self, block: Block, scale: Scale, incidents: Incidents, drift: dict[str, str], at: int) -> list[Alert]:
        """Take in a block that is due; ``drift`` says what drifts, as evidence."""
        counts = block.counts()
        overall = counts.get("*")
        if overall is None or overall.matched < scale.settings.alerts.min_coverage * overall.predictions:
            return []
        alerts, doubtful = self._biased(block, overall, scale, incidents, at)
        if doubtful:
            return alerts
        view = _View(block, counts, overall, scale, drift)
        alerts += self._quality(view, incidents, at)
        if scale.settings.counted_as != "binary" or (self.quality_is_open and not self.calibration.is_open):
            return alerts
        margin, log_c = scale.settings.alerts.margin, scale.log_c("calibration", 2)
        return alerts + self.calibration.judge(
            block, overall, view.sides, scale.yard.promise, margin, log_c, incidents, at
        )

    # -- labels -------------------------------------------------------------------------------------------------------

    def _biased(
        self, block: Block, overall: MatureCounts, scale: Scale, incidents: Incidents, at: int
    ) -> tuple[list[Alert], bool]:
        doubtful, change, labelled = self.bias.step(overall, scale.yard.positive_share, float(scale.yard.rho[0]))
        found = _bias_finding(block, labelled)
        if change == "opened":
            self._forget_evidence()
            return incidents.open("labels-biased", found, at), True
        if change == "resolved":
            return incidents.close("labels-biased", "resolved", found, at), doubtful
        return [], doubtful

    def _forget_evidence(self) -> None:
        """What was seen of labels that have turned out to be biased counts for nothing."""
        if not self.performance.is_open:
            self.performance.clear()
        self.calibration.forget()
        for evidence in (self.area, self.concept):
            if not evidence.is_open:
                evidence.clear()

    # -- performance and concept drift --------------------------------------------------------------------------------

    @property
    def quality_is_open(self) -> bool:
        return self.performance.is_open or self.area.is_open or self.concept.is_open

    def _quality(self, view: "_View", incidents: Incidents, at: int) -> list[Alert]:
        was_open, named = self.quality_is_open, self.performance.named
        change = self._performance(view)
        log_c, right = view.scale.log_c("concept-drift"), observed("accuracy", view.overall)
        concept, rests_on = self.concept.step(view.block.start, right, view.concept(), log_c)
        if not was_open and not self.quality_is_open:
            return []
        named = self.performance.named if self.performance.is_open else named or ["*"]
        found = self._quality_finding(view, named, change, concept, rests_on)
        if not self.quality_is_open:
            return incidents.close("quality", "resolved", found, at)
        if not was_open:
            ended = self.calibration.end(
                view.block, "it is part of an incident of performance that opens now", incidents, at
            )
            return [*ended, *incidents.open("quality", found, at)]
        return incidents.update("quality", found, at) if "opened" in (change, concept) or change == "updated" else []

    def _performance(self, view: "_View") -> str | None:
        log_c = view.scale.log_c("performance")
        if view.scale.yard.metric not in COUNTED:
            return self.area.step(*view.area(), log_c)
        return self.performance.step(view.scale.yard, log_c, view.block.start, view.windows())

    def _quality_finding(
        self, view: "_View", named: list[str], change: str | None, concept: str | None, concept_on: Tally
    ) -> Finding:
        worse = self.performance.is_open or self.area.is_open or (change is not None and concept is None)
        kind = "performance" if worse else "concept-drift"
        both = worse and self.concept.is_open
        tallies = {"*": concept_on} if not worse and concept is not None else {}
        if worse and change is not None:
            tallies = self.performance.rests_on
        return view.finding(kind, named, both, tallies)

    def corrected(self, scale: Scale, block: Block, window: int, segment: str, counts: MatureCounts) -> bool:
        """Take in a later correction of a judged window; whether the incident would not have opened with it."""
        yard = scale.yard
        if yard.metric not in COUNTED or segment not in yard.segments or self.concept.is_open:
            return False
        changes = {segment: list(observed(yard.metric, counts))}
        if not self.performance.corrected(yard, scale.log_c("performance"), block.start, window, changes):
            return False
        self.performance.clear()
        return True


class _View(NamedTuple):
    """A block as the detectors look at it."""

    block: Block
    counts: dict[str, MatureCounts]
    overall: MatureCounts
    scale: Scale
    drift: dict[str, str]

    def windows(self) -> Windows:
        """The counts of each window that are judged."""
        known = set(self.scale.yard.segments)
        return {
            str(start): {
                segment: list(observed(self.scale.yard.metric, counts))
                for segment, counts in window.counts().items()
                if segment in known
            }
            for start, window in self.block.windows
        }

    def area(self) -> tuple[Floats, Floats]:
        """Evidence of the interval of the AUC: no counts lead to it."""
        value, low, high = (*self.block.facts("auc"), None, None, None)[:3]
        if value is None or low is None or high is None or high <= low:
            return np.zeros(1), np.zeros(1)
        deviation, limit = (high - low) / 3.92, float(self.scale.yard.limits[0])
        below, above = log_p_below(value, limit, deviation), log_p_below(-value, -limit, deviation)
        return np.array([p_to_e(below)]), np.array([p_to_e(above)])

    def concept(self) -> tuple[Floats, Floats]:
        """Evidence that fewer answers are right than the lower end of the estimate, less the margin."""
        low = (*self.block.facts("estimated_accuracy"), None, None)[1]
        right, n = observed("accuracy", self.overall)
        if low is None or not n:
            return np.zeros(len(FALLS)), np.zeros(len(FALLS))
        return self.sides(right, n, low - self.scale.settings.alerts.margin, float(self.scale.yard.rho[0]))

    def sides(self, right: float, n: float, limit: float, rho: float) -> tuple[Floats, Floats]:
        """Evidence of fewer, and of more, than a share of so many rows."""
        counts = np.array(right), np.array(n), np.array(max(limit, 1e-6))
        return binomial(*counts) / deflation(n, rho), binomial(*counts, _RISES) / deflation(n, rho)

    # -- findings -----------------------------------------------------------------------------------------------------

    def finding(self, kind: str, named: list[str], both: bool, tallies: dict[str, Tally]) -> Finding:
        yard, most = self.scale.yard, "*" in named or not named
        segment = named[0] if named and not most else "*"
        row = yard.segments.index(segment)
        limit, reference = float(yard.limits[row]), float(yard.references[row])
        value = self._value(segment)
        labelled = self.counts.get(segment, self.overall)
        of = f"{number(None if value is None else value.value)} of labelled ({labelled.matched} of {labelled.predictions})"
        where = "" if most and named else f" in {listed(named) or 'several segments'}"
        cause = f"{yard.metric} {of}{where}, limit {number(self._shown(limit))}, reference {number(reference)}"
        since = self._since("accuracy" if kind == "concept-drift" else yard.metric, tallies.get(segment))
        cause += f"; {since}" if since else ""
        if kind == "concept-drift" or both:
            cause += "; below what the scores lead one to expect: concept drift"
        if self.drift:
            cause += "; with drift of " + listed(list(self.drift))
        evidence = {
            **({"features": listed([each for each in self.drift if each != "score"])} if self.drift else {}),
            **({"score": self.drift["score"]} if "score" in self.drift else {}),
            **self._estimate(),
            "realised": of,
            **({"since": since} if since else {}),
            "segments": listed(named),
            "metric": yard.metric,
            "value": number(None if value is None else value.value),
            "interval": "unknown" if value is None else f"{number(value.low)} to {number(value.high)}",
            "reference": number(reference),
            "limit": number(self._shown(limit)),
            "coverage": number(labelled.matched / labelled.predictions if labelled.predictions else None),
            "matched": str(labelled.matched),
            "windows": iso(self.block.start),
            "false_alarms": self.scale.settings.alerts.false_alarms,
        }
        severity = "critical" if "*" in named else "warning"
        return Finding(
            kind,
            self.block.start,
            self.block.end,
            cause,
            evidence,
            named,
            [each for each in self.drift if each != "score"],
            severity,
            error_rate=yard.error_rate,
        )

    def _since(self, metric: str, tally: Tally | None) -> str:
        """What the evidence rests on, where that is more than this block."""
        if tally is None or tally.blocks < 2 or not tally.sums[1]:
            return ""
        mean = tally.sums[0] / tally.sums[1]
        value = number(math.sqrt(mean) if metric == "rmse" else mean)
        blocks = "cycles" if self.scale.settings.alerts.cycle else "windows"
        return f"{value} over {tally.sums[1]:.0f} in {tally.blocks} {blocks} since {iso(tally.start)}"

    def _shown(self, limit: float) -> float:
        return math.sqrt(limit) if self.scale.yard.metric == "rmse" else limit

    def _estimate(self) -> dict[str, str]:
        value, low, high = (*self.block.facts("estimated_accuracy"), None, None, None)[:3]
        return {} if value is None else {"estimate": f"{number(value)} ({number(low)} to {number(high)})"}

    def _value(self, segment: str) -> Metric | None:
        metric = self.scale.yard.metric
        if metric not in COUNTED:
            value, low, high = (*self.block.facts(metric), None, None, None)[:3]
            return None if value is None else Metric(value, low, high)
        good, n = observed(metric, self.counts.get(segment, self.overall))
        if metric in _SHARES:
            return wilson(int(good), int(n))
        return None if not n else Metric(math.sqrt(good / n) if metric == "rmse" else good / n)


def _bias_finding(block: Block, labelled: Labelled) -> Finding:
    more, less = labelled.shares
    cause = f"{more:.0%} of the predicted positives have a label, {less:.0%} of the others: no metric of the labelled speaks for all"
    evidence = {"labelled_positive": number(more), "labelled_negative": number(less), "windows": iso(block.start)}
    return Finding("labels-biased", block.start, block.end, cause, evidence)
