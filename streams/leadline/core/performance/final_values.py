"""Intervals of the final values of windows, learned from those of the same version and segment that are mature.

What is learned from depends on log time alone (the ``as_of`` of the partials), but not on it only: partitions that are read at different
speed give a window other numbers at an age. At maturity all partitions have said theirs, so what is told then is the same however the log
is read. Later corrections restate the metrics, and leave what was learned as it was.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats
from leadline.core.performance.traces import AGES, Numbers, Past, Trace, age, is_past
from leadline.core.processor import Store
from leadline.core.statistics.final_value import CONFORMAL, FEWEST, Learned, learned, unlike, unlucky
from leadline.core.store_keys import PerformanceKeys
from leadline.core.windows.keys import WindowKey
from leadline.records import identity

KEPT = 50
"""Mature windows of a version and segment that are learned from."""
LEAST_OUTCOMES = 10
"""Of what is realised: fewer are not like the others of their window, and their own standard error says little."""
_SERIES = 200
"""Versions and segments whose windows are held in memory too."""


class Now(NamedTuple):
    """A window as it is: when it ends, the time of its newest partial, the label horizon, whether it is mature, and its numbers.

    ``of_labels``: which of them are made of outcomes, so that their errors are of windows with as many of them. ``of_few``: which of them
    are made of too few.
    """

    end: int
    at: int
    horizon: int
    is_mature: bool
    coverage: float
    values: Floats
    spreads: Floats
    of_labels: Sequence[bool]
    of_few: Sequence[bool]


class Interval(NamedTuple):
    """The interval of a number's final value, NaN where there is none and why; and what it was learned from."""

    low: float
    high: float
    windows: int
    basis: str
    hits: float | None
    why: str


class _History(NamedTuple):
    """Mature windows of one version and segment, in order: a row each."""

    starts: NDArray[np.int64]
    coverage: Floats
    errors: Floats
    held: NDArray[np.int8]


class FinalValues:
    """The traces of the windows that are routed to a task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._series: dict[bytes, tuple[bytes, _History]] = {}

    def take(self, key: WindowKey, now: Now, finals: Sequence[int], main: int) -> tuple[list[Interval], float | None]:
        """Remember a window, and tell the interval of each number; ``finals``: which number is the final value of each.

        Also the error of the estimate (the number ``main``), once the window is mature.
        """
        value = self._store.get(_trace_key(key))
        at = AGES if now.is_mature else max(0, age(now.at, now.end, now.horizon))
        found = self._learned(key, at, now)
        if value is not None and is_past(value):
            return found, _or_none(Past.unpack(value).estimated_error)
        rows = np.array([now.values, now.spreads, [i.low for i in found], [i.high for i in found]], np.float32).T
        trace = _went_on(value, Numbers(now.coverage, rows), now)
        if now.is_mature:
            past = Past.of(trace, rows[list(finals), 0], main)
            self._add(key, past)
            return found, _or_none(past.estimated_error)
        self._store.put(_trace_key(key), trace.pack())
        return found, None

    def _learned(self, key: WindowKey, at: int, now: Now) -> list[Interval]:
        history = self._history(key, len(now.values))
        before = int(np.searchsorted(history.starts, key.start))
        learnt = learned(history.errors[:before, at])
        held = history.held[:before, at]
        published, hits = (held >= 0).sum(axis=0), (held == 1).sum(axis=0)
        other = _unlike(now.coverage, history.coverage[:before], at)
        bad = unlucky(hits, published)
        share = [int(hit) / int(all_) if all_ else None for hit, all_ in zip(hits, published, strict=True)]
        return [
            _interval(now, learnt, i, other and now.of_labels[i], bool(bad[i]), share[i])
            for i in range(len(now.values))
        ]

    def _history(self, key: WindowKey, width: int) -> _History:
        """The mature windows of a version and segment; those of another kind of model are passed over."""
        series = _series_key(key)
        stored = self._store.get(series) or b""
        cached = self._series.get(series)
        if cached is None or cached[0] != stored or cached[1].errors.shape[2] != width:
            starts = _starts(stored)
            values = self._store.get_many([_trace_key(key._replace(start=start)) for start in starts])
            pasts = {s: Past.unpack(v) for s, v in zip(starts, values, strict=True) if v is not None and is_past(v)}
            if len(self._series) >= _SERIES:
                self._series.pop(next(iter(self._series)))
            cached = self._series[series] = stored, _stacked(pasts, width)
        return cached[1]

    def _add(self, key: WindowKey, past: Past) -> None:
        """A window has become mature; the newest ones are kept."""
        starts = sorted({*_starts(self._store.get(_series_key(key)) or b""), key.start})
        kept = starts[-KEPT:]
        self._store.put(_trace_key(key), past.pack())
        for start in starts[:-KEPT]:
            self._store.delete(_trace_key(key._replace(start=start)))
        self._store.put(_series_key(key), struct.pack(f"<{len(kept)}q", *kept))


def _went_on(value: bytes | None, numbers: Numbers, now: Now) -> Trace:
    """The trace of a window with its newest numbers; what is at an age exactly still counts for it."""
    passed = AGES if now.is_mature else age(now.at - 1, now.end, now.horizon) + 1
    trace = None if value is None else Trace.unpack(value)
    if trace is None or trace.rows.shape[1:] != numbers.rows.shape:
        return Trace.begin(numbers, passed)
    return trace.go_on(numbers, passed)


def _unlike(share: float, coverage: Floats, at: int) -> bool:
    younger, older = coverage[:, at], coverage[:, min(AGES, at + 1)]
    known = np.isfinite(younger) & np.isfinite(older)
    return int(known.sum()) >= FEWEST and unlike(share, younger[known], older[known])


def _stacked(pasts: dict[int, Past], width: int) -> _History:
    fit = {start: past for start, past in pasts.items() if past.errors.shape == (AGES + 1, width)}
    shape = len(fit), AGES + 1, width
    return _History(
        np.array(list(fit), np.int64),
        np.array([past.coverage for past in fit.values()], np.float64).reshape(shape[:2]),
        np.array([past.errors for past in fit.values()], np.float64).reshape(shape),
        np.array([past.held for past in fit.values()], np.int8).reshape(shape),
    )


def _interval(now: Now, learnt: Learned, i: int, other: bool, unlucky_: bool, hits: float | None) -> Interval:
    windows, spread = int(learnt.windows[i]), float(now.spreads[i])
    why = ""
    if windows < FEWEST:
        why = f"{windows} mature windows before it, of {FEWEST}"
    elif now.of_few[i]:
        why = f"fewer than {LEAST_OUTCOMES} outcomes"
    elif not spread > 0:
        why = "no standard error"
    elif other:
        why = "the share of labels is not like theirs"
    if why:
        return Interval(np.nan, np.nan, windows, "none", hits, why)
    middle, half = float(now.values[i]) + spread * float(learnt.middle[i]), spread * float(learnt.half[i])
    basis = "conformal" if windows >= CONFORMAL else "t"
    why = "the last ones held too seldom" if unlucky_ else ""
    return Interval(middle - half, middle + half, windows, basis, hits, why)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _starts(stored: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(stored) // 8}q", stored))


def _trace_key(key: WindowKey) -> bytes:
    return PerformanceKeys.TRACE + identity(*key)


def _series_key(key: WindowKey) -> bytes:
    return PerformanceKeys.SERIES + identity(key.model, key.version, key.segment)
