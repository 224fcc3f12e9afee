"""The numbers of a regression model's window from its counts, each with its 95 % interval."""

import math
from typing import Any

from leadline.core.statistics.intervals import student
from leadline.core.windows.aggregates.sums import UNIT
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric


def regression(counts: WindowCounts) -> dict[str, Any]:
    """Metrics with their intervals of a window with matched predictions."""
    n = counts.tallies[1]
    score, outcome, _, _, error, absolute, squared = counts.sums
    return {
        "mean_score": Metric(score / (n * UNIT)),
        "outcome_rate": Metric(outcome / (n * UNIT)),
        "mae": student(absolute / (n * UNIT), _variance(absolute, squared, n), n, 0.0),
        "rmse": _rmse(error, squared, n),
        "bias": student(error / (n * UNIT), _variance(error, squared, n), n),
    }


def _variance(total: int, squares: int, n: int) -> float:
    """The variance of values from their exact sum and that of their squares."""
    return max(0, n * squares * UNIT - total * total) / (max(1, n - 1) * n * UNIT**2)


def _rmse(error: int, squared: int, n: int) -> Metric:
    """Root mean squared error; the interval takes the errors as normal, for the sums hold no fourth power."""
    spread, bias = _variance(error, squared, n), error / (n * UNIT)
    square = student(squared / (n * UNIT), 2 * spread * spread + 4 * spread * bias * bias, n, 0.0)
    low, high = (None if side is None else math.sqrt(side) for side in (square.low, square.high))
    return Metric(math.sqrt(square.value), low, high)
