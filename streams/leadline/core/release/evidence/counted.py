"""The pairs of windows that are due, by segment: a row a cell (a window at one sampling rate), a column a difference."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.release.evidence.columns import NUMBERS, Columns, Losses
from leadline.core.release.evidence.terms import Terms
from leadline.core.windows.loss_grid import GRID, ONE

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ALL = "*"
_CLASSES = np.array([-1.0, 0.0, 1.0])
_BOTH, _FIRST, _SECOND, _NEITHER, _ALIKE, _UNLIKE = range(len(NUMBERS))


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


class Due(NamedTuple):
    """The rows of whole blocks that are mature in all partitions, up to the first block that is not; by segment, in the order of time.

    ``segments``: the names, of which a row has the number. ``block``: of each row, one of ``blocks``.
    """

    champion: str
    challenger: str
    segments: list[str]
    rows: NDArray[np.void]
    losses: Losses | None
    block: Ints
    blocks: int

    @property
    def is_regression(self) -> bool:
        return bool(len(self.rows)) and bool(self.rows["regression"][0])

    def of_all(self) -> Floats:
        """The numbers of all pairs as they were known when due: a row a window and rate."""
        number = self.segments.index(ALL) if ALL in self.segments else -1
        counts: Floats = self.rows["due"][self.rows["segment"] == number]
        return counts


def due(columns: Columns, terms: Terms) -> Due:
    """What of the comparisons is due."""
    rows, losses = columns.rows, columns.losses
    block = terms.block_of(rows["start"])
    is_open = (block >= 0) & ~(rows["mature"] & terms.is_over(block))
    first_open = block[is_open].min(initial=np.iinfo(np.int64).max)
    at = np.flatnonzero((block >= 0) & (block < first_open))
    at = at[np.lexsort([rows[name][at] for name in ("sample", "start", "segment")])]
    found, ranks = np.unique(block[at], return_inverse=True)
    return Due(
        columns.champion,
        columns.challenger,
        columns.segments,
        rows[at],
        None if losses is None else losses[at],
        ranks.astype(np.int64),
        len(found),
    )


def cells(of: Due, protected: Iterable[str], most: int) -> Iterator[Cells]:
    """The pairs of all and of the protected segments, and of at most so many others: those with the most pairs first."""
    numbers, starts = np.unique(of.rows["segment"], return_index=True)
    names = [of.segments[number] for number in numbers.tolist()]
    parts = dict(zip(names, map(slice, starts, [*starts[1:], len(of.rows)]), strict=True))
    pairs = dict(zip(names, np.add.reduceat(_known(of), starts).tolist(), strict=True))
    first = {ALL, *protected}
    others = sorted(parts.keys() - first, key=lambda each: (-pairs[each], each))
    rate = float(of.rows["sample"].min(initial=1.0))
    for name in [*sorted(first & parts.keys()), *others[:most]]:
        yield _cells(of, name, parts[name], rate)


def _cells(of: Due, segment: str, part: slice, rate: float) -> Cells:
    rows, losses = of.rows[part], None if of.losses is None else of.losses[part]
    is_regression = bool(rows["regression"][0])
    tallies = [
        _of_losses(rows[name], np.zeros((len(rows), 2, len(GRID))) if losses is None else losses[:, i] / ONE)
        if is_regression
        else _of_classes(rows[name])
        for i, name in enumerate(("due", "now"))
    ]
    return Cells(
        segment, GRID if is_regression else _CLASSES, of.block[part], of.blocks, rate / rows["sample"], *tallies
    )


def _known(of: Due) -> Floats:
    """Of each row, the pairs of which the difference is known."""
    numbers = of.rows["due"]
    with_bound = 0.0 if of.losses is None else of.losses[:, 0, 0].sum(axis=1) / ONE
    known: Floats = np.where(of.rows["regression"], with_bound + numbers[:, _ALIKE], numbers[:, :_UNLIKE].sum(axis=1))
    return known


def _of_classes(numbers: Floats) -> Tallies:
    same = numbers[:, _BOTH] + numbers[:, _NEITHER] + numbers[:, _ALIKE]
    rows = np.stack([numbers[:, _FIRST], same, numbers[:, _SECOND]], axis=1)
    return Tallies(rows, rows, numbers[:, _UNLIKE])


def _of_losses(numbers: Floats, losses: Floats) -> Tallies:
    lower, upper = losses[:, 0], losses[:, 1]
    without_bound = numbers[:, :_ALIKE].sum(axis=1) - lower.sum(axis=1)
    alike, middle = numbers[:, _ALIKE], len(GRID) // 2
    return Tallies(_with(lower, middle, alike), _with(upper, middle, alike), numbers[:, _UNLIKE] + without_bound)


def _with(tallies: Floats, column: int, more: Floats) -> Floats:
    added = tallies.copy()
    added[:, column] += more
    return added
