"""The numbers of a regression model's window from its counts, each with its 95 % interval."""

import math
from typing import Any

from leadline.core.statistics.intervals import Unseen, Z, guarded
from leadline.core.windows.aggregates.sums import UNIT
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric

_UNSEEN = 8
"""An error that is so many times the mean one is taken to be among few errors although it was not seen."""
_LEAST_ROWS, _LIGHT, _NORMAL = 500, 1.65, math.pi / 2
"""Of errors whose mean square is more than 1.65 times the square of the mean absolute one (normal ones: 1.57), or that are fewer, these
two sums do not tell how far the mean square may be off."""


def regression(counts: WindowCounts) -> dict[str, Any]:
    """Metrics with their intervals of a window with matched predictions."""
    n = counts.tallies[1]
    score, outcome, _, _, error, absolute, squared = counts.sums
    mae, bias = absolute / (n * UNIT), error / (n * UNIT)
    large = _UNSEEN * mae
    return {
        "mean_score": Metric(score / (n * UNIT)),
        "outcome_rate": Metric(outcome / (n * UNIT)),
        "mae": guarded(mae, _squares(absolute, squared, n), n, Unseen(1, large, 0.0), 0.0),
        "rmse": _rmse(mae, squared / (n * UNIT), n),
        "bias": guarded(bias, _squares(error, squared, n), n, Unseen(1, bias, large * large)),
    }


def _squares(total: int, squares: int, n: int) -> float:
    """The squares about the mean of values, from their exact sum and that of their squares."""
    return max(0, n * squares * UNIT - total * total) / (n * UNIT**2)


def _rmse(mae: float, square: float, n: int) -> Metric:
    """Root mean squared error; the sums hold no fourth power, so that there is an interval where errors are many and about normal."""
    value = math.sqrt(square)
    if n < _LEAST_ROWS or not 0 < square < _LIGHT * mae * mae:
        return Metric(value)
    kurtosis = 3 * max(1.0, square / (mae * mae) / _NORMAL) ** 4
    half = Z * math.sqrt((kurtosis - 1) / n)
    return Metric(value, math.sqrt(square * max(0.0, 1 - half)), math.sqrt(square * math.exp(half)))
