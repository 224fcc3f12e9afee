"""What aggregates of counts by score have in common.

Scores of binary models are counted in 2,048 fixed bins, evenly spaced on the logit scale, so that what is made of the counts merges
and stays sharp for scores near 0 and 1.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np

from leadline.core.columnar.columns import Floats, Ints, distinct

SCORE_BINS = 2048
EDGES = np.array([float(f"{1 / (1 + np.exp(-x)):.12g}") for x in np.linspace(-16, 16, SCORE_BINS - 1)])
_FENCES = np.array([-np.inf, *EDGES, np.inf])
_LENGTH = struct.Struct("<I")


def score_bin(scores: Floats) -> Ints:
    """Bin of each score in [0, 1]; bins are ordered by score.

    The bin is computed from the logit, and moved by one where rounding put the score beyond an edge: eight times faster than a search.

    >>> score_bin(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 1024, 2047]
    """
    inner = np.clip(scores, EDGES[0], EDGES[-1])
    bins = ((np.log(inner / (1 - inner)) + 16) * ((SCORE_BINS - 2) / 32) + 1).astype(np.int64)
    bins += scores >= _FENCES[bins + 1]
    bins -= scores < _FENCES[bins]
    return bins


def between(edges: Floats, scores: Floats) -> Floats:
    """Scores of any range as numbers in [0, 1]: those between two neighbouring edges (2,046 at most) have one, and a bin, of their own.

    >>> score_bin(between(np.array([-3.0, 40.0]), np.array([-9.0, -3.0, 39.9, 40.0, 1e9]))).tolist()
    [0, 1, 1, 2, 2]
    """
    return np.array([0.0, *EDGES])[np.searchsorted(edges, scores, side="right")]


class ByScore:
    """Counts of two kinds, 0 and 1, by score bin. ``used`` are the bins that hold anything, rising; ``counts`` has a row for each kind."""

    __slots__ = ("counts", "used")

    def __init__(self, used: Ints, counts: Ints) -> None:
        self.used = used
        self.counts = counts

    @classmethod
    def zero(cls) -> Self:
        return cls(np.zeros(0, np.int64), np.zeros((2, 0), np.int64))

    @classmethod
    def count(cls, size: int, window: Ints, score: Floats, kind: Ints, sign: Ints) -> list[Self]:
        """The counts of each of ``size`` windows, from columns; ``kind`` is 0 or 1, or -1 for what is not counted."""
        counted = np.flatnonzero(kind >= 0)
        if not len(counted):
            return [cls.zero()] * size
        codes, code = distinct(window[counted] * SCORE_BINS + score_bin(score[counted]))
        counts = np.zeros(2 * len(codes), np.int64)
        np.add.at(counts, kind[counted] * len(codes) + code, sign[counted])
        return cls._split(codes, counts.reshape(2, -1), size)

    @classmethod
    def merge(cls, groups: Sequence[Sequence[Self]]) -> list[Self]:
        sizes = [sum([len(part.used) for part in group]) for group in groups]
        parts = [part for group in groups for part in group]
        group = np.repeat(np.arange(len(groups)), sizes)
        used = np.concatenate([part.used for part in parts])
        counts = np.concatenate([part.counts for part in parts], axis=1)
        return cls._split(group * SCORE_BINS + used, counts, len(groups))

    @classmethod
    def _split(cls, codes: Ints, counts: Ints, size: int) -> list[Self]:
        """The counts of each window; a code is the window's index times 2,048, plus the bin."""
        codes, counts = add_up(codes, counts)
        window, used = np.divmod(codes, SCORE_BINS)
        windows = [cls.zero()] * size
        bounds = [0, *(np.flatnonzero(np.diff(window)) + 1).tolist(), len(window)] if len(window) else []
        for start, stop in pairwise(bounds):
            windows[window[start]] = cls(used[start:stop], counts[:, start:stop])
        return windows

    def pack(self) -> bytes:
        return _LENGTH.pack(len(self.used)) + self.used.astype("<i2").tobytes() + self.counts.astype("<i8").tobytes()

    @classmethod
    def unpack(cls, value: bytes, start: int) -> tuple[Self, int]:
        [length] = _LENGTH.unpack_from(value, start)
        start += _LENGTH.size
        used = np.frombuffer(value, "<i2", length, start).astype(np.int64)
        counts = np.frombuffer(value, "<i8", 2 * length, start + 2 * length).reshape(2, length)
        return cls(used, counts), start + 18 * length


def add_up(codes: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The different codes, rising, and the sum of the columns of each; without those that are zero in all rows.

    >>> [column.tolist() for column in add_up(np.array([7, 3, 7, 5]), np.array([[1, 1, 1, 4], [0, 0, 2, -4]]))]
    [[3, 5, 7], [[1, 4, 2], [0, -4, 2]]]
    """
    order = codes.argsort(kind="stable")
    codes = codes.take(order)
    starts = np.empty(len(codes), bool)
    starts[:1] = True
    np.not_equal(codes[1:], codes[:-1], out=starts[1:])
    first = np.flatnonzero(starts)
    sums = np.add.reduceat(counts.take(order, axis=1), first, axis=1)
    kept = np.flatnonzero(sums.any(axis=0))
    return codes.take(first.take(kept)), sums.take(kept, axis=1)
