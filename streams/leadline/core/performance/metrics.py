"""The numbers of one window from its counts, each with its 95 % interval.

Undefined is None, never zero: anything where nothing matched, precision with no predicted positive, recall with no actual one, AUC
of one class.
"""

import math
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, stdtrit

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.windows.aggregates import SCORE_BINS, SUMS, UNIT, WindowCounts
from leadline.records import Metric

Z = 1.959963984540054
"""Standard normal quantile at 97.5 %."""

METRICS = "accuracy precision recall f1 logloss brier auc mean_score outcome_rate mae rmse bias auc_error".split()
_LOGITS = -16 + (np.arange(SCORE_BINS) - 0.5) * 32 / (SCORE_BINS - 2)
_SCORES = np.stack([expit(_LOGITS)] * 2)
_BRIER = np.stack([expit(_LOGITS) ** 2, expit(-_LOGITS) ** 2])
_LOGLOSS = np.stack([-log_expit(-_LOGITS), -log_expit(_LOGITS)])


def measure(counts: WindowCounts, *, regression: bool) -> dict[str, Any]:
    """Metrics with their 95 % intervals, and ``auc_error``, under the names of `WindowMetrics`; undefined is None.

    >>> measure(WindowCounts(), regression=False)["accuracy"] is None
    True
    """
    named: dict[str, Any] = dict.fromkeys(METRICS)
    if counts.tallies[1]:
        named |= _regression(counts) if regression else _binary(counts)
    return named


def _binary(counts: WindowCounts) -> dict[str, Any]:
    _, n, _, tp, fp, fn, tn = counts.tallies
    used, bins = counts.used, counts.bins
    sums = dict(zip(SUMS, counts.sums, strict=True))
    return {
        "accuracy": wilson(tp + tn, n),
        "precision": wilson(tp, tp + fp),
        "recall": wilson(tp, tp + fn),
        "f1": f1(tp, fp, fn),
        "logloss": _binned_mean(sums["logloss_sum"], _LOGLOSS[:, used], bins, math.inf),
        "brier": _binned_mean(sums["brier_sum"], _BRIER[:, used], bins, 1.0),
        "mean_score": _binned_mean(sums["score_sum"], _SCORES[:, used], bins, 1.0),
        "outcome_rate": wilson(tp + fn, n),
        **_auc(bins[1], bins[0]),
    }


def _regression(counts: WindowCounts) -> dict[str, Any]:
    n = counts.tallies[1]
    score, outcome, _, _, error, absolute, squared = counts.sums
    return {
        "mean_score": Metric(score / (n * UNIT)),
        "outcome_rate": Metric(outcome / (n * UNIT)),
        "mae": _normal(absolute / (n * UNIT), _variance(absolute, squared, n), n, 0.0, math.inf),
        "rmse": _rmse(error, squared, n),
        "bias": _normal(error / (n * UNIT), _variance(error, squared, n), n, -math.inf, math.inf),
    }


def wilson(successes: int, trials: int) -> Metric | None:
    """A share and its Wilson score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953); None without trials.

    >>> wilson(9, 10)
    Metric(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    >>> wilson(0, 0) is None
    True
    """
    if not trials:
        return None
    value = successes / trials
    centre = (successes + Z * Z / 2) / (trials + Z * Z)
    half = Z / (trials + Z * Z) * math.sqrt(successes * (trials - successes) / trials + Z * Z / 4)
    return Metric(value, max(0.0, min(value, centre - half)), min(1.0, max(value, centre + half)))


def f1(tp: int, fp: int, fn: int) -> Metric | None:
    """F1 and its interval; None where nothing is positive, in truth or as predicted.

    F1 = 2J / (1 + J) rises with J = tp / (tp + fp + fn), which is a share, so the interval is that of J.

    >>> f1(1, 1, 1).value
    0.5
    """
    share = wilson(tp, tp + fp + fn)
    if share is None or share.low is None or share.high is None:
        return None
    return Metric(2 * tp / (2 * tp + fp + fn), 2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high))


def auc(positives: Ints, negatives: Ints) -> tuple[Metric, float] | None:
    """Area under the ROC curve from counts by rising score bin, and a bound of its distance from the exact one; None of one class.

    Pairs within a bin count one half; they are all that the bins do not know, so half their share is the bound. The interval is
    the score interval on the variance of Hanley and McNeil 1982 (doi 10.1148/radiology.143.1.7063747), which is Newcombe 2006's
    method 5 (doi 10.1002/sim.2324): sound for few pairs and for an AUC of 1. It is widened by the bound.

    >>> area, error = auc(np.array([0, 1, 9]), np.array([9, 1, 0]))
    >>> area.value, round(area.low, 4), area.high, error
    (0.995, 0.7866, 1.0, 0.005)
    """
    p, n = int(positives.sum()), int(negatives.sum())
    if not p * n:
        return None
    if p * n >= 2**62:
        positives, negatives = positives.astype(object), negatives.astype(object)
    within = positives * negatives
    twice = 2 * int((positives * (np.cumsum(negatives) - negatives)).sum()) + int(within.sum())
    value, error = twice / (2 * p * n), int(within.sum()) / (2 * p * n)
    low, high = 1 - _score_end(1 - value, p, n), _score_end(value, p, n)
    return Metric(value, max(0.0, min(value, low) - error), min(1.0, high + error)), error


def _auc(positives: Ints, negatives: Ints) -> dict[str, Any]:
    found = auc(positives, negatives)
    return dict(zip(("auc", "auc_error"), found, strict=True)) if found else {}


def _score_end(value: float, p: int, n: int) -> float:
    """The highest AUC that ``value`` does not speak against; by halving, to 1e-8."""
    spare = (p + n) / 2 - 1
    low, high = value, 1.0
    for _ in range(27):
        area = (low + high) / 2
        variance = area * (1 - area) * (1 + spare * (1 - area) / (2 - area) + spare * area / (1 + area)) / (p * n)
        low, high = (area, high) if (area - value) ** 2 <= Z * Z * variance else (low, area)
    return high


def _binned_mean(total: int, values: Floats, bins: Ints, most: float) -> Metric | None:
    """A mean that is exact, and an interval with the spread that the score bins show; None where they hold nothing."""
    n = int(bins.sum())
    if not n:
        return None
    spread = values - float((values * bins).sum()) / n
    return _normal(total / (n * UNIT), float((spread * spread * bins).sum()) / max(1, n - 1), n, 0.0, most)


def _variance(total: int, squares: int, n: int) -> float:
    return max(0, n * squares * UNIT - total * total) / (max(1, n - 1) * n * UNIT**2)


def _normal(value: float, variance: float, n: int, least: float, most: float) -> Metric:
    """A mean and Student's interval; without sides where a single pair tells no spread."""
    if n < 2:
        return Metric(value)
    half = float(stdtrit(n - 1, 0.975)) * math.sqrt(variance / n)
    return Metric(value, max(least, value - half), min(most, value + half))


def _rmse(error: int, squared: int, n: int) -> Metric:
    """Root mean squared error; the interval takes the errors as normal, for the sums hold no fourth power."""
    spread, bias = _variance(error, squared, n), error / (n * UNIT)
    square = _normal(squared / (n * UNIT), 2 * spread * spread + 4 * spread * bias * bias, n, 0.0, math.inf)
    low, high = (None if side is None else math.sqrt(side) for side in (square.low, square.high))
    return Metric(math.sqrt(square.value), low, high)
