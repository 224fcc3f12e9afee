"""Windowed counts that add, take back and merge exactly.

Windows tumble by event time, aligned to the epoch, ``[start, start + size)``. Sums are whole numbers of 1e-12 units, so the order of
adding does not matter. Scores of binary models are counted in 2,048 fixed bins, evenly spaced on the logit scale, so that AUC merges
and stays sharp for scores near 0 and 1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNIT = 10**12
SCORE_BINS = 2048
SUMS = ("score_sum", "outcome_sum", "logloss_sum", "brier_sum", "error_sum", "absolute_error_sum", "squared_error_sum")
TALLIES = ("predictions", "matched", "expired", "tp", "fp", "fn", "tn")

_EDGES = np.array([float(f"{1 / (1 + np.exp(-x)):.12g}") for x in np.linspace(-16, 16, SCORE_BINS - 1)])
_HEAD = struct.Struct("<B7qI")
_FORMAT = 1


def score_bin(scores: Floats) -> Ints:
    """Bin of each score in [0, 1]; bins are ordered by score.

    >>> score_bin(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 1024, 2047]
    """
    return np.searchsorted(_EDGES, scores, side="right").astype(np.int64)


@dataclass(frozen=True, slots=True)
class Matched:
    """Predictions that got (``sign`` 1) or lost (-1) an outcome; ``where`` numbers the (cohort, window) of each.

    ``label`` and ``positive`` are 0 or 1 for binary models; both are -1 for regression.
    """

    where: Ints
    sign: Ints
    score: Floats
    label: Ints
    positive: Ints
    outcome: Floats


class WindowCounts:
    """Counts of one window: seven tallies, seven exact sums, and of the score bins those that hold anything.

    ``used`` are their numbers, rising, and ``bins`` their counts: a row of outcomes that were negative, one of those that were positive.
    """

    __slots__ = ("bins", "sums", "tallies", "used")

    def __init__(self) -> None:
        self.tallies: list[int] = [0] * 7
        self.sums: list[int] = [0] * 7
        self.used: Ints = np.zeros(0, np.int64)
        self.bins: Ints = np.zeros((2, 0), np.int64)

    @classmethod
    def total(cls, parts: Sequence["WindowCounts"]) -> "WindowCounts":
        """The sum of some counts, one or more; counts may be negative, which takes back."""
        whole, binned = cls(), [part for part in parts if len(part.used)]
        whole.tallies = [sum(column) for column in zip(*[part.tallies for part in parts], strict=True)]
        whole.sums = [sum(column) for column in zip(*[part.sums for part in parts], strict=True)]
        if len(binned) == 1:
            whole.used, whole.bins = binned[0].used, binned[0].bins
        elif binned:
            numbers, counts = zip(*[(part.used, part.bins) for part in binned], strict=True)
            whole.used, whole.bins = _by_number(np.concatenate(numbers), np.concatenate(counts, axis=1))
        return whole

    def pack(self) -> bytes:
        """The counts as bytes; `unpack` reads them."""
        sums = b"".join(value.to_bytes(16, "little", signed=True) for value in self.sums)
        head = _HEAD.pack(_FORMAT, *self.tallies, len(self.used))
        return head + sums + self.used.astype("<i4").tobytes() + self.bins.astype("<i8").tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "WindowCounts":
        """Read what `pack` wrote.

        >>> counts = WindowCounts()
        >>> counts.tallies[0] = 3
        >>> WindowCounts.unpack(counts.pack()).tallies[0]
        3
        """
        counts = cls()
        _, *counts.tallies, used = _HEAD.unpack_from(value)
        at = _HEAD.size
        counts.sums = [int.from_bytes(value[i : i + 16], "little", signed=True) for i in range(at, at + 112, 16)]
        counts.used = np.frombuffer(value, "<i4", used, at + 112).astype(np.int64)
        counts.bins = np.frombuffer(value, "<i8", 2 * used, at + 112 + 4 * used).reshape(2, used)
        return counts

    def fields(self) -> dict[str, Any]:
        """The counts under the names of `leadline.records.WindowPartial`."""
        named: dict[str, Any] = dict(zip(TALLIES, self.tallies, strict=True)) | dict(zip(SUMS, self.sums, strict=True))
        return named | {
            "score_bins": self.used.tolist(),
            "positives": self.bins[1].tolist(),
            "negatives": self.bins[0].tolist(),
        }


def fold(size: int, predicted: tuple[Ints, Ints], matched: Matched, expired: tuple[Ints, Ints]) -> list[WindowCounts]:
    """Counts of ``size`` places from columns: where predictions were made (where, sign), were matched, and expired (where, sign)."""
    totals = [WindowCounts() for _ in range(size)]
    tallies = np.zeros((7, size), np.int64)
    np.add.at(tallies[0], *predicted)
    np.add.at(tallies[1], matched.where, matched.sign)
    np.add.at(tallies[2], expired[0], expired[1])
    binary = np.flatnonzero(matched.label >= 0)
    _confusion(tallies, matched, binary)
    _bins(totals, matched, binary)
    for row, values in enumerate(_sum_columns(matched)):
        for place, total in enumerate(_exact_sums(values, matched, size)):
            totals[place].sums[row] = total
    for place, counts in enumerate(totals):
        counts.tallies = tallies[:, place].tolist()
    return totals


def _confusion(tallies: Ints, matched: Matched, binary: Ints) -> None:
    cell = np.array([[6, 5], [4, 3]])[matched.label[binary], matched.positive[binary]]
    np.add.at(tallies, (cell, matched.where[binary]), matched.sign[binary])


def _bins(totals: list[WindowCounts], matched: Matched, binary: Ints) -> None:
    if not len(binary):
        return
    signs = np.zeros((2, len(binary)), np.int64)
    signs[matched.positive[binary], np.arange(len(binary))] = matched.sign[binary]
    spots, counts = _by_number(matched.where[binary] * SCORE_BINS + score_bin(matched.score[binary]), signs)
    place, used = np.divmod(spots, SCORE_BINS)
    bounds = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(place)]
    for start, stop in pairwise(bounds):
        if stop > start:
            totals[place[start]].used, totals[place[start]].bins = used[start:stop], counts[:, start:stop]


def _by_number(numbers: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The different numbers, rising, and the sum of the columns of each; none that is zero.

    >>> [column.tolist() for column in _by_number(np.array([7, 3, 7, 5]), np.array([[1, 1, 1, 4], [0, 0, 2, -4]]))]
    [[3, 5, 7], [[1, 4, 2], [0, -4, 2]]]
    """
    order = numbers.argsort(kind="stable")
    numbers = numbers.take(order)
    starts = np.empty(len(numbers), bool)
    starts[:1] = True
    np.not_equal(numbers[1:], numbers[:-1], out=starts[1:])
    first = np.flatnonzero(starts)
    sums = np.add.reduceat(counts.take(order, axis=1), first, axis=1)
    kept = np.flatnonzero(sums.any(axis=0))
    return numbers.take(first.take(kept)), sums.take(kept, axis=1)


def _sum_columns(matched: Matched) -> list[Floats]:
    binary = matched.label >= 0
    truth = np.where(binary, matched.positive, matched.outcome)
    error = matched.score - truth
    clipped = np.clip(np.where(binary, matched.score, 0.5), 1e-15, 1 - 1e-15)
    logloss = np.where(binary, -np.log(np.where(matched.positive == 1, clipped, 1 - clipped)), 0.0)
    regression = np.where(binary, 0.0, error)
    brier = np.where(binary, error * error, 0.0)
    return [matched.score, truth, logloss, brier, regression, np.abs(regression), regression * regression]


def _exact_sums(values: Floats, matched: Matched, size: int) -> list[int]:
    whole = np.floor(values)
    parts = np.rint((values - whole) * UNIT).astype(np.int64)
    kind: Any = np.int64 if len(values) * float(np.abs(whole).max(initial=0)) < 2**62 else object
    high = np.zeros(size, kind)
    np.add.at(high, matched.where, whole.astype(np.int64).astype(kind) * matched.sign)
    low = np.zeros(size, np.int64)
    np.add.at(low, matched.where, parts * matched.sign)
    return [int(h) * UNIT + int(part) for h, part in zip(high, low, strict=True)]
