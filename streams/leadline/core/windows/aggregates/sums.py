"""Sums over the matched predictions of a window, exact whatever the order of adding and taking back."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.windows.aggregates.changes import Changes, Matched
from leadline.core.windows.aggregates.limits import first, negative
from leadline.core.windows.aggregates.whole_numbers import WholeNumbers
from leadline.records import WindowPartial

UNIT = 10**12
BYTES = 16
LIMIT = 2 ** (8 * BYTES - 1)


class Sums(WholeNumbers):
    """Sums as whole numbers of 1e-12 units: score and outcome; log loss and Brier loss (binary); errors (regression)."""

    __slots__ = ()
    names = (
        "score_sum",
        "outcome_sum",
        "logloss_sum",
        "brier_sum",
        "error_sum",
        "absolute_error_sum",
        "squared_error_sum",
    )

    @classmethod
    def fold(cls, changes: Changes) -> list["Sums"]:
        matched = changes.matched
        columns = [total(values, matched.window, matched.sign, changes.size) for values in _values(matched)]
        return list(map(cls, zip(*columns, strict=True)))

    def pack(self) -> bytes:
        return b"".join([value.to_bytes(BYTES, "little", signed=True) for value in self])

    @classmethod
    def unpack(cls, value: bytes, start: int) -> tuple[Self, int]:
        end = start + BYTES * len(cls.names)
        read = int.from_bytes
        return cls([read(value[i : i + BYTES], "little", signed=True) for i in range(start, end, BYTES)]), end

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        wide = (f"{name} has more than {BYTES} bytes" for name in cls.names if abs(getattr(record, name)) >= LIMIT)
        errors = record.absolute_error_sum, record.squared_error_sum
        return first([next(wide, None), negative("sums of absolute and of squared errors", errors)])

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:  # noqa: ARG003 - any sums go together
        return None


def _values(matched: Matched) -> Iterator[Floats]:
    """What each matched prediction adds to each sum, in the order of the names."""
    binary = matched.label >= 0
    truth = np.where(binary, matched.positive, matched.outcome)
    error = matched.score - truth
    clipped = np.clip(np.where(binary, matched.score, 0.5), 1e-15, 1 - 1e-15)
    regression = np.where(binary, 0.0, error)
    yield matched.score
    yield truth
    yield np.where(binary, -np.log(np.where(matched.positive == 1, clipped, 1 - clipped)), 0.0)
    yield np.where(binary, error * error, 0.0)
    yield regression
    yield np.abs(regression)
    yield regression * regression


def errors(matched: Matched, times: Ints, size: int) -> list[tuple[int, int]]:
    """The sums of absolute and of squared errors of each of ``size`` windows (0 for binary models); each match counts so many times."""
    rows = np.flatnonzero(matched.label < 0)
    if not len(rows):
        return [(0, 0)] * size
    window, own = matched.window[rows], times[rows]
    error = np.abs(matched.score[rows] - matched.outcome[rows])
    both = total(error, window, own, size), total(error * error, window, own, size)
    return list(zip(*both, strict=True))


def scores(matched: Matched, times: Ints, size: int) -> list[int]:
    """The sums of the scores of each of ``size`` windows; each match counts so many times."""
    return total(matched.score, matched.window, times, size)


def total(values: Floats, window: Ints, times: Ints, size: int) -> list[int]:
    """The exact sum of each of ``size`` windows, in units; whole parts and fractions are added by themselves."""
    whole = np.floor(values)
    fractions = np.rint((values - whole) * UNIT).astype(np.int64)
    kind: Any = np.int64 if len(values) * float(np.abs(whole).max(initial=0)) < 2**62 else object
    high = np.zeros(size, kind)
    np.add.at(high, window, whole.astype(np.int64).astype(kind) * times)
    low = np.zeros(size, np.int64)
    np.add.at(low, window, fractions * times)
    return [int(each) * UNIT + int(rest) for each, rest in zip(high, low, strict=True)]
