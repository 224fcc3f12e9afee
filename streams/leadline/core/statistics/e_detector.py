"""Detectors that may look at each window: the expected number of windows to a false alarm is at least c.

Shin, Ramdas and Rinaldo 2024, E-detectors (doi 10.51387/23-NEJSDS51), in the CUSUM form ``M = max(M, 1) * L``: L is what a bet on one
alternative wins in a window, at most 1 in expectation where nothing is wrong. There is one M for each alternative, and their mean counts.
All is in logarithms; rows are subjects (segments), columns are alternatives.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

Floats = NDArray[np.float64]
FALLS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Alternatives: how far the share lies beyond its limit."""
STAKES = (0.1, 0.25, 0.5, 0.9)
"""Of the proven mode: what is bet."""
MOST = 460.0
"""A logarithm of evidence is held at this: it is past every limit."""
NOTHING = -np.inf
"""The logarithm of evidence that was taken away."""


def grow(log_m: Floats, log_l: Floats) -> Floats:
    """The evidence after one window more.

    >>> grow(np.array([2.0, -3.0]), np.array([1.0, 1.0])).tolist()
    [3.0, 1.0]
    """
    grown: Floats = np.minimum(np.maximum(log_m, 0.0) + log_l, MOST)
    return grown


def binomial(right: Floats, n: Floats, limit: Floats, falls: tuple[float, ...] = FALLS) -> Floats:
    """Logarithms of the likelihood ratios of counts, "the share is lower by one of ``falls``" against "it is at the limit".

    An alternative below 0 is replaced by half of the limit. One row a subject, one column a fall. Negative ``falls`` speak for a share
    above the limit, those above 1 are replaced by the middle between limit and 1.
    """
    limit = np.clip(np.asarray(limit, float), 1e-9, 1 - 1e-9)[..., None]
    other = limit - np.array(falls)
    other = np.where(other <= 0, limit / 2, np.where(other >= 1, (1 + limit) / 2, other))
    wrong = np.asarray(n - right, float)[..., None]
    log_l: Floats = np.asarray(right, float)[..., None] * np.log(other / limit)
    log_l += wrong * np.log((1 - other) / (1 - limit))
    return log_l


def bets(value: Floats, limit: Floats, most: float | None) -> Floats:
    """Logarithms of what bets on "the value is beyond its limit" win; they hold for every stream whose expected value is not beyond it.

    ``most`` is the best value that there is, where less is worse (a share: 1). None: more is worse, and 0 is the best (a loss).
    """
    value, limit = np.asarray(value, float), np.asarray(limit, float)
    beyond, room = (value - limit, limit) if most is None else (limit - value, most - limit)
    gain = beyond / np.maximum(room, 1e-12)
    log_l: Floats = np.log1p(np.array(STAKES) * np.maximum(gain, -1.0)[..., None])
    return log_l


def p_to_e(log_p: Floats | float) -> Floats:
    """The logarithm of the evidence ``p ** -0.5 / 2`` of a p value.

    >>> round(float(np.exp(p_to_e(np.log(0.0001)))), 6)
    50.0
    """
    evidence: Floats = np.minimum(-0.5 * np.asarray(log_p, float) - np.log(2.0), MOST)
    return evidence


def log_p_below(value: float, limit: float, deviation: float) -> float:
    """The logarithm of the chance of a value as low as this, or lower, where a normal law of this deviation stands at the limit."""
    return float(log_ndtr((value - limit) / max(deviation, 1e-12)))


def mean_evidence(log_m: Floats) -> Floats:
    """The logarithm of the mean over the alternatives of each subject."""
    return np.asarray(logsumexp(log_m, axis=-1) - np.log(log_m.shape[-1]))


def weighed(log_m: Floats, weights: Floats) -> tuple[float, Floats]:
    """The logarithm of the weighted sum over subjects, and of each subject's part of it.

    >>> total, parts = weighed(np.log([[8.0, 0.5], [2.0, 2.0]]), np.array([0.5, 0.5]))
    >>> round(float(np.exp(total)), 6), np.exp(parts).round(6).tolist()
    (3.125, [2.125, 1.0])
    """
    with np.errstate(divide="ignore"):
        parts = mean_evidence(log_m) + np.log(weights)
    return float(logsumexp(parts)), parts


def spend(log_m: Floats, weights: Floats, log_c: float) -> tuple[Floats, list[int]]:
    """What is left after an alarm, and the subjects that paid: the largest M become 0 until what was taken away reaches c."""
    with np.errstate(divide="ignore"):
        worth = (log_m + np.log(weights)[:, None] - np.log(log_m.shape[1])).ravel()
    order = np.argsort(-worth, kind="stable")
    taken = np.logaddexp.accumulate(worth[order])
    count = min(int(np.searchsorted(taken, log_c)) + 1, len(order))
    left = log_m.copy()
    left.ravel()[order[:count]] = NOTHING
    return left, sorted({int(i) // log_m.shape[1] for i in order[:count]})
