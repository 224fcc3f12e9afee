"""The states of many requests at once: read as columns, and written with what a run adds to them."""

from collections.abc import Sequence
from itertools import pairwise
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, cut, pick, split
from leadline.core.join.request_state import FIELDS, FORMAT, HEAD, OUTCOME, PREDICTION, StoredPrediction, upgraded

_EMPTY = np.array((FORMAT, 0, 0), HEAD).tobytes()


class PredictionColumns(NamedTuple):
    """Predictions as columns, request by request; ``request`` is the index of each one's request, the others as in `StoredPrediction`."""

    request: Ints
    event_time: Ints
    cohort: Ints
    score: Floats
    label: Ints
    judged: Ints
    shadow: Ints
    sample: Floats

    def take(self, rows: Ints | Bools, request: Ints | None = None) -> "PredictionColumns":
        """Some of the predictions; ``request`` are their indices among other requests."""
        part = PredictionColumns._make([column[rows] for column in self])
        return part if request is None else part._replace(request=request)

    def acting(self) -> tuple["PredictionColumns", Ints]:
        """Those that are no shadows, and their rows."""
        rows = np.flatnonzero(self.shadow == 0)
        return (self if len(rows) == len(self.shadow) else self.take(rows)), rows

    def entries(self, bodies: Sequence[bytes]) -> NDArray[np.void]:
        """The entries (`PREDICTION`) of these predictions, which have these bodies."""
        entries = np.empty(len(bodies), PREDICTION)
        for name, column in zip(FIELDS, self[1:], strict=True):
            entries[name] = column
        entries["body"] = list(map(len, bodies))
        return entries

    def one_by_one(self, bodies: Sequence[bytes]) -> list[StoredPrediction]:
        """These predictions, which have these bodies, as tuples."""
        *before, shadow, sample = (column.tolist() for column in self[1:])
        return list(map(StoredPrediction, *before, bodies, shadow, sample))


class States(NamedTuple):
    """Request states as bytes, and how many predictions and outcomes each has."""

    values: list[bytes]
    predictions: Ints
    outcomes: Ints

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> "States":
        """Of what a store holds; None is a request of which nothing is known.

        >>> States.of([None]).predictions.tolist()
        [0]
        """
        if values.count(None) == len(values):
            nothing = np.zeros(len(values), np.int64)
            return cls([_EMPTY] * len(values), nothing, nothing)
        known = [_EMPTY if value is None else value for value in values]
        heads = np.frombuffer(b"".join(cut(known, 0, HEAD.itemsize)), HEAD)
        if not _all_equal(heads["format"], FORMAT):
            known = list(map(upgraded, known))
        return cls(known, heads["predictions"].astype(np.int64), heads["outcomes"].astype(np.int64))

    def take(self, rows: Ints) -> "States":
        """Some of the states; ``rows`` rise."""
        return States(pick(self.values, rows), self.predictions[rows], self.outcomes[rows])

    # -- reading ------------------------------------------------------------------------------------------------------

    def prediction_columns(self) -> PredictionColumns:
        """All predictions."""
        request, entries = self._request(), self._entries()
        whole = ("event_time", "cohort", "label", "judged", "shadow")
        event_time, cohort, label, judged, shadow = (entries[name].astype(np.int64) for name in whole)
        score, sample = (entries[name].astype(np.float64) for name in ("score", "sample"))
        return PredictionColumns(request, event_time, cohort, score, label, judged, shadow, sample)

    def bodies(self) -> list[bytes]:
        """The bodies of all predictions."""
        if _all_equal(self.predictions, 1) and not self.outcomes.any():
            return cut(self.values, HEAD.itemsize + PREDICTION.itemsize)
        request, size = self._request(), self._entries()["body"].astype(np.int64)
        before, first = np.append(0, np.cumsum(size)), np.cumsum(self.predictions) - self.predictions
        start = self._behind_entries()[request] + before[:-1] - before[first][request]
        return _parts([self.values[i] for i in request.tolist()], start, start + size)

    def outcome_entries(self) -> NDArray[np.void]:
        """All outcomes (`OUTCOME`), request by request."""
        if _all_equal(self.outcomes, 1):
            return np.frombuffer(b"".join(cut(self.values, -OUTCOME.itemsize)), OUTCOME)
        return np.frombuffer(b"".join(_parts(self.values, self._before_outcomes(), self.sizes())), OUTCOME)

    def _request(self) -> Ints:
        """The index of each prediction's request."""
        return np.repeat(np.arange(len(self.values)), self.predictions)

    def _entries(self) -> NDArray[np.void]:
        starts = np.full(len(self.values), HEAD.itemsize)
        return np.frombuffer(b"".join(_parts(self.values, starts, self._behind_entries())), PREDICTION)

    def _behind_entries(self) -> Ints:
        behind: Ints = HEAD.itemsize + PREDICTION.itemsize * self.predictions
        return behind

    def _before_outcomes(self) -> Ints:
        before: Ints = self.sizes() - OUTCOME.itemsize * self.outcomes
        return before

    def sizes(self) -> Ints:
        """Bytes of each state."""
        return np.array(list(map(len, self.values)), np.int64)

    # -- writing ------------------------------------------------------------------------------------------------------

    def with_outcomes(self, outcomes: NDArray[np.void]) -> list[bytes]:
        """The states, each with one outcome (`OUTCOME`) more."""
        heads = split(_heads(self.predictions, self.outcomes + 1))
        return list(map(b"".join, zip(heads, cut(self.values, HEAD.itemsize), split(outcomes), strict=True)))

    def with_predictions(self, new: PredictionColumns, bodies: Sequence[bytes]) -> list[bytes]:
        """The states with new predictions; ``new`` has one at least of each request."""
        counts, entries = np.bincount(new.request, minlength=len(self.values)), new.entries(bodies)
        added = _by_request(bodies, counts)
        if not self.predictions.any() and not self.outcomes.any():
            return list(map(add, _fronts(counts, self.outcomes, entries), added))
        request = np.concatenate([self._request(), new.request])
        entries = np.concatenate([self._entries(), entries])[np.argsort(request, kind="stable")]
        fronts = _fronts(self.predictions + counts, self.outcomes, entries)
        behind, before, sizes = self._behind_entries(), self._before_outcomes(), self.sizes()
        parts = fronts, _parts(self.values, behind, before), added, _parts(self.values, before, sizes)
        return list(map(b"".join, zip(*parts, strict=True)))


def _heads(predictions: Ints, outcomes: Ints) -> NDArray[np.void]:
    heads = np.empty(len(predictions), HEAD)
    heads["format"], heads["predictions"], heads["outcomes"] = FORMAT, predictions, outcomes
    return heads


def _fronts(predictions: Ints, outcomes: Ints, entries: NDArray[np.void]) -> list[bytes]:
    """Head and entries of each state; ``entries`` are all of them, request by request."""
    heads, each = _heads(predictions, outcomes), int(predictions[0])
    if _all_equal(predictions, each):
        table = np.empty(len(heads), [("head", HEAD), ("entries", PREDICTION, (each,))])
        table["head"], table["entries"] = heads, entries.reshape(-1, each)
        return split(table)
    bounds, packed = [0, *(np.cumsum(predictions) * PREDICTION.itemsize).tolist()], entries.tobytes()
    return [head + packed[start:stop] for head, (start, stop) in zip(split(heads), pairwise(bounds), strict=True)]


def _by_request(bodies: Sequence[bytes], counts: Ints) -> Sequence[bytes]:
    """The bodies of each request, one behind the other; ``counts`` says how many each has."""
    if _all_equal(counts, 1):
        return bodies
    return [b"".join(bodies[start:stop]) for start, stop in pairwise([0, *np.cumsum(counts).tolist()])]


def _parts(values: Sequence[bytes], starts: Ints, stops: Ints) -> list[bytes]:
    """A part of each value; quicker where all parts have the same bounds."""
    if len(values) and _all_equal(starts, starts[0]) and _all_equal(stops, stops[0]):
        return cut(values, int(starts[0]), int(stops[0]))
    bounds = zip(values, starts.tolist(), stops.tolist(), strict=True)
    return [value[start:stop] for value, start, stop in bounds]


def _all_equal(column: NDArray[Any], value: int) -> bool:
    return bool((column == value).all())
