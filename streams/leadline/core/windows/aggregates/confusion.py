"""Predicted against true labels of binary models."""

import numpy as np

from leadline.core.columnar.columns import Ints
from leadline.core.windows.aggregates.changes import Changes, Matched
from leadline.core.windows.aggregates.limits import beyond
from leadline.core.windows.aggregates.whole_numbers import WholeNumbers
from leadline.records import WindowPartial


class Confusion(WholeNumbers):
    """True and false positives, false and true negatives among the matched predictions."""

    __slots__ = ()
    names = ("tp", "fp", "fn", "tn")

    @classmethod
    def fold(cls, changes: Changes) -> list["Confusion"]:
        return cls.columns(cells(changes.matched, changes.matched.sign, changes.size))

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        return beyond("tp, fp, fn and tn", record.tp + record.fp + record.fn + record.tn, record.matched)


def cells(matched: Matched, times: Ints, size: int) -> Ints:
    """A row each for tp, fp, fn and tn, a column for each of ``size`` windows; each match counts so many times."""
    counts = np.zeros((4, size), np.int64)
    binary = np.flatnonzero(matched.label >= 0)
    cell = 3 - 2 * matched.label[binary] - matched.positive[binary]
    np.add.at(counts, (cell, matched.window[binary]), times[binary])
    return counts
