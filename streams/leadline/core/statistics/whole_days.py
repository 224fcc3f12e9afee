"""Whether what adds up over the rows of whole days is above nothing: rows of a day are not independent, so a day counts once.

Neighbouring days are taken as independent of each other; that they are not is cured by nothing here.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

Floats = NDArray[np.float64]

EXACT_DAYS = 16
"""Of so many days all signs are tried; of more, some are drawn."""
LEAST_DAYS = 5
"""Fewer sums say too little of their spread for Student's law."""
_LEAST_DRAWS, _MOST_DRAWS = 9_999, 2_000_000
_AT_ONCE = 4_000_000
_SAME = 1e-9
"""Sums that differ by less than this part of all of them are equal, whatever the order in which they were added."""


def day_sums(values: Floats, days: NDArray[np.int64]) -> Floats:
    """The sum of each day that has any row.

    >>> day_sums(np.array([1.0, 2.0, 4.0]), np.array([20, 3, 20])).tolist()
    [2.0, 5.0]
    """
    different, at = np.unique(days, return_inverse=True)
    found: Floats = np.bincount(at, weights=values, minlength=len(different)).astype(np.float64)
    return found


def least_days(level: float) -> int:
    """With how many days sign flips can be as rare as ``level`` at all.

    >>> least_days(0.05), least_days(0.05 / 20)
    (5, 9)
    """
    return math.ceil(math.log2(1 / level))


def sign_flips(sums: Floats, level: float, chance: np.random.Generator) -> float:
    """Chance of so large a total, or a larger one, where each day's sum might as well have had the other sign.

    Exact up to `EXACT_DAYS` days that are not 0; of more days ``chance`` draws signs, the more the smaller ``level`` is, and the observed
    ones count as one draw, so that the level holds. Where two versions are equally good, day by day, their names may be swapped.

    >>> sign_flips(np.array([1.0, 2.0, 3.0]), 0.05, np.random.default_rng(0))
    0.125
    """
    sums = sums[sums != 0]
    least = sums.sum() - _SAME * np.abs(sums).sum()
    if len(sums) <= EXACT_DAYS:
        return float((_all_totals(sums) >= least).mean())
    draws = int(np.clip(math.ceil(20 / level), _LEAST_DRAWS, _MOST_DRAWS))
    reached = sum(int((totals >= least).sum()) for totals in _drawn_totals(sums, draws, chance))
    return (1 + reached) / (1 + draws)


def student(sums: Floats) -> float:
    """Chance of so large a mean, or a larger one, by Student's law, where sums are 0 in the mean; 1 of less than two.

    >>> round(student(np.array([1.0, 2.0, 3.0])), 4)
    0.0371
    """
    count = len(sums)
    if count < 2:
        return 1.0
    mean, error = float(sums.mean()), float(sums.std(ddof=1)) / math.sqrt(count)
    if not error:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(count - 1, -mean / error))


def _all_totals(sums: Floats) -> Floats:
    totals = np.zeros(1)
    for each in sums:
        totals = np.concatenate([totals + each, totals - each])
    return totals


def _drawn_totals(sums: Floats, draws: int, chance: np.random.Generator) -> Iterator[Floats]:
    """Totals with signs that are drawn, some at a time."""
    step = max(1, _AT_ONCE // len(sums))
    for start in range(0, draws, step):
        kept = chance.integers(0, 2, (min(step, draws - start), len(sums)), np.int8)
        yield 2.0 * (kept @ sums) - sums.sum()
