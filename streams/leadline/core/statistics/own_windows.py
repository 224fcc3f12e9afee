"""How far a reference's own windows are from the rest of it: the law of a distance where rows are not independent.

The logarithm of the distance is taken as normal, of unknown mean and variance: a new one is judged by Student's law of a prediction.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from leadline.core.statistics.distances import Distance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAST_WINDOWS = 8
"""Fewer own windows say too little of their spread."""
CORRELATED = 0.2
"""Windows whose distances correlate more than this are neighbours."""
LEAST_SHARE = 0.5
"""An own window with less than this of the median window's values is one that the reference cuts."""
FLOOR = 0.25
"""Of the distance that chance makes: nearer than this is as near."""
LEAST_SPREAD = 0.05
"""Of the logarithm: own windows that are all alike do not make any difference one."""
_SOME = 1e-9


class OwnWindows(NamedTuple):
    """Distances of the own windows, each to the power in which chance and change add, and what chance has in each.

    ``n``: values of the median window. ``freedom``: of the chi-square by which chance varies.
    """

    distances: Floats
    noise: Floats
    n: float
    freedom: int

    @property
    def total(self) -> int:
        return len(self.distances)

    @property
    def enough(self) -> bool:
        """Whether there are so many that they say how far a further one is."""
        return self.total >= LEAST_WINDOWS

    def p_value(self, distance: float, noise: float) -> float:
        """Chance that a further own window is as far away, where chance has ``noise`` in it."""
        mean, spread = self._law(noise)
        excess = math.log(max(distance, FLOOR * noise)) - mean
        return float(stdtr(self.total - 1, -excess / spread))

    def limit(self, level: float, noise: float) -> float:
        """The distance beyond which the p value is below ``level``."""
        mean, spread = self._law(noise)
        return math.exp(mean - float(stdtrit(self.total - 1, level)) * spread)

    def _law(self, noise: float) -> tuple[float, float]:
        """Mean and spread of the logarithm of a further distance, of a window of another size: with as much ``noise``.

        Where the window is smaller, chance varies more in it than in the own windows: by the variance of a chi-square, and what it adds to
        a change.
        """
        chance = np.minimum(self.distances, self.noise)
        change = self.distances - chance
        logs = np.log(np.maximum(change + chance * (noise / self.noise), FLOOR * noise))
        before = np.minimum(self.noise, noise)
        more = 2 * (noise**2 - before**2 + 2 * change * (noise - before)) / self.freedom
        variance = float(logs.var(ddof=1)) + float((more / (change + noise) ** 2).mean())
        return float(logs.mean()), max(LEAST_SPREAD, math.sqrt(variance * (1 + 1 / self.total)))


NO_WINDOWS = OwnWindows(np.zeros(0), np.zeros(0), math.inf, 1)


def own_windows(windows: Ints, reference: Ints, distance: Distance) -> OwnWindows:
    """Each window (row of counts, in the order of time) against the rest of the reference.

    The rest is the reference without the window and its neighbours: as many before and after it as `neighbours` says of the distances.
    """
    sizes = windows.sum(axis=1)
    whole = windows[sizes >= max(1.0, LEAST_SHARE * float(np.median(sizes[sizes > 0])))] if sizes.any() else windows[:0]
    plain = _distances(whole, reference, distance, 0)
    if not plain.enough:
        return plain
    reach = neighbours(np.log(np.maximum(plain.distances, FLOOR * plain.noise)))
    return _distances(whole, reference, distance, reach) if reach else plain


def neighbours(series: Floats) -> int:
    """How many before and after each correlate with it; a quarter of the series at most.

    >>> neighbours(np.array([1.0, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3, 4, 5, 4, 3, 2])), neighbours(np.tile([0.0, 1.0], 8))
    (1, 0)
    """
    centred = series - series.mean()
    total = float((centred**2).sum())
    most = len(series) // 4
    for lag in range(1, most + 1):
        if not total or float((centred[lag:] * centred[:-lag]).sum()) < CORRELATED * total:
            return lag - 1
    return most


def _distances(windows: Ints, reference: Ints, distance: Distance, reach: int) -> OwnWindows:
    count, sizes = len(windows), windows.sum(axis=1)
    below = np.concatenate([np.zeros((1, windows.shape[1]), np.int64), np.cumsum(windows, axis=0)])
    at = np.arange(count)
    around = below[np.minimum(at + reach + 1, count)] - below[np.maximum(at - reach, 0)]
    rest = np.maximum(reference - around, 0)
    left = rest.sum(axis=1)
    if not count or not left.all():
        return NO_WINDOWS
    n = float(np.median(sizes))
    noise = distance.by_chance(reference, sizes, left)
    return OwnWindows(
        distance.of(windows, rest, n) ** distance.power,
        np.maximum(noise, _SOME),
        n,
        max(1, distance.freedom(windows.shape[1])),
    )
