"""The pairs of windows that are due, as columns: a row a cell (a window at one sampling rate), a column a difference."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.release.evidence.terms import Terms
from leadline.core.windows.loss_grid import GRID, ONE
from leadline.records import Comparison, PairCounts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_CLASSES = np.array([-1.0, 0.0, 1.0])


class Tallies(NamedTuple):
    """How many pairs had which difference: where it is between two values of the grid, rounded against the challenger and for it.

    ``unlike``: pairs in which the versions differ, and without a label, or without a bound of losses: the difference may be anything.
    """

    lower: Floats
    upper: Floats
    unlike: Floats

    @property
    def lost(self) -> Floats:
        """As if the challenger was wrong in each pair without a label."""
        return _with(self.lower, 0, self.unlike)

    @property
    def won(self) -> Floats:
        """As if the champion was."""
        return _with(self.upper, -1, self.unlike)


class Cells(NamedTuple):
    """The due pairs of one segment. ``block``: which one a cell belongs to, of ``blocks``. ``weights``: for what part of its stakes a cell
    bets: a pair of a rate stands for fewer requests than one of the lowest. ``frozen``: as they were known when due; ``restated``: now.
    """

    segment: str
    grid: Floats
    block: Ints
    blocks: int
    weights: Floats
    frozen: Tallies
    restated: Tallies

    @property
    def pairs(self) -> Floats:
        """Of each cell, those of which the difference is known."""
        counts: Floats = self.frozen.lower.sum(axis=1)
        return counts

    @property
    def corrected(self) -> bool:
        """Whether anything is known now that was not known, or otherwise."""
        return any(not np.array_equal(*both) for both in zip(self.frozen, self.restated, strict=True))


def due(comparisons: Iterable[Comparison], terms: Terms) -> list[Comparison]:
    """Those of whole blocks that are mature in all partitions, up to the first block that is not."""
    inside = [each for each in comparisons if terms.block_of(each.window_start) >= 0]
    open_blocks = [
        block for each in inside
        if not terms.is_over(block := terms.block_of(each.window_start)) or each.mature is None
    ]  # fmt: skip
    first_open = min(open_blocks, default=None)
    return [each for each in inside if first_open is None or terms.block_of(each.window_start) < first_open]


def cells(comparisons: Sequence[Comparison], terms: Terms) -> dict[str, Cells]:
    """By segment, in the order of time."""
    ordered = sorted(comparisons, key=lambda each: (each.window_start, each.sample))
    ranks = {block: rank for rank, block in enumerate(sorted({terms.block_of(each.window_start) for each in ordered}))}
    rate = min((each.sample for each in ordered), default=1.0)
    by_segment: dict[str, list[Comparison]] = {}
    for each in ordered:
        by_segment.setdefault(each.segment, []).append(each)
    return {
        segment: Cells(
            segment,
            GRID if of[0].task == "regression" else _CLASSES,
            np.array([ranks[terms.block_of(each.window_start)] for each in of], np.int64),
            len(ranks),
            np.array([rate / each.sample for each in of]),
            _tallies([each.mature or each.counts for each in of], of[0].task),
            _tallies([each.counts for each in of], of[0].task),
        )
        for segment, of in by_segment.items()
    }


def _tallies(counts: Sequence[PairCounts], task: str) -> Tallies:
    unlike = np.array([each.unlike for each in counts], float)
    if task == "regression":
        labelled, alike = np.array(
            [(each.both + each.first + each.second + each.neither, each.alike) for each in counts], float
        ).T
        lower, upper = (_grid(rows) for rows in zip(*((each.lower, each.upper) for each in counts), strict=True))
        unlike += labelled - lower.sum(axis=1)
        return Tallies(_with(lower, len(GRID) // 2, alike), _with(upper, len(GRID) // 2, alike), unlike)
    rows = np.array([(each.first, each.both + each.neither + each.alike, each.second) for each in counts], float)
    return Tallies(rows, rows, unlike)


def _grid(rows: Sequence[list[int]]) -> Floats:
    nothing = [0] * len(GRID)
    return np.array([row or nothing for row in rows], float) / ONE


def _with(tallies: Floats, column: int, more: Floats) -> Floats:
    added = tallies.copy()
    added[:, column] += more
    return added
