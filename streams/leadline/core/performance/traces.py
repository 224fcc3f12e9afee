"""What is kept of a window to learn from: its numbers at each age, and once it is mature how far they were from the final value.

Ages are those of log time: the time of the newest partial that the record counts. The age 0 is the end of the window, 16 its maturity; of
each between the newest numbers before it count.
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

AGES = 16
Rows = NDArray[np.float32]
_HEAD = struct.Struct("<BBB")
_ERROR = struct.Struct("<d")


def age(at: int, window_end: int, horizon: int) -> int:
    """The last age that is reached by then; -1 before the window's end, below `AGES` before its maturity.

    >>> [age(at, 100, 32) for at in (99, 100, 101, 102, 131, 999)]
    [-1, 0, 0, 1, 15, 15]
    """
    return min(AGES - 1, (at - window_end) * AGES // horizon) if at >= window_end else -1


class Numbers(NamedTuple):
    """Numbers of a window at one moment: ``rows`` has for each its value, standard error and interval (NaN: none)."""

    coverage: float
    rows: Rows


class Trace(NamedTuple):
    """A window that is not mature: its numbers at the ages that it has passed, and its newest ones, the last."""

    coverage: Rows
    rows: Rows

    @classmethod
    def begin(cls, numbers: Numbers, passed: int) -> "Trace":
        """A window that is first heard of when it has passed so many ages."""
        none = np.full((passed, *numbers.rows.shape), np.nan, np.float32)
        coverage = np.full(passed, np.nan, np.float32)
        return cls(np.append(coverage, np.float32(numbers.coverage)), np.concatenate([none, numbers.rows[None]]))

    def go_on(self, numbers: Numbers, passed: int) -> "Trace":
        """With newer numbers, when so many ages are passed: at those that are new, what was the newest held."""
        times = max(0, passed - len(self.rows) + 1)
        coverage = np.concatenate([self.coverage[:-1], np.repeat(self.coverage[-1:], times), [numbers.coverage]])
        rows = np.concatenate([self.rows[:-1], np.repeat(self.rows[-1:], times, axis=0), numbers.rows[None]])
        return Trace(coverage.astype(np.float32), rows)

    def pack(self) -> bytes:
        head = _HEAD.pack(0, len(self.rows), self.rows.shape[1])
        return head + self.coverage.tobytes() + self.rows.tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "Trace":
        _, length, width = _HEAD.unpack_from(value)
        found = np.frombuffer(value, np.float32, offset=_HEAD.size)
        return cls(found[:length], found[length:].reshape(length, width, 4))


class Past(NamedTuple):
    """A mature window: for each age and number the error (see `leadline.core.statistics.final_value`), and whether the interval held.

    ``held``: 1 and 0; -1 where there was no interval. ``estimated_error``: the estimate at the window's
    end, or the first one after it, less what was realised.
    """

    coverage: Rows
    errors: Rows
    held: NDArray[np.int8]
    estimated_error: float

    @classmethod
    def of(cls, trace: Trace, final: Rows, main: int) -> "Past":
        """From a trace over all ages; ``final`` is the final value of each number, ``main`` the number of the estimate."""
        value, spread, low, high = np.moveaxis(trace.rows, 2, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            errors = np.where(spread > 0, (final - value) / spread, np.nan)
            held = np.where(np.isnan(low + final), -1, (low <= final) & (final <= high))
        estimates = value[np.isfinite(value[:, main]), main]
        error = float(estimates[0]) - float(final[main]) if len(estimates) else np.nan
        return cls(trace.coverage, errors.astype(np.float32), held.astype(np.int8), error)

    def pack(self) -> bytes:
        head = _HEAD.pack(1, len(self.errors), self.errors.shape[1]) + _ERROR.pack(self.estimated_error)
        return head + self.coverage.tobytes() + self.errors.tobytes() + self.held.tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "Past":
        _, length, width = _HEAD.unpack_from(value)
        [error] = _ERROR.unpack_from(value, _HEAD.size)
        start, cells = _HEAD.size + _ERROR.size, length * width
        floats = np.frombuffer(value, np.float32, length + cells, start)
        held = np.frombuffer(value, np.int8, cells, start + 4 * (length + cells))
        return cls(floats[:length], floats[length:].reshape(length, width), held.reshape(length, width), error)


def is_past(value: bytes) -> bool:
    """Whether stored bytes are of a mature window."""
    return value[0] == 1
