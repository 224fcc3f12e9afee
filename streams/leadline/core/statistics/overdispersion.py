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
    n = np.array(rows, float)
    right = np.array(rights, float)[n > 0]
    n = n[n > 0]
    k, total = len(n), float(n.sum())
    share = float(right.sum()) / total if k else 0.0
    size = (total - float((n**2).sum()) / total) / (k - 1) if k >= FEWEST else 0.0
    if size <= 1 or not 0 < share < 1:
        return INDEPENDENT._replace(windows=k)
    phi = float((n * (right / n - share) ** 2).sum()) / ((k - 1) * share * (1 - share))
    bound = phi * (k - 1) / float(chdtri(k - 1, 0.95))
    return Spread(max(1.0, phi), min(1.0, max(0.0, (bound - 1) / (size - 1))), k)


def deflation(rows: Floats | float, rho: Floats | float) -> Floats:
    """By how much the evidence of a window of ``rows`` is to be divided (as a power of its likelihood ratio): 1 or more.

    >>> float(deflation(101, 0.05))
    6.0
    """
    return np.maximum(1.0, 1.0 + (np.asarray(rows, float) - 1.0) * rho)
