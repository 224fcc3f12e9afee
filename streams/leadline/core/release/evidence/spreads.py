"""By how much evidence is divided because the pairs of a window are not independent of each other."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from leadline.core.release.evidence.counted import Cells, Floats
from leadline.core.statistics.overdispersion import Spread, deflation, spread_of, spread_of_steps

LEAST_WINDOWS = 3
"""Fewer say nothing of how far they lie apart, and then there is no evidence at all."""


class Divided(NamedTuple):
    """By how much evidence is divided: for a promotion, and for a rollback; from how many windows that is known.

    For a rollback a lasting change from good to bad must not count as spread, which would hide it: so it is the lesser of the spread and
    of what the steps from window to window tell.
    """

    promotion: float
    rollback: float
    windows: int


def divided(of: Cells, reference: Spread) -> Divided | None:
    """None where too little is known."""
    spread, steps = (_divided(of, reference, by) for by in (spread_of, spread_of_steps))
    return Divided(spread[0], min(spread[0], steps[0]), spread[1]) if spread and steps else None


def _divided(of: Cells, reference: Spread, by: Callable[[Floats, Floats, Floats], Spread]) -> tuple[float, int] | None:
    """The upper bound of the spread of its own windows, or of a reference that has more; then never less than the spread that is seen.

    One number for all windows: if small ones were divided by less, they would count for more than their pairs. Blocks of several windows
    may lie further apart than their windows tell, where windows that follow each other are alike: never less than what is seen of them.
    """
    table = np.array([of.frozen.lower @ of.grid, of.frozen.lower @ of.grid**2, of.pairs])
    own = by(*table)
    known = max(own, reference, key=lambda each: each.windows)
    if known.windows < LEAST_WINDOWS or not of.pairs.any():
        return None
    seen = own.phi if known is reference else 1.0
    blocks = np.array([np.bincount(of.block, row, of.blocks) for row in table])
    if np.count_nonzero(blocks[2]) < np.count_nonzero(table[2]):
        seen = max(seen, by(*blocks).phi)
    expected = np.average(deflation(of.pairs, known.rho), weights=of.pairs * of.weights**2)
    return max(float(expected), seen), known.windows
