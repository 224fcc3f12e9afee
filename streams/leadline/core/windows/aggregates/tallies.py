"""How many predictions a window has, and what became of them."""

import numpy as np

from leadline.core.windows.aggregates.changes import Changes
from leadline.core.windows.aggregates.limits import beyond
from leadline.core.windows.aggregates.whole_numbers import WholeNumbers
from leadline.records import WindowPartial


class Tallies(WholeNumbers):
    """Predictions; those that have an outcome; those that are past their horizon without one; those whose outcome is assumed."""

    __slots__ = ()
    names = ("predictions", "matched", "expired", "assumed")

    @classmethod
    def fold(cls, changes: Changes) -> list["Tallies"]:
        counts = np.zeros((4, changes.size), np.int64)
        np.add.at(counts[0], changes.predicted.window, changes.predicted.sign)
        np.add.at(counts[1], changes.matched.window, changes.matched.sign)
        np.add.at(counts[2], changes.expired.window, changes.expired.sign)
        if changes.matched.assumed.any():
            np.add.at(counts[3], changes.matched.window, changes.matched.sign * changes.matched.assumed)
        return cls.columns(counts)

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        all_of_them = beyond("matched and expired", record.matched + record.expired, record.predictions)
        return all_of_them or beyond("assumed", record.assumed, record.matched)
