"""Where the final value of a window will be, learned from how far earlier windows were from theirs at the same age.

An error is the final value less the value at that age, in units of the value's own model standard error, so that windows of other sizes
compare. It holds as far as windows to come err as those before: what changes, or goes on from window to window, takes from it, which
the share of intervals that held shows.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, stdtrit

FEWEST = 8
"""Windows from which an interval is learned."""
CONFORMAL = 19
"""Windows from which on one in twenty is further off than the furthest of them: the interval is at least as wide as that."""
Z = 1.959963984540054
_LEVEL, _UNLUCKY, _UNLIKE = 0.95, 0.01, 0.005


class Learned(NamedTuple):
    """For each number: the middle and half the width of the interval, in standard errors from the value; and of how many windows."""

    middle: NDArray[np.float64]
    half: NDArray[np.float64]
    windows: NDArray[np.int64]


def learned(errors: NDArray[np.float64]) -> Learned:
    """From the errors of earlier windows: a row a window, a column a number, NaN where there was none.

    Student's prediction interval of one value more; from 19 windows on as wide as the conformal one at least (the distances from the mean,
    each as far as it would be from the mean of the others). Never narrower than the model's own interval.

    >>> found = learned(np.array([[-1.0], [1.0]] * 4))
    >>> found.middle.tolist(), found.half.round(3).tolist(), found.windows.tolist()
    ([0.0], [2.681], [8])
    """
    known = np.isfinite(errors)
    windows = known.sum(axis=0)
    few = np.maximum(2, windows)
    middle = np.where(known, errors, 0).sum(axis=0) / np.maximum(1, windows)
    apart = np.where(known, np.abs(errors - middle), 0.0)
    spread = np.sqrt((apart**2).sum(axis=0) / (few - 1))
    half = stdtrit(few - 1, (1 + _LEVEL) / 2) * spread * np.sqrt(1 + 1 / few)
    if len(errors) >= CONFORMAL:
        rank = np.minimum(few, np.ceil(_LEVEL * (few + 1)).astype(np.int64)) - 1
        furthest = np.take_along_axis(np.sort(np.where(known, apart, np.inf), axis=0), rank[None], axis=0)[0]
        half = np.maximum(half, np.where(windows >= CONFORMAL, furthest * few / (few - 1), 0.0))
    return Learned(middle, np.maximum(half, Z), windows)


def unlucky(hits: NDArray[np.int64], published: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether intervals that hold in 95 of 100 cases would hold so seldom by chance in one case of a hundred only.

    >>> unlucky(np.array([19, 15, 0]), np.array([20, 20, 0])).tolist()
    [False, True, False]
    """
    few: NDArray[np.bool_] = (published > 0) & (bdtr(hits, published, _LEVEL) < _UNLUCKY)
    return few


def unlike(share: float, younger: NDArray[np.float64], older: NDArray[np.float64]) -> bool:
    """Whether a share of labels is below what earlier windows had when they were a little younger, or above what they had a little older.

    There are two of them at least. Their own range does not count as outside, however narrow it is.

    >>> few, more = np.array([0.40, 0.41, 0.39, 0.40]), np.array([0.50, 0.52, 0.48, 0.50])
    >>> [unlike(share, few, more) for share in (0.1, 0.45, 0.9)]
    [True, False, True]
    """
    below = share < younger.min() and younger.mean() - share > _far(younger)
    return bool(below or (share > older.max() and share - older.mean() > _far(older)))


def _far(shares: NDArray[np.float64]) -> float:
    k = len(shares)
    return float(stdtrit(k - 1, 1 - _UNLIKE) * shares.std(ddof=1) * np.sqrt(1 + 1 / k))
