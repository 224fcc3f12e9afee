"""Values with their 95 % intervals."""

import math
from typing import NamedTuple

from scipy.special import stdtrit

from leadline.records import Metric

Z = 1.959963984540054
"""Standard normal quantile at 97.5 %."""


def wilson(successes: float, trials: float) -> Metric | None:
    """A share and its Wilson score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953); None without trials.

    Of an expected share, both may be parts of whole numbers.

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


def student(value: float, variance: float, n: float, least: float = -math.inf, most: float = math.inf) -> Metric:
    """A mean of ``n`` values and Student's interval, cut at what the mean can be at least and at most.

    Without sides where ``n`` is 1: a single value shows no spread.

    >>> student(0.5, 4.0, 25, most=1.0)
    Metric(value=0.5, low=-0.3255594246512099, high=1.0)
    >>> student(0.5, 0.0, 1)
    Metric(value=0.5, low=None, high=None)
    """
    if n < 2:
        return Metric(value)
    half = float(stdtrit(n - 1, 0.975)) * math.sqrt(variance / n)
    return Metric(value, max(least, value - half), min(most, value + half))


class Unseen(NamedTuple):
    """Values that were not there and might have been: how many, their mean, and their squares about it."""

    number: int
    mean: float
    squares: float


def guarded(
    value: float, squares: float, n: int, unseen: Unseen, least: float = -math.inf, most: float = math.inf
) -> Metric:
    """A mean and Student's interval of its ``n`` values and the unseen ones, which holds the mean itself.

    What is rare and large is often not among few values, so that their own spread is too small: for shares, Agresti and Coull (1998,
    doi 10.1080/00031305.1998.10480550) add two successes and two failures for that reason. ``squares`` are those about the mean. Without
    sides where there is one value, or no spread at all.

    >>> found = guarded(0.01, 0.0, 20, Unseen(4, 2.3, 20.0), 0.0)
    >>> found.value, found.low, round(found.high, 2)
    (0.01, 0.0, 0.93)
    """
    total = n + unseen.number
    spread = squares + unseen.squares + n * unseen.number / total * (value - unseen.mean) ** 2
    if n < 2 or not spread:
        return Metric(value)
    centre = value + (unseen.mean - value) * unseen.number / total
    half = float(stdtrit(total - 1, 0.975)) * math.sqrt(spread / (total - 1) / total)
    return Metric(value, max(least, min(value, centre - half)), min(most, max(value, centre + half)))


def auc_end(value: float, positives: float, negatives: float) -> float:
    """The highest AUC that one of ``value`` does not speak against; by halving, to 1e-8.

    The score interval on the variance of Hanley and McNeil 1982 (doi 10.1148/radiology.143.1.7063747), which is Newcombe 2006's method
    5 (doi 10.1002/sim.2324): sound for few pairs and for an AUC of 1.
    """
    spare, pairs = (positives + negatives) / 2 - 1, positives * negatives
    low, high = value, 1.0
    for _ in range(27):
        area = (low + high) / 2
        variance = area * (1 - area) * (1 + spare * (1 - area) / (2 - area) + spare * area / (1 + area)) / pairs
        low, high = (area, high) if (area - value) ** 2 <= Z * Z * variance else (low, area)
    return high
