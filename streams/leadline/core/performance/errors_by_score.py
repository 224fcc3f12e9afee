"""The errors of a regression's window, known or expected: two of them add up."""

import math
from typing import NamedTuple

from leadline.core.columnar.columns import Floats
from leadline.core.statistics.intervals import student
from leadline.core.windows.aggregates.sums import UNIT
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric


class ErrorParts(NamedTuple):
    """How many predictions, and the sums of their absolute and squared errors."""

    predictions: float
    absolute: float
    squared: float

    @classmethod
    def known(cls, counts: WindowCounts) -> "ErrorParts":
        """What the outcomes that are there say."""
        return cls(counts.tallies[1], counts.sums[5] / UNIT, counts.sums[6] / UNIT)

    @classmethod
    def expected(cls, counts: Floats, errors: Floats) -> "ErrorParts":
        """From predictions by score bin, and the mean absolute and squared error in each bin."""
        absolute, squared = (counts * errors).sum(axis=1).tolist()
        return cls(float(counts.sum()), absolute, squared)

    def plus(self, other: "ErrorParts") -> "ErrorParts":
        """The sum."""
        return ErrorParts(*(mine + its for mine, its in zip(self, other, strict=True)))

    def measured(self, labelled: float) -> dict[str, Metric]:
        """The metrics by name; their intervals are those of the value on ``labelled`` of the predictions, taken at random.

        >>> found = ErrorParts(10, 20.0, 50.0).measured(100)
        >>> {name: [round(each, 3) for each in (metric.value, metric.low, metric.high)] for name, metric in found.items()}
        {'mae': [2.0, 1.802, 2.198], 'rmse': [2.236, 1.897, 2.53]}
        """
        if self.predictions <= 0:
            return {}
        mae, square = self.absolute / self.predictions, self.squared / self.predictions
        spread = max(0.0, square - mae * mae)
        found = student(square, 2 * square * square, labelled, 0.0)
        low, high = (None if side is None else math.sqrt(side) for side in (found.low, found.high))
        return {"mae": student(mae, spread, labelled, 0.0), "rmse": Metric(math.sqrt(square), low, high)}
