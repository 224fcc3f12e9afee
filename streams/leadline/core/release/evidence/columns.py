"""The comparisons of two versions as columns, so that a look at all of them takes no time for each.

A month of hourly windows in 200 segments are 144,000 of them.
"""

import numpy as np
from numpy.typing import NDArray

from leadline.core.windows.loss_grid import GRID
from leadline.records import Comparison, PairCounts

NUMBERS = ("both", "first", "second", "neither", "alike", "unlike")
"""The counts of `PairCounts` in the order of the columns ``due`` and ``now``."""
ROW = np.dtype(
    [
        ("segment", np.int64), ("start", np.int64), ("sample", np.float64), ("regression", np.bool_), ("mature", np.bool_),
        ("due", np.float64, len(NUMBERS)), ("now", np.float64, len(NUMBERS)),
    ]
)  # fmt: skip
"""``due``: as it was known when the window was due, ``now``: as it is; ``mature``: whether it is due in all partitions."""
Losses = NDArray[np.float64]
"""Of each row the tallies of losses: when due and now, lower and upper, by the points of the grid."""
_FEW = 64


class Columns:
    """A row a window, segment and sampling rate. A comparison that comes again takes the place of the one before."""

    def __init__(self) -> None:
        self.champion = self.challenger = ""
        self.segments: list[str] = []
        self._numbers: dict[str, int] = {}
        self._places: dict[tuple[int, int, float], int] = {}
        self._rows = np.zeros(_FEW, ROW)
        self._losses: Losses | None = None

    @property
    def rows(self) -> NDArray[np.void]:
        """In the order in which they came; ``segment`` is its number in ``segments``."""
        return self._rows[: len(self._places)]

    @property
    def losses(self) -> Losses | None:
        """None where no comparison has tallies of losses."""
        return None if self._losses is None else self._losses[: len(self._places)]

    def put(self, comparison: Comparison) -> None:
        """Take in a comparison."""
        self.champion, self.challenger = comparison.champion, comparison.challenger
        segment = self._number(comparison.segment)
        start, sample = comparison.window_start, comparison.sample
        at = self._places.setdefault((segment, start, sample), len(self._places))
        self._make_room(at)
        due, now = comparison.mature or comparison.counts, comparison.counts
        is_regression, is_mature = comparison.task == "regression", comparison.mature is not None
        self._rows[at] = (segment, start, sample, is_regression, is_mature, _numbers(due), _numbers(now))
        if self._losses is not None or due.lower or now.lower:
            self._put_losses(at, due, now)

    def _number(self, segment: str) -> int:
        if segment not in self._numbers:
            self._numbers[segment] = len(self.segments)
            self.segments.append(segment)
        return self._numbers[segment]

    def _make_room(self, at: int) -> None:
        if at >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(len(self._rows), ROW)])
        if self._losses is not None and len(self._losses) < len(self._rows):
            self._losses = np.concatenate([self._losses, np.zeros_like(self._losses)])

    def _put_losses(self, at: int, due: PairCounts, now: PairCounts) -> None:
        if self._losses is None:
            self._losses = np.zeros((len(self._rows), 2, 2, len(GRID)))
        nothing = [0] * len(GRID)
        self._losses[at] = [[each.lower or nothing, each.upper or nothing] for each in (due, now)]


def _numbers(counts: PairCounts) -> tuple[int, ...]:
    return counts.both, counts.first, counts.second, counts.neither, counts.alike, counts.unlike
