"""The numbers of a binary model's window from its counts, each with its 95 % interval."""

import math
from typing import Any

import numpy as np
from scipy.special import expit, log_expit

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.statistics.intervals import Unseen, auc_end, guarded, wilson
from leadline.core.windows.aggregates.by_score import SCORE_BINS
from leadline.core.windows.aggregates.sums import UNIT
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric

_LOGITS = -16 + (np.arange(SCORE_BINS) - 0.5) * 32 / (SCORE_BINS - 2)
"""The middle of each score bin."""
_SCORES = np.stack([expit(_LOGITS)] * 2)
_BRIER = np.stack([expit(_LOGITS) ** 2, expit(-_LOGITS) ** 2])
_LOGLOSS = np.stack([-log_expit(-_LOGITS), -log_expit(_LOGITS)])
"""The score and the losses of a prediction in the middle of each bin: a row where the outcome is negative, one where it is positive."""


def binary(counts: WindowCounts) -> dict[str, Any]:
    """Metrics with their intervals, and ``auc_error``, of a window with matched predictions."""
    n = counts.tallies[1]
    tp, fp, fn, tn = counts.confusion
    score_sum, _, logloss_sum, brier_sum, *_ = counts.sums
    used, bins = counts.outcomes.used, counts.outcomes.counts
    return {
        "accuracy": wilson(tp + tn, n),
        "precision": wilson(tp, tp + fp),
        "recall": wilson(tp, tp + fn),
        "f1": f1(tp, fp, fn),
        "logloss": _mean(logloss_sum, _LOGLOSS[:, used], bins, _either_outcome(_LOGLOSS[:, used], bins), math.inf),
        "brier": _mean(brier_sum, _BRIER[:, used], bins, _either_outcome(_BRIER[:, used], bins), 1.0),
        "mean_score": _mean(score_sum, _SCORES[:, used], bins, _LEAST_AND_MOST, 1.0),
        "outcome_rate": wilson(tp + fn, n),
        **_auc(*bins),
    }


def decision(counts: WindowCounts) -> dict[str, Any]:
    """The same where scores are no probabilities: without what needs them."""
    return {name: value for name, value in binary(counts).items() if name not in ("logloss", "brier", "mean_score")}


def f1(tp: float, fp: float, fn: float) -> Metric | None:
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

    Pairs within a bin count one half; they are all that the bins do not know, so half their share is the bound. The interval (see
    `leadline.core.statistics.intervals.auc_end`) is widened by the bound.

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
    low, high = 1 - auc_end(1 - value, p, n), auc_end(value, p, n)
    return Metric(value, max(0.0, min(value, low) - error), min(1.0, high + error)), error


def _auc(negatives: Ints, positives: Ints) -> dict[str, Any]:
    found = auc(positives, negatives)
    return dict(zip(("auc", "auc_error"), found, strict=True)) if found else {}


def _mean(total: int, values: Floats, bins: Ints, unseen: Unseen, most: float) -> Metric | None:
    """A mean that is exact, and an interval with the spread that the score bins show; None where they hold nothing."""
    n = int(bins.sum())
    if not n:
        return None
    spread = values - float((values * bins).sum()) / n
    return guarded(total / (n * UNIT), float((spread * spread * bins).sum()), n, unseen, 0.0, most)


_LEAST_AND_MOST = Unseen(2, 0.5, 0.5)
"""A score of 0 and one of 1."""


def _either_outcome(values: Floats, bins: Ints) -> Unseen:
    """Two negative and two positive outcomes more, with scores as those that are there."""
    weights = 2 * bins.sum(axis=0) / max(1, int(bins.sum()))
    mean = float((values * weights).sum()) / 4
    return Unseen(4, mean, float(((values - mean) ** 2 * weights).sum()))
