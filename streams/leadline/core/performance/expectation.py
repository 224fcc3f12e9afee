"""What the outcomes of a version's predictions are expected to be, by score, from the outcomes of its reference."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.reference import Calibration
from leadline.core.statistics.isotonic import isotonic


@dataclass(frozen=True, slots=True)
class Expectation:
    """For each score bin: the share of positives (binary, one row), or the mean absolute and squared error (regression, two rows)."""

    by_bin: Floats

    @classmethod
    def of(cls, calibration: Calibration, size: int) -> Self | None:
        """From the rows of the reference in ``size`` bins; None where it has none.

        Shares of positives never fall with the score; they are made of the bins where they were not fitted to the scores themselves. A bin
        that the reference lacks lies between its neighbours, and beyond the last one is as that one.

        >>> Expectation.of(Calibration([1, 3], [10, 10], [[2.0, 6.0]]), 5).by_bin.round(6).tolist()
        [[0.2, 0.2, 0.4, 0.6, 0.6]]
        """
        used, rows = np.array(calibration.bins), np.array(calibration.rows, np.float64)
        if not len(used):
            return None
        means = [np.array(row) / rows for row in calibration.sums]
        fitted = np.array(calibration.fitted)
        smooth = means if len(means) != 1 else [fitted if len(fitted) == len(used) else isotonic(means[0], rows)]
        return cls(np.stack([np.interp(np.arange(size), used, row) for row in smooth]))

    def __call__(self, bins: Ints) -> Floats:
        """The expectation in these bins; in one that is not known, that of the last."""
        found: Floats = self.by_bin[:, np.minimum(bins, self.by_bin.shape[1] - 1)]
        return found
