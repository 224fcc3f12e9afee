"""In one phrase, what is otherwise in a window than in the reference."""

import numpy as np

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.watch.questions import Question
from leadline.records import brief

_MOVED = 0.25
"""Bins by which the mean has to move to be what is said."""


def effect(question: Question, live: Ints, statistic: float) -> str:
    """Value, direction and size; empty where there is nothing to compare."""
    reference = question.reference
    if not live.sum() or not reference.sum():
        return ""
    now, before = live / live.sum(), reference / reference.sum()
    return f"{_change(question, now, before)}; {question.distance.name} {statistic:.3g}"


def _change(question: Question, now: Floats, before: Floats) -> str:
    if question.finding != "distribution":
        return _shares(question.finding, now[-1], before[-1])
    most = int(np.argmax(np.abs(now - before)))
    if question.feature.kind == "categorical":
        return _shares(_category(question, most), now[most], before[most])
    places = np.arange(len(now))
    mean, earlier = float(now @ places) + 1, float(before @ places) + 1
    if abs(mean - earlier) < _MOVED:
        return _shares(_interval(question.feature.edges, most), now[most], before[most])
    return f"mean bin {'up' if mean > earlier else 'down'} {earlier:.3g} -> {mean:.3g} of {len(now)}"


def _shares(what: str, now: float, before: float) -> str:
    return f"{what} {100 * before:.3g} % -> {100 * now:.3g} %"


def _category(question: Question, cell: int) -> str:
    if cell == question.cells.shape[1] - 1:
        return "rare and unseen categories"
    return f"category {brief(question.feature.categories[int(np.argmax(question.cells[:, cell]))])}"


def _interval(edges: list[float], cell: int) -> str:
    """The values of a bin.

    >>> _interval([1.0, 2.5], 0), _interval([1.0, 2.5], 1), _interval([1.0, 2.5], 2)
    ('values below 1', 'values from 1 to 2.5', 'values from 2.5')
    """
    if cell == 0:
        return f"values below {edges[0]:.4g}" if edges else "values"
    return f"values from {edges[cell - 1]:.4g}" + (f" to {edges[cell]:.4g}" if cell < len(edges) else "")
