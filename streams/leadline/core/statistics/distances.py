"""How far two distributions over the same cells are apart; cells along the last axis, shares that add to 1.

`Distance.of` takes the counts of one or more samples and of as many references. ``noise`` says how large a distance is by chance.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64] | Floats


def psi(p: Floats, q: Floats) -> Floats:
    """Population stability index; no share may be 0."""
    return _sum((p - q) * np.log(p / q))


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen-Shannon distance: the root of the divergence, by natural logarithms; 0 to 0.833."""
    middle = (p + q) / 2
    return np.sqrt(np.maximum(_sum(_entropy(middle) - (_entropy(p) + _entropy(q)) / 2), 0))


def kolmogorov_smirnov(p: Floats, q: Floats) -> Floats:
    """The largest difference of the cumulative shares."""
    largest: Floats = np.abs(np.cumsum(p - q, axis=-1)).max(axis=-1)
    return largest


def wasserstein(p: Floats, q: Floats) -> Floats:
    """Earth mover's distance where neighbouring cells are 1 apart: over how many cells the average value has moved."""
    return _sum(np.abs(np.cumsum(p - q, axis=-1)[..., :-1]))


def cohen_h(p: Floats, q: Floats) -> Floats:
    """Difference of the share of the last cell, after the arcsine of its root (Cohen 1988); 0.2 is called small."""
    change: Floats = 2 * np.abs(np.arcsin(np.sqrt(p[..., -1])) - np.arcsin(np.sqrt(q[..., -1])))
    return change


def _sum(terms: Floats) -> Floats:
    total: Floats = terms.sum(axis=-1)
    return total


def _entropy(p: Floats) -> Floats:
    known: Floats = -p * np.log(np.where(p > 0, p, 1.0))
    return known


class Distance(NamedTuple):
    """A distance and its law without change.

    ``between``: of shares. ``power``: the distance to this power grows with squared differences, so that what chance and what a change
    add to it are summed. ``noise``: expectation of that power, in units of ``1/n + 1/m``, by the shares of the reference. ``smooth``: half
    a count is added to each cell, so that an empty one is not infinite. ``ordered``: it asks for the order of the cells.
    """

    name: str
    between: Callable[[Floats, Floats], Floats]
    power: int
    noise: Callable[[Floats], float]
    freedom: Callable[[int], int]
    smooth: bool = False
    ordered: bool = False

    def of(self, live: Numbers, reference: Numbers, most: float = math.inf) -> Floats:
        """The distance of counts. Half a count is one of the sample's size, or of ``most`` where that is less: then a sample of any
        larger size is as far away as one of that size.
        """
        return self.between(self._shares(live, most), self._shares(reference))

    def by_chance(self, reference: Numbers, n: float | Numbers, m: float | Numbers) -> Floats:
        """What chance adds to the power of the distance of ``n`` values from ``m`` of the reference. It has half a count more in each cell:
        chance may come to where the reference has nothing.
        """
        shares = (reference + 0.5) / (reference.sum() + len(reference) / 2)
        added: Floats = self.noise(shares) * (1 / np.asarray(n) + 1 / np.asarray(m))
        return added

    def _shares(self, counts: Numbers, most: float = math.inf) -> Floats:
        total = counts.sum(axis=-1, keepdims=True)
        shares: Floats = counts / total
        half = 0.5 / np.minimum(total, most) if self.smooth else np.zeros_like(shares[..., :1])
        smoothed: Floats = (shares + half) / (1 + counts.shape[-1] * half)
        return smoothed


def _variance(q: Floats) -> Floats:
    """Of the cumulative shares of a sample, times its size."""
    below = np.cumsum(q)[:-1]
    variance: Floats = np.maximum(below * (1 - below), 0.0)
    return variance


PSI = Distance("psi", psi, 1, lambda q: len(q) - 1, lambda cells: cells - 1, smooth=True)
JENSEN_SHANNON = Distance("jensen-shannon", jensen_shannon, 2, lambda q: (len(q) - 1) / 8, lambda cells: cells - 1)
KOLMOGOROV_SMIRNOV = Distance(
    "ks", kolmogorov_smirnov, 2, lambda q: float(_variance(q).max(initial=0)), lambda _: 2, ordered=True
)
WASSERSTEIN = Distance(
    "wasserstein",
    wasserstein,
    2,
    lambda q: float(np.sqrt(_variance(q)).sum()) ** 2 * 2 / math.pi,
    lambda _: 2,
    ordered=True,
)
COHEN_H = Distance("cohen-h", cohen_h, 2, lambda _: 1.0, lambda _: 1)
"""For a share: of two cells, what is not so and what is."""
BY_NAME = {each.name: each for each in (PSI, JENSEN_SHANNON, KOLMOGOROV_SMIRNOV, WASSERSTEIN)}
