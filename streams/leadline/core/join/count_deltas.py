"""What one run changes in the counts: collected one by one or by columns, then folded into windows and join counts."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints, distinct
from leadline.core.join.cohorts import Cohorts
from leadline.core.windows.aggregates import Matched, WindowCounts, fold
from leadline.core.windows.keys import WindowKey, window_start

_SIGNED = [("cohort", np.int64), ("event_time", np.int64), ("sign", np.int64)]
_PREDICTED = [*_SIGNED, ("score", np.float64), ("label", np.int64)]
_MATCHED = [*_PREDICTED, ("outcome", np.float64)]


@dataclass(slots=True)
class CountDeltas:
    """Changes of one run. ``classes`` counts (model, class), classes named as in `leadline.records.JoinCounts`.

    ``predict``, ``expire`` and ``match`` take columns or single values: cohort number, event time, …, sign (-1 takes back).
    """

    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _predicted: "_Rows" = field(default_factory=lambda: _Rows(_PREDICTED))
    _expired: "_Rows" = field(default_factory=lambda: _Rows(_SIGNED))
    _matched: "_Rows" = field(default_factory=lambda: _Rows(_MATCHED))

    def predict(self, cohort: Any, event_time: Any, score: Any, label: Any, sign: int = 1) -> None:
        """Predictions are new."""
        self._predicted.add(cohort, event_time, sign, score, label)

    def expire(self, cohort: Any, event_time: Any, sign: int = 1) -> None:
        """Predictions went past their horizon without an outcome."""
        self._expired.add(cohort, event_time, sign)

    def match(self, cohort: Any, event_time: Any, score: Any, label: Any, outcome: Any, sign: int = 1) -> None:
        """Predictions got an outcome."""
        self._matched.add(cohort, event_time, sign, score, label, outcome)

    def count(self, cohorts: Cohorts, numbers: Ints, name: str, sign: int = 1) -> None:
        """Count a class once for each cohort number."""
        times = np.bincount(numbers)
        for number in np.flatnonzero(times).tolist():
            self.classes[cohorts[number].model, name] += sign * int(times[number])

    def windows(self, cohorts: Cohorts) -> dict[WindowKey, WindowCounts]:
        """The changes of each window that anything changed in."""
        predicted, expired, matched = self._predicted.table(), self._expired.table(), self._matched.table()
        spots = np.concatenate([_spots(rows, cohorts) for rows in (predicted, expired, matched)])
        numbers, number = distinct(spots[:, 0])
        starts, start = distinct(spots[:, 1])
        codes, where = distinct(number * len(starts) + start)
        spots = np.stack([numbers[codes // len(starts)], starts[codes % len(starts)]], axis=1) if len(codes) else spots
        cut = np.cumsum([len(predicted), len(expired)])
        at_predicted, at_expired, at_matched = np.split(where, cut)
        columns = Matched(
            at_matched,
            matched["sign"].copy(),
            matched["score"].copy(),
            matched["label"].copy(),
            _positive(matched, cohorts),
            matched["outcome"].copy(),
        )
        totals = fold(
            len(spots), (at_predicted, predicted["sign"].copy()), columns, (at_expired, expired["sign"].copy())
        )
        return _by_segment(spots, totals, cohorts)


class _Rows:
    """Rows of one kind, given one by one or as columns."""

    def __init__(self, kind: list[Any]) -> None:
        self._kind = kind
        self._single: list[tuple[Any, ...]] = []
        self._tables: list[NDArray[Any]] = []

    def add(self, *columns: Any) -> None:
        if np.ndim(columns[0]) == 0:
            self._single.append(columns)
        elif len(columns[0]):
            table = np.empty(len(columns[0]), self._kind)
            for (name, _), column in zip(self._kind, columns, strict=True):
                table[name] = column
            self._tables.append(table)

    def table(self) -> NDArray[Any]:
        return np.concatenate([*self._tables, np.array(self._single, self._kind)])


def _spots(rows: NDArray[Any], cohorts: Cohorts) -> Ints:
    cohort = rows["cohort"].copy()
    return np.stack([cohort, window_start(rows["event_time"], cohorts.window(cohort))], axis=1)


def _positive(matched: NDArray[Any], cohorts: Cohorts) -> Ints:
    cohort = matched["cohort"]
    return np.where(cohorts.binary(cohort), matched["outcome"] == cohorts.positive(cohort), -1)


def _by_segment(spots: Ints, totals: list[WindowCounts], cohorts: Cohorts) -> dict[WindowKey, WindowCounts]:
    parts: defaultdict[WindowKey, list[WindowCounts]] = defaultdict(list)
    for (number, start), total in zip(spots.tolist(), totals, strict=True):
        cohort = cohorts[number]
        for segment in cohort.segments:
            parts[WindowKey(cohort.model, cohort.version, segment, start)].append(total)
    return {key: own[0] if len(own) == 1 else WindowCounts.total(own) for key, own in parts.items()}
