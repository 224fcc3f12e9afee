"""A model that fails on a row fails on that row alone, and ends no stage."""

from typing import Any

import numpy as np
import structlog

from leadline.core.columnar.columns import Floats
from leadline.core.scoring.features import Inputs
from leadline.learning.predictors import Scores

_CALLS = 256
"""Of a model that fails, for one matrix: enough to find some bad rows among many, and not to score each alone."""
_log = structlog.get_logger(__name__)


def surviving(scores: Scores, name: str) -> Scores:
    """The same scores; NaN for rows on which the model fails, and for those that were not tried again."""

    def survived(inputs: Inputs) -> Floats:
        try:
            return _sound(scores(inputs), len(inputs.matrix))
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            _log.warning("the model fails on rows of a run", model=name, error=f"{type(error).__name__}: {error}"[:300])
            return _by_halves(scores, inputs)

    return survived


def _sound(found: Any, rows: int) -> Floats:
    scores = np.asarray(found, np.float64)
    if scores.shape != (rows,):
        raise ValueError(f"it gave scores of the shape {scores.shape} for {rows} rows")
    return scores


def _by_halves(scores: Scores, inputs: Inputs) -> Floats:
    count = len(inputs.matrix)
    found = np.full(count, np.nan)
    ahead, calls = [(0, count)], 0
    while ahead and calls < _CALLS:
        start, end = ahead.pop(0)
        if end - start > 1:
            middle = (start + end) // 2
            for first, last in ((start, middle), (middle, end)):
                calls += 1
                try:
                    found[first:last] = _sound(scores(inputs.take(np.arange(first, last))), last - first)
                except Exception:  # noqa: BLE001 - as above
                    ahead.append((first, last))
    return found
