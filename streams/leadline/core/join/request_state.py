"""All that the join keeps of one request, as bytes.

Layout (little endian): head, one fixed entry a prediction, the predictions' Avro bodies, one fixed entry an outcome. The first
prediction stands at a fixed place, so the rows of a whole run are read with one ``np.frombuffer``; an outcome is appended.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import cut, split
from leadline.core.join.label_rules import StoredOutcome

_HEAD = struct.Struct("<BBH")
_PREDICTION = struct.Struct("<qIdbI")
_OUTCOME = struct.Struct("<qqqd")
_FORMAT = 2

SIMPLE = np.dtype(
    [
        ("format", "u1"),
        ("predictions", "u1"),
        ("outcomes", "<u2"),
        ("event_time", "<i8"),
        ("cohort", "<u4"),
        ("score", "<f8"),
        ("label", "i1"),
        ("body", "<u4"),
    ]
)
"""The fixed front of a row with at least one prediction."""
OUTCOME = np.dtype([("offset", "<i8"), ("outcome_time", "<i8"), ("arrival_ms", "<i8"), ("value", "<f8")])

NOTHING = 0
ONE_PREDICTION, ONE_OUTCOME, ONE_OF_EACH = (
    int.from_bytes(_HEAD.pack(_FORMAT, *counts), "little") for counts in ((1, 0), (0, 1), (1, 1))
)
"""Shapes of rows; see `shapes`."""

MAX_PREDICTIONS = 255
MAX_OUTCOMES = 1000


class StoredPrediction(NamedTuple):
    """One prediction of a request; ``cohort`` numbers its (model, version, segments), ``label`` is -1 for regression."""

    event_time: int
    cohort: int
    score: float
    label: int
    body: bytes


@dataclass(slots=True)
class RequestState:
    """Everything known of one request: its predictions in log order, its outcomes in log order."""

    predictions: list[StoredPrediction] = field(default_factory=list)
    outcomes: list[StoredOutcome] = field(default_factory=list)

    def pack(self) -> bytes:
        """The row as bytes.

        >>> row = RequestState([StoredPrediction(5, 0, 0.5, 1, b"body")], [StoredOutcome(7, 6, 6, 1.0)])
        >>> RequestState.unpack(row.pack()) == row
        True
        """
        head = _HEAD.pack(_FORMAT, len(self.predictions), len(self.outcomes))
        rules = b"".join(_PREDICTION.pack(*made[:4], len(made.body)) for made in self.predictions)
        given = b"".join(_OUTCOME.pack(*entry) for entry in self.outcomes)
        return b"".join((head, rules, *(made.body for made in self.predictions), given))

    @classmethod
    def unpack(cls, value: bytes) -> "RequestState":
        """Read what `pack` or `pack_first` wrote."""
        _, predictions, outcomes = _HEAD.unpack_from(value)
        at, made = _HEAD.size + predictions * _PREDICTION.size, []
        for *fixed, length in _PREDICTION.iter_unpack(value[_HEAD.size : at]):
            made.append(StoredPrediction._make([*fixed, value[at : at + length]]))
            at += length
        return cls(
            made, [StoredOutcome(*entry) for entry in _OUTCOME.iter_unpack(value[at : at + outcomes * _OUTCOME.size])]
        )


def pack_first(
    event_time: NDArray[np.int64],
    cohort: NDArray[np.int64],
    score: NDArray[np.float64],
    label: NDArray[np.int64],
    bodies: Sequence[bytes],
) -> list[bytes]:
    """Rows of requests whose first record is a prediction, a whole run at once; equal to `RequestState.pack` of each."""
    front = np.zeros(len(bodies), SIMPLE)
    front["format"], front["predictions"] = _FORMAT, 1
    front["event_time"], front["cohort"], front["score"], front["label"] = event_time, cohort, score, label
    front["body"] = list(map(len, bodies))
    return list(map(add, split(front), bodies))


def fronts(rows: Sequence[bytes]) -> NDArray[np.void]:
    """The fixed fronts (`SIMPLE`) of rows that have a prediction."""
    return np.frombuffer(b"".join(cut(rows, 0, SIMPLE.itemsize)), SIMPLE)


def pack_outcomes(outcomes: NDArray[np.void]) -> list[bytes]:
    """Rows of requests whose first record is an outcome (`OUTCOME`); equal to `RequestState.pack` of each."""
    return list(map(_HEAD.pack(_FORMAT, 0, 1).__add__, split(outcomes)))


def with_outcomes(rows: Sequence[bytes], outcomes: NDArray[np.void]) -> list[bytes]:
    """Rows of one prediction and no outcome, each with its first outcome (`OUTCOME`) added; equal to `RequestState.pack` of each."""
    heads = repeat(_HEAD.pack(_FORMAT, 1, 1), len(rows))
    return list(map(b"".join, zip(heads, cut(rows, _HEAD.size), split(outcomes), strict=True)))


def only_outcomes(rows: Sequence[bytes]) -> NDArray[np.void]:
    """The outcome (`OUTCOME`) of each row that `pack_outcomes` made."""
    return np.frombuffer(b"".join(cut(rows, _HEAD.size)), OUTCOME)


def outcomes_behind(rows: Sequence[bytes]) -> NDArray[np.void]:
    """The outcome (`OUTCOME`) of each row of one prediction and one outcome."""
    return np.frombuffer(b"".join(cut(rows, -OUTCOME.itemsize)), OUTCOME)


def shapes(rows: Sequence[bytes | None]) -> NDArray[np.uint32]:
    """How many predictions and outcomes each row has, as one number, to be compared with the shapes named above."""
    if rows.count(None) == len(rows):
        return np.zeros(len(rows), "<u4")
    return np.frombuffer(b"".join([b"\0\0\0\0" if row is None else row[: _HEAD.size] for row in rows]), "<u4")


def taken_back(rows: Sequence[bytes | None], shape: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether each row holds one outcome, no prediction, and the outcome is a retraction."""
    back: NDArray[np.bool_] = shape == ONE_OUTCOME
    places = np.flatnonzero(back)
    back[places] = np.isnan(only_outcomes([rows[i] or b"" for i in places.tolist()])["value"])
    return back
