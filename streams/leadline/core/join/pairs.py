"""Pairs: two versions of a model that predicted one request, by what came of them; what one run changes of them.

Two predictions are a pair when they are of one event time and of the same segments. Of what a version said of a request several times the
first in its log counts; where it answered the request and was a shadow of the same event time too, the answer does. With more than
`MOST_VERSIONS` of a model those count that stand first in the order of their names.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, distinct
from leadline.core.join.cohorts import OTHER, Cohort, Cohorts
from leadline.core.join.count_deltas import Rows, distinct_pairs
from leadline.core.join.state_columns import PredictionColumns
from leadline.core.windows.keys import window_start
from leadline.core.windows.pair_partials import PairKey
from leadline.core.windows.pair_tally import Pairs, PairTally, Side

MOST_VERSIONS = 6
_SIDE = [("cohort", np.int64), ("score", np.float64), ("label", np.int64), ("outcome", np.float64)]
_ROW = [("event_time", np.int64), ("sample", np.float64), ("sign", np.int64), ("mature", np.int64)]
_PAIR = [*_ROW, *((f"{name}_{at}", kind) for at in (1, 2) for name, kind in _SIDE)]


class Said(NamedTuple):
    """The outcome of each prediction, now and as the log held it when its window became mature; NaN: it has none."""

    now: Floats
    judged: Floats

    @classmethod
    def of(
        cls,
        cohorts: Cohorts,
        predictions: PredictionColumns,
        moment_ms: Ints | int,
        outcomes: NDArray[np.void] | None = None,
        used: Bools | None = None,
    ) -> "Said":
        """At a moment; with the outcome of the request beside each prediction, and whether that is its label."""
        said = np.full(len(predictions.cohort), np.nan)
        if cohorts.any_assumed:
            assumes = cohorts.assumed(predictions.cohort, predictions.event_time) < moment_ms
            said = np.where(assumes, cohorts.negative(predictions.cohort), np.nan)
        if outcomes is None or used is None:
            return cls(said, said)
        timely = outcomes["log_ms"] <= cohorts.matures(predictions.cohort, predictions.event_time)
        return cls(np.where(used, outcomes["value"], said), np.where(used & timely, outcomes["value"], said))


class PairDeltas:
    """What one run changes of pairs: given by columns, or one by one."""

    def __init__(self) -> None:
        self._rows = Rows(_PAIR)
        self._is_empty = True

    def add(self, cohorts: Cohorts, predictions: PredictionColumns, said: Said, new: Bools) -> None:
        """Pairs of which one at least is ``new``; the predictions stand request by request, each version once in each."""
        left, right = _paired(cohorts, predictions)
        chosen = new[left] | new[right]
        self._count(predictions, said, left[chosen], right[chosen], 1)

    def change(self, cohorts: Cohorts, predictions: PredictionColumns, before: Said, after: Said) -> None:
        """All pairs of these predictions, whose outcomes are others now."""
        changed = np.zeros(len(predictions.cohort), bool)
        for old, new in zip(before, after, strict=True):
            changed |= (old != new) & ~(np.isnan(old) & np.isnan(new))
        left, right = _paired(cohorts, predictions)
        chosen = changed[left] | changed[right]
        for said, sign in ((before, -1), (after, 1)):
            self._count(predictions, said, left[chosen], right[chosen], sign)

    def count(self, row: tuple[Any, ...], sign: int, mature: int) -> None:
        """One pair: event time, sample, and of each version cohort, score, label and outcome."""
        self._is_empty = False
        self._rows.add(*row[:2], sign, mature, *row[2:])

    def _count(self, predictions: PredictionColumns, said: Said, left: Ints, right: Ints, sign: int) -> None:
        if not len(left):
            return
        self._is_empty = False
        judged = predictions.judged[left] * predictions.judged[right]
        sample = np.minimum(predictions.sample[left], predictions.sample[right])
        for outcomes, now, mature in ((said.now, sign, 0), (said.judged, 0, sign * judged)):
            sides = [
                (predictions.cohort[side], predictions.score[side], predictions.label[side], outcomes[side])
                for side in (left, right)
            ]
            self._rows.add(predictions.event_time[left], sample, now, mature, *sides[0], *sides[1])

    def windows(self, cohorts: Cohorts) -> dict[PairKey, PairTally]:
        """The changes of each window that anything changed in."""
        if self._is_empty:
            return {}
        rows = self._rows.table()
        kinds, kind = _kinds(rows, cohorts)
        rows, kind = rows[kind >= 0], kind[kind >= 0]
        _orient(rows, np.array([each.turned for each in kinds], bool)[kind])
        starts = window_start(rows["event_time"].copy(), cohorts.window(rows["cohort_1"].copy()))
        places, place = distinct_pairs(np.stack([kind, starts], axis=1))
        samples, sample = distinct(rows["sample"].copy().view(np.int64))
        codes, window = distinct(place * max(1, len(samples)) + sample)
        bound = np.array([each.bound for each in kinds], np.float64)[kind]
        sides = [_side(rows, at, cohorts) for at in (1, 2)]
        tallies = PairTally.fold(len(codes), Pairs(window, rows["sign"], rows["mature"], bound, sides[0], sides[1]))
        parts: dict[PairKey, list[PairTally]] = {}
        for code, tally in zip(codes.tolist(), tallies, strict=True):
            of, start = places[code // len(samples)].tolist()
            for key in kinds[of].keys(start, float(samples.view(np.float64)[code % len(samples)])):
                parts.setdefault(key, []).append(tally)
        return {key: PairTally.merge(tallies) for key, tallies in parts.items()}


class _Kind(NamedTuple):
    """Two cohorts whose predictions are pairs; ``turned``: the second one has the version that is ``first``."""

    model: str
    first: str
    second: str
    segments: tuple[str, ...]
    turned: bool
    bound: float

    def keys(self, start: int, sample: float) -> Iterator[PairKey]:
        """The windows in which such a pair counts."""
        for segment in self.segments:
            yield PairKey(self.model, self.first, self.second, segment, start, sample)


def _paired(cohorts: Cohorts, predictions: PredictionColumns) -> tuple[Ints, Ints]:
    """The rows of the predictions of one model and event time, two by two, that are of one request."""
    found: list[tuple[Ints, Ints]] = []
    request = predictions.request
    for ahead in range(1, len(request)):
        left = np.flatnonzero(request[ahead:] == request[:-ahead])
        if not len(left):
            break
        found.append((left, left + ahead))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    left, right = (np.concatenate(rows) for rows in zip(*found, strict=True))
    model, time = cohorts.model(predictions.cohort), predictions.event_time
    fit = (model[left] == model[right]) & (time[left] == time[right])
    return left[fit], right[fit]


def _kinds(rows: NDArray[Any], cohorts: Cohorts) -> tuple[list[_Kind], Ints]:
    """The kinds of pairs, and the number of each row's; -1 where it is no pair."""
    width = int(rows["cohort_2"].max(initial=0)) + 1
    codes, code = distinct(rows["cohort_1"] * width + rows["cohort_2"])
    kinds, numbers = list[_Kind](), list[int]()
    for each in codes.tolist():
        kind = _kind(each // width, each % width, cohorts)
        numbers.append(len(kinds) if kind else -1)
        kinds += [kind] if kind else []
    return kinds, np.array(numbers, np.int64)[code]


def _kind(one: int, other: int, cohorts: Cohorts) -> _Kind | None:
    segments = _segments(cohorts[one], cohorts[other])
    if not segments:
        return None
    model, turned = cohorts[one].model, cohorts[one].version > cohorts[other].version
    first, second = sorted((cohorts[one].version, cohorts[other].version))
    bound = np.nan
    if cohorts[one].settings.task != "binary":
        bound = float(np.fmax(cohorts.error_bound(one), cohorts.error_bound(other)))
    return _Kind(model, first, second, segments, turned, bound)


def _segments(one: Cohort, other: Cohort) -> tuple[str, ...]:
    """Those that both are in: all, or none. Where the segments of one are too many to be told apart, only those that are left."""
    if one.segments == other.segments:
        return one.segments
    rest = ("*", *OTHER)
    return ("*",) if rest in (one.segments, other.segments) else ()


def _orient(rows: NDArray[Any], turned: Bools) -> None:
    """The version that is first by name stands first."""
    for name, _ in _SIDE:
        one, other = rows[f"{name}_1"].copy(), rows[f"{name}_2"].copy()
        rows[f"{name}_1"], rows[f"{name}_2"] = np.where(turned, other, one), np.where(turned, one, other)


def _side(rows: NDArray[Any], at: int, cohorts: Cohorts) -> Side:
    cohort, score, label, outcome = (rows[f"{name}_{at}"].copy() for name, _ in _SIDE)
    return Side(score, label, outcome, (outcome == cohorts.positive(cohort)).astype(np.int64))


def of_each_version(cohorts: Sequence[Cohort], event_time: Sequence[int], shadow: Sequence[int]) -> list[list[int]]:
    """Of the predictions of one request, which have these cohorts, those that make pairs with each other: their places, by event time.

    >>> from types import SimpleNamespace as Of
    >>> of_each_version([Of(model="m", version=version) for version in ("v2", "v1", "v2")], [5, 5, 5], [1, 0, 0])
    [[1, 2]]
    """
    found: dict[tuple[str, int, str], int] = {}
    for at in sorted(range(len(cohorts)), key=lambda at: shadow[at]):
        found.setdefault((cohorts[at].model, event_time[at], cohorts[at].version), at)
    groups: dict[tuple[str, int], list[int]] = {}
    for (model, time, _), at in sorted(found.items()):
        groups.setdefault((model, time), []).append(at)
    return [own[:MOST_VERSIONS] for own in groups.values()]
