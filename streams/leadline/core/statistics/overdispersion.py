"""How much the shares of windows vary beyond the binomial law: rows of one day are not independent.

Model: the variance of a window's share is ``p (1 - p) (1 + (n - 1) rho) / n``, with one correlation rho between the rows of a window.
phi is that variance over the binomial one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

Floats = NDArray[np.float64]
FEWEST = 2
"""Windows below which nothing is known of their spread."""


class Spread(NamedTuple):
    """How far windows lie apart: ``phi`` as found, ``rho`` at its upper 95 % bound, ``windows`` of which it was found."""

    phi: float
    rho: float
    windows: int


INDEPENDENT = Spread(1.0, 0.0, 0)
"""Nothing is known: rows are taken as independent."""


def spread(rights: Sequence[float], rows: Sequence[float]) -> Spread:
    """The spread of windows with so many right answers of so many rows.

    The bound: phi times (k - 1) over the 5 % quantile of chi-square with k - 1 degrees of freedom.

    >>> spread([90, 90, 90, 90], [100, 100, 100, 100])
    Spread(phi=1.0, rho=0.0, windows=4)
    >>> spread([60, 100, 60, 100, 60, 100, 60, 100], [100] * 8).phi > 28
    True
    """
    return spread_of(np.array(rights, float), np.array(rights, float), np.array(rows, float))


def spread_of(sums: Floats, squares: Floats, rows: Floats) -> Spread:
    """The spread of windows with such sums of values, of their squares, and so many rows; `spread` for numbers of any kind.

    >>> alike = np.array([4.0, 4.0, 4.0])
    >>> spread_of(alike, np.array([10.0, 10.0, 10.0]), np.array([50.0, 50.0, 50.0]))
    Spread(phi=1.0, rho=0.0, windows=3)
    """
    sums, squares, n = sums[rows > 0], squares[rows > 0], rows[rows > 0]
    mean, variance = _law(sums, squares, n)
    if not variance:
        return INDEPENDENT._replace(windows=len(n))
    k = len(n)
    return _bounded(float((n * (sums / n - mean) ** 2).sum()) / ((k - 1) * variance), k - 1, n)


def spread_of_steps(sums: Floats, squares: Floats, rows: Floats) -> Spread:
    """The same from how far each window is from the one before it: a lasting change of the mean is one step, and no spread.

    Of normal values the mean square of steps is as sure as that of two thirds as many deviations (von Neumann 1941,
    doi 10.1214/aoms/1177731677). Where neighbours are alike it is less than the spread.

    >>> moved = np.array([5.0] * 9 + [25.0] * 9)
    >>> rows = np.full(18, 50.0)
    >>> round(spread_of(moved, moved, rows).phi, 1), round(spread_of_steps(moved, moved, rows).phi, 1)
    (10.1, 1.1)
    """
    sums, squares, n = sums[rows > 0], squares[rows > 0], rows[rows > 0]
    variance = _law(sums, squares, n)[1]
    if not variance:
        return INDEPENDENT._replace(windows=len(n))
    k, steps = len(n), np.diff(sums / n) ** 2 / (1 / n[1:] + 1 / n[:-1])
    return _bounded(float(steps.mean()) / variance, 2 * (k - 1) ** 2 / (3 * k - 4), n)


def _law(sums: Floats, squares: Floats, n: Floats) -> tuple[float, float]:
    """Mean and variance of the values; no variance where windows or values are too few, or all alike."""
    k, total = len(n), float(n.sum())
    if k < FEWEST or _size(n) <= 1:
        return 0.0, 0.0
    mean = float(sums.sum()) / total
    variance = float(squares.sum()) / total - mean**2
    return mean, variance if variance > 1e-12 else 0.0


def _size(n: Floats) -> float:
    """How many rows a window has, as far as its spread goes."""
    total = float(n.sum())
    return (total - float((n**2).sum()) / total) / (len(n) - 1)


def _bounded(phi: float, freedom: float, n: Floats) -> Spread:
    bound = phi * freedom / float(chdtri(freedom, 0.95))
    return Spread(max(1.0, phi), min(1.0, max(0.0, (bound - 1) / (_size(n) - 1))), len(n))


def deflation(rows: Floats | float, rho: Floats | float) -> Floats:
    """By how much the evidence of a window of ``rows`` is to be divided (as a power of its likelihood ratio): 1 or more.

    >>> float(deflation(101, 0.05))
    6.0
    """
    return np.maximum(1.0, 1.0 + (np.asarray(rows, float) - 1.0) * rho)
