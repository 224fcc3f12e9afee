"""How well a version did on its reference, and from where on a window speaks for worse: one row a segment, ``*`` first.

A reference is finite: the limit of a segment is the lower confidence bound of its reference value, less the margin. All bounds together
are wrong with a chance of a tenth at most.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from leadline.core.reference import ReferenceProfile, SegmentReference
from leadline.core.statistics.e_detector import FALLS, bets, binomial
from leadline.core.statistics.overdispersion import INDEPENDENT, Spread, deflation, spread
from leadline.core.watch.promise import Promise, promise
from leadline.records import MatureCounts
from leadline.settings import AlertLimits, ModelSettings

Floats = NDArray[np.float64]
DOUBT = 0.1
"""The chance that any of the bounds is wrong."""
MOST_SEGMENTS = 1000
"""Segments of a version that are judged, those with the most reference rows."""
UNIT = 1e-12
"""Of the sums of errors."""
LOSSES = ("mae", "rmse")
COUNTED = ("accuracy", "precision", "recall", *LOSSES)
"""Metrics that follow from the counts at maturity."""


class Yardstick(NamedTuple):
    """``references``, ``limits``, ``rho`` and ``weights`` have a row for each of ``segments``.

    ``error_rate``: what may be said of the number of false alarms. ``positive_share``: of the labelled rows of the reference, how many
    were predicted positive, of how many (None: not known). ``promise``: how many outcomes are positive for what the scores say.
    """

    metric: str
    segments: list[str]
    references: Floats
    limits: Floats
    rho: Floats
    weights: Floats
    error_rate: str
    betting: bool
    positive_share: tuple[float, int] | None
    promise: Promise

    @property
    def is_loss(self) -> bool:
        return self.metric in LOSSES

    def worse(self, good: Floats, n: Floats) -> Floats:
        """The logarithm of what speaks for "worse than the limit" in a window: a column for each alternative."""
        if self.betting:
            return _where(n, bets(_means(good, n), self.limits, None if self.is_loss else 1.0))
        return binomial(good, n, self.limits) / deflation(n, self.rho)[:, None]

    def better(self, good: Floats, n: Floats) -> Floats:
        """The same for "better than the limit"."""
        if self.betting:
            value = _means(good, n)
            value = 2 * self.limits - value if self.is_loss else value
            return _where(n, bets(value, self.limits, None))
        return binomial(good, n, self.limits, tuple(-fall for fall in FALLS)) / deflation(n, self.rho)[:, None]


def _means(good: Floats, n: Floats) -> Floats:
    return np.asarray(good / np.maximum(n, 1.0))


def _where(n: Floats, log_l: Floats) -> Floats:
    return np.where(n[:, None] > 0, log_l, 0.0)


def observed(metric: str, counts: MatureCounts) -> tuple[float, float]:
    """What a metric is the mean of: its sum, and of how many rows; nothing where counts cannot be.

    >>> observed("recall", MatureCounts(10, 8, 4, tp=3, fp=1, fn=2, tn=2, absolute_error_sum=0, squared_error_sum=0))
    (3.0, 5.0)
    """
    good, n = {
        "accuracy": (counts.tp + counts.tn, counts.matched),
        "precision": (counts.tp, counts.tp + counts.fp),
        "recall": (counts.tp, counts.tp + counts.fn),
        "mae": (counts.absolute_error_sum, counts.matched),
        "rmse": (counts.squared_error_sum, counts.matched),
    }[metric]
    unit = UNIT if metric in LOSSES else 1.0
    possible = n > 0 and good >= 0 and (metric in LOSSES or good <= n)
    return (good * unit, float(n)) if possible else (0.0, 0.0)


class _Row(NamedTuple):
    segment: str
    reference: float
    limit: float
    spread: Spread


def yardstick(profile: ReferenceProfile | None, settings: ModelSettings) -> Yardstick | None:
    """What a version is judged by; None where it has no reference, and settings state none."""
    limits = settings.alerts
    own = _segments(profile)
    if limits.reference is not None:
        own = [each for each in own if each.segment != "*"]
    measured = [each for each in own if math.isfinite(each.metrics.get(limits.metric, math.nan))][:MOST_SEGMENTS]
    count = len(measured) + (limits.reference is not None)
    rows = [_row(each, settings, DOUBT / count) for each in measured]
    if limits.reference is not None:
        rows.insert(0, _declared(limits.reference, profile, settings))
    if not rows or rows[0].segment != "*":
        return None
    return _yardstick(rows, limits, profile, settings)


def _yardstick(
    rows: list[_Row], limits: AlertLimits, profile: ReferenceProfile | None, settings: ModelSettings
) -> Yardstick:
    metric, others = limits.metric, len(rows) - 1
    betting = metric in LOSSES or limits.mode == "proven"
    calibrated = metric == "accuracy" and rows[0].spread.windows > 1
    return Yardstick(
        metric,
        [row.segment for row in rows],
        np.array([row.reference for row in rows]),
        np.array([row.limit for row in rows]),
        np.array([row.spread.rho for row in rows]),
        np.array([1.0] if not others else [0.5] + [0.5 / others] * others),
        "" if metric == "auc" else "proven" if betting else "calibrated" if calibrated else "",
        betting,
        _positive_share(profile, settings),
        promise(profile, settings, rows[0].spread.rho),
    )


def _segments(profile: ReferenceProfile | None) -> list[SegmentReference]:
    """``*``, then the segments with the most rows; a reference without segments is one of ``*`` alone."""
    if profile is None:
        return []
    own = profile.segments or [SegmentReference("*", profile.predictions, profile.metrics)]
    return sorted(own, key=lambda each: (each.segment != "*", -each.predictions, each.segment))


def _declared(reference: float, profile: ReferenceProfile | None, settings: ModelSettings) -> _Row:
    """``*`` against a number that the settings state: it is no estimate, and needs no bound."""
    overall = next((each for each in _segments(profile) if each.segment == "*"), None)
    known = INDEPENDENT if overall is None else _spread(overall, settings)
    return _Row("*", reference, _beyond(reference, settings.alerts), known)


def _row(segment: SegmentReference, settings: ModelSettings, doubt: float) -> _Row:
    limits = settings.alerts
    reference, known = segment.metrics[limits.metric], _spread(segment, settings)
    if limits.metric in LOSSES:
        bound = _worst_mean(reference, _blocks(segment, settings), limits.metric, doubt)
    elif limits.metric == "auc":
        bound = reference
    else:
        bound = _worst_share(reference, _rows(segment, limits.metric) / known.phi, doubt)
    return _Row(segment.segment, reference, _beyond(bound, limits), known)


def _beyond(value: float, limits: AlertLimits) -> float:
    """The limit: the margin off; of the root of a mean square as the mean square that it is."""
    if limits.metric == "rmse":
        return float((value + limits.margin) ** 2)
    return value + limits.margin if limits.metric == "mae" else max(0.0, value - limits.margin)


def _worst_share(share: float, rows: float, doubt: float) -> float:
    """The lower bound of a share (Clopper and Pearson)."""
    right = share * rows
    return float(betaincinv(right, rows - right + 1, doubt)) if right > 0 else 0.0


def _worst_mean(reference: float, blocks: list[list[float]], metric: str, doubt: float) -> float:
    """The upper bound of a mean loss, by Student's law over the reference's own windows; as it is where there are not two."""
    means = np.array([row[1 + LOSSES.index(metric)] / row[0] for row in blocks])
    if len(means) < 2:
        return reference
    far = float(stdtrit(len(means) - 1, 1 - doubt)) * float(means.std(ddof=1)) / math.sqrt(len(means))
    return reference + far if metric == "mae" else math.sqrt(reference**2 + far)


def _spread(segment: SegmentReference, settings: ModelSettings) -> Spread:
    """That of right answers, by whatever metric is judged."""
    blocks = _blocks(segment, settings)
    if settings.task == "regression" or not all(len(row) == 2 and 0 <= row[1] <= row[0] for row in blocks):
        return INDEPENDENT
    return spread([row[1] for row in blocks], [row[0] for row in blocks])


def _blocks(segment: SegmentReference, settings: ModelSettings) -> list[list[float]]:
    """Rows and sums of the reference's own windows, those of a cycle together."""
    size, sums = settings.alerts.cycle or settings.window, dict[float, list[float]]()
    for start, *row in segment.windows:
        before = sums.setdefault(start // size, [0.0] * len(row))
        sums[start // size] = [a + b for a, b in zip(before, row, strict=True)]
    return [row for row in sums.values() if row and row[0] > 0]


def _rows(segment: SegmentReference, metric: str) -> float:
    """Of how many rows the reference value is a share; a tenth of them where that cannot be told."""
    if metric == "accuracy":
        return float(segment.predictions)
    positive = _predicted_positive(segment.metrics)
    if positive is None:
        return segment.predictions / 10
    precision, recall = segment.metrics["precision"], segment.metrics["recall"]
    return segment.predictions * (positive if metric == "precision" else positive * precision / recall)


def _predicted_positive(metrics: dict[str, float]) -> float | None:
    """The share of rows that were predicted positive, from accuracy, precision and recall; None where they do not tell.

    >>> round(_predicted_positive({"accuracy": 0.8, "precision": 0.5, "recall": 0.5}), 6)
    0.2
    """
    accuracy, precision, recall = (metrics.get(name, 0.0) for name in ("accuracy", "precision", "recall"))
    wrong = (1 - precision) / precision + (1 - recall) / recall if precision > 0 and recall > 0 else 0.0
    return (1 - accuracy) / wrong / precision if wrong > 0 else None


def _positive_share(profile: ReferenceProfile | None, settings: ModelSettings) -> tuple[float, int] | None:
    if profile is None or settings.counted_as != "binary":
        return None
    share = _predicted_positive(profile.metrics)
    return None if share is None else (share, profile.predictions)
