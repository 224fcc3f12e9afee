"""What one run changes in the counts: collected one by one or by columns, then folded into windows and join counts."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints, distinct
from leadline.core.join.cohorts import Cohorts
from leadline.core.windows.aggregates.by_score import between
from leadline.core.windows.aggregates.changes import Changes, Expired, Matched, Predicted
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import WindowKey, window_start

_SIGNED = [("cohort", np.int64), ("event_time", np.int64), ("sign", np.int64)]
_PREDICTED = [*_SIGNED, ("mature", np.int64), ("score", np.float64), ("label", np.int64)]
_MATCHED = [*_PREDICTED, ("outcome", np.float64), ("assumed", np.int64)]


@dataclass(slots=True)
class CountDeltas:
    """Changes of one run. ``classes`` counts (model, class), classes named as in `leadline.records.JoinCounts`.

    ``predict``, ``expire`` and ``match`` take columns or single values: cohort number, event time, …, sign (-1 takes back). ``mature`` is
    the sign in the counts that the window has at its maturity, 0 for what is not in them.
    """

    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _predicted: "Rows" = field(default_factory=lambda: Rows(_PREDICTED))
    _expired: "Rows" = field(default_factory=lambda: Rows(_SIGNED))
    _matched: "Rows" = field(default_factory=lambda: Rows(_MATCHED))

    def predict(self, cohort: Any, event_time: Any, score: Any, label: Any, mature: Any) -> None:
        """Predictions are new."""
        self._predicted.add(cohort, event_time, 1, mature, score, label)

    def expire(self, cohort: Any, event_time: Any, sign: int = 1) -> None:
        """Predictions went past their horizon without an outcome."""
        self._expired.add(cohort, event_time, sign)

    def match(
        self,
        cohort: Any,
        event_time: Any,
        score: Any,
        label: Any,
        outcome: Any,
        sign: int,
        mature: Any,
        assumed: int = 0,
    ) -> None:
        """Predictions got an outcome, or one is ``assumed``."""
        self._matched.add(cohort, event_time, sign, mature, score, label, outcome, assumed)

    def count(self, cohorts: Cohorts, numbers: Ints, name: str, sign: int = 1) -> None:
        """Count a class once for each cohort number."""
        times = np.bincount(numbers)
        for number in np.flatnonzero(times).tolist():
            self.classes[cohorts[number].model, name] += sign * int(times[number])

    def windows(self, cohorts: Cohorts) -> dict[WindowKey, WindowCounts]:
        """The changes of each window that anything changed in."""
        predicted, expired, matched = self._predicted.table(), self._expired.table(), self._matched.table()
        starts = [_cohort_and_start(rows, cohorts) for rows in (predicted, expired, matched)]
        pairs, index = distinct_pairs(np.concatenate(starts))
        at_predicted, at_expired, at_matched = np.split(index, np.cumsum([len(predicted), len(expired)]))
        sign, score, label, outcome = _columns(matched, "sign", "score", "label", "outcome")
        mature, assumed = _columns(matched, "mature", "assumed")
        _count_errors_by_score(predicted, cohorts)
        changes = Changes(
            len(pairs),
            Predicted(at_predicted, *_columns(predicted, "sign", "score", "label", "mature")),
            Expired(at_expired, *_columns(expired, "sign")),
            Matched(at_matched, sign, score, label, outcome, _positive(matched, cohorts), mature, assumed),
        )
        return _by_segment(pairs, WindowCounts.fold(changes), cohorts)


class Rows:
    """Rows of one kind, given one by one or as columns."""

    def __init__(self, kind: list[Any]) -> None:
        self._kind = kind
        self._single: list[tuple[Any, ...]] = []
        self._tables: list[NDArray[Any]] = []

    def add(self, *columns: Any) -> None:
        """Add one row, or rows; what is the same for all of them may be a single value, but not the first."""
        if np.ndim(columns[0]) == 0:
            self._single.append(columns)
        elif len(columns[0]):
            table = np.empty(len(columns[0]), self._kind)
            for (name, _), column in zip(self._kind, columns, strict=True):
                table[name] = column
            self._tables.append(table)

    def table(self) -> NDArray[Any]:
        """All of them."""
        return np.concatenate([*self._tables, np.array(self._single, self._kind)])


def _columns(rows: NDArray[Any], *names: str) -> list[NDArray[Any]]:
    return [rows[name].copy() for name in names]


def _cohort_and_start(rows: NDArray[Any], cohorts: Cohorts) -> Ints:
    """The cohort number of each row, and the start of its window."""
    cohort = rows["cohort"].copy()
    return np.stack([cohort, window_start(rows["event_time"], cohorts.window(cohort))], axis=1)


def distinct_pairs(pairs: Ints) -> tuple[Ints, Ints]:
    """The different pairs (number, window start), and for each row the index of its pair."""
    numbers, number = distinct(pairs[:, 0])
    starts, start = distinct(pairs[:, 1])
    codes, index = distinct(number * len(starts) + start)
    if not len(codes):
        return pairs, index
    return np.stack([numbers[codes // len(starts)], starts[codes % len(starts)]], axis=1), index


def _count_errors_by_score(predicted: NDArray[Any], cohorts: Cohorts) -> None:
    """Give the scores of regression models their bins, where the reference says which: as predictions of one kind, between 0 and 1."""
    rows = np.flatnonzero(~cohorts.binary(predicted["cohort"]))
    version = cohorts.version(predicted["cohort"][rows])
    for each in np.unique(version).tolist():
        own, edges = rows[version == each], cohorts.score_edges(each)
        if len(edges):
            predicted["score"][own], predicted["label"][own] = between(edges, predicted["score"][own]), 0


def _positive(matched: NDArray[Any], cohorts: Cohorts) -> Ints:
    cohort = matched["cohort"]
    return np.where(cohorts.binary(cohort), matched["outcome"] == cohorts.positive(cohort), -1)


def _by_segment(pairs: Ints, totals: list[WindowCounts], cohorts: Cohorts) -> dict[WindowKey, WindowCounts]:
    """The changes of each window from those of its cohorts; a cohort counts in a window of each of its segments."""
    parts: defaultdict[WindowKey, list[WindowCounts]] = defaultdict(list)
    for (number, start), total in zip(pairs.tolist(), totals, strict=True):
        cohort = cohorts[number]
        for segment in cohort.segments:
            parts[WindowKey(cohort.model, cohort.version, segment, start)].append(total)
    return dict(zip(parts, WindowCounts.merge(list(parts.values())), strict=True))
