"""The grid on which loss differences are counted, so that they add, take back and merge exactly.

The difference of two losses, each bounded and divided by its bound, is from -1 to 1. It is split over its two neighbours on a grid that
is finer towards 0, by shares that keep its mean, as whole numbers of 2^-20. What does not come out even is given to the lower neighbour
in one tally, to the upper one in another: whichever of them is used, it errs on a known side.
"""

import numpy as np

from leadline.core.columnar.columns import Floats, Ints

ONE = 2**20
"""A whole difference."""
_STEPS = 16
GRID: Floats = np.array([j * abs(j) / _STEPS**2 for j in range(-_STEPS, _STEPS + 1)])
"""The points, in order: plus and minus (j/16)^2, j = 0..16."""


def neighbours(differences: Floats) -> tuple[Ints, Ints, Ints]:
    """The number of the lower neighbour of each difference, and what the upper one gets: rounded down, and rounded up.

    >>> [each.tolist() for each in neighbours(np.array([-1.0, 0.0, 1 / 512, 1.0]))]
    [[0, 16, 16, 31], [0, 0, 524288, 1048576], [0, 0, 524288, 1048576]]
    """
    below = np.clip(np.searchsorted(GRID, differences, side="right") - 1, 0, len(GRID) - 2)
    share = (differences - GRID[below]) / (GRID[below + 1] - GRID[below]) * ONE
    return below, np.floor(share).astype(np.int64), np.ceil(share).astype(np.int64)


def difference(first: Floats, second: Floats, bound: Floats) -> Floats:
    """The difference of the losses of two versions from their errors, and the bound beside them.

    >>> difference(np.array([3.0, -9.0]), np.array([1.0, 0.5]), np.array([4.0, 4.0])).tolist()
    [0.5, 0.875]
    """
    losses = (np.minimum(np.abs(each), bound) for each in (first, second))
    found: Floats = np.subtract(*losses) / bound
    return found
