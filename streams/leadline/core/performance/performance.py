"""Live metrics: the partials of all partitions summed.

A sum holds the newest partial of each source partition, so that it is the same whatever the order, the repeats and the number of
partitions.
"""

import json
import struct
from dataclasses import astuple
from typing import NamedTuple

import numpy as np

from leadline.core.performance.metrics import measure
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.store_keys import PerformanceKeys
from leadline.core.windows.aggregates import SUMS, TALLIES, WindowCounts
from leadline.core.windows.keys import STATES, WindowKey
from leadline.records import JoinCounts, WindowMetrics, WindowPartial, identity

_HEAD = struct.Struct("<qqq?B")


class Performance(EventDriven):
    """Sums the partials of the windows that are routed to this task."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def on_batch(self, batch: Batch) -> Effects:
        """One `WindowMetrics` for each window, one `JoinCounts` for each model that the run has news of.

        A record arrives when the newest partial that it counts was made (its ``as_of``, the join's stage time). So the time depends on the
        partials alone, not on how late they are read; the record's own ``as_of``, of the slowest partition, may be hours older.
        """
        found: list[tuple[WindowMetrics | JoinCounts, int]] = [*self._windows(batch), *self._totals(batch)]
        records = [record for record, _ in found]
        arrival_ms = np.array([time for _, time in found], np.int64)
        return Effects([Output("metrics", records=records, arrival_ms=arrival_ms)] if records else [])

    # -- windows ------------------------------------------------------------------------------------------------------

    def _windows(self, batch: Batch) -> list[tuple[WindowMetrics, int]]:
        news = _newest(batch)
        windows = sorted(news)
        sources = self._store.get_many([_sources_key(key) for key in windows])
        summed = [self._window(*row) for row in zip(windows, sources, (news[key] for key in windows), strict=True)]
        return [window for window in summed if window is not None]

    def _window(
        self, key: WindowKey, sources: bytes | None, news: dict[int, WindowPartial]
    ) -> tuple[WindowMetrics, int] | None:
        """Take in what is new of one window; its metrics, and when they arrive. None where all of it is older than what is held."""
        held_state, *partitions = struct.unpack(f"<{len(sources) // 4}I", sources) if sources else (0,)
        values = self._store.get_many([_partial_key(key, partition) for partition in partitions])
        kept = {p: value for p, value in zip(partitions, values, strict=True) if value}
        fresh = {
            p: _Held.of(record) for p, record in news.items() if p not in kept or record.revision >= _revision(kept[p])
        }
        if not fresh:
            return None
        for partition, partial in fresh.items():
            self._store.put(_partial_key(key, partition), partial.pack())
        held = {p: _Held.unpack(value) for p, value in kept.items() if p not in fresh} | fresh
        state = max(held_state, min(partial.state for partial in held.values()))
        self._store.put(_sources_key(key), struct.pack(f"<{len(held) + 1}I", state, *sorted(held)))
        return _metrics(key, list(held.values()), STATES[state]), max(partial.as_of for partial in held.values())

    # -- totals -------------------------------------------------------------------------------------------------------

    def _totals(self, batch: Batch) -> list[tuple[JoinCounts, int]]:
        news: dict[str, list[JoinCounts]] = {}
        for record in batch.records:
            if isinstance(record, JoinCounts):
                news.setdefault(record.model, []).append(record)
        totals = [self._total(model, news[model]) for model in sorted(news)]
        return [total for total in totals if total is not None]

    def _total(self, model: str, news: list[JoinCounts]) -> tuple[JoinCounts, int] | None:
        key = PerformanceKeys.JOIN_COUNTS + model.encode()
        value = self._store.get(key)
        held: dict[str, list[int]] = json.loads(value) if value else {}
        fresh = False
        for record in news:
            _, source, revision, *rest = astuple(record)
            if str(source) not in held or revision >= held[str(source)][0]:
                held[str(source)], fresh = [revision, *rest], True
        if not fresh:
            return None
        self._store.put(key, json.dumps(held).encode())
        revision, _, *counts = map(sum, zip(*held.values(), strict=True))
        times = [row[1] for row in held.values()]
        return JoinCounts(model, -1, revision, min(times), *counts), max(times)


class _Held(NamedTuple):
    """A partial as it is kept."""

    revision: int
    as_of: int
    window_end: int
    regression: bool
    state: int
    counts: WindowCounts

    @classmethod
    def of(cls, record: WindowPartial) -> "_Held":
        counts = WindowCounts()
        counts.tallies = [getattr(record, name) for name in TALLIES]
        counts.sums = [getattr(record, name) for name in SUMS]
        counts.used = np.array(record.score_bins, np.int64)
        counts.bins = np.array([record.negatives, record.positives], np.int64)
        state, regression = STATES.index(record.state), record.task == "regression"
        return cls(record.revision, record.as_of, record.window_end, regression, state, counts)

    def pack(self) -> bytes:
        return _HEAD.pack(*self[:5]) + self.counts.pack()

    @classmethod
    def unpack(cls, value: bytes) -> "_Held":
        revision, as_of, window_end, regression, state = _HEAD.unpack_from(value)
        return cls(revision, as_of, window_end, regression, state, WindowCounts.unpack(value[_HEAD.size :]))


def _revision(held: bytes) -> int:
    return int(_HEAD.unpack_from(held)[0])


def _newest(batch: Batch) -> dict[WindowKey, dict[int, WindowPartial]]:
    news: dict[WindowKey, dict[int, WindowPartial]] = {}
    for record in batch.records:
        if isinstance(record, WindowPartial):
            key = WindowKey(record.model, record.model_version, record.segment, record.window_start)
            sources = news.setdefault(key, {})
            held = sources.get(record.source_partition)
            if held is None or record.revision >= held.revision:
                sources[record.source_partition] = record
    return news


def _sources_key(key: WindowKey) -> bytes:
    return PerformanceKeys.WINDOW + identity(*key)


def _partial_key(key: WindowKey, partition: int) -> bytes:
    return PerformanceKeys.PARTIAL + identity(*key, partition)


# -- numbers ----------------------------------------------------------------------------------------------------------


def _metrics(key: WindowKey, partials: list[_Held], state: str) -> WindowMetrics:
    counts = WindowCounts.total([partial.counts for partial in partials])
    predictions, matched, expired, tp, fp, fn, tn = counts.tallies
    regression = any(partial.regression for partial in partials)
    return WindowMetrics(
        *key, max(partial.window_end for partial in partials), sum(partial.revision for partial in partials),
        min(partial.as_of for partial in partials), state, "regression" if regression else "binary",
        predictions, matched, predictions - matched - expired, expired, tp, fp, fn, tn,
        coverage=matched / predictions if predictions else None, **measure(counts, regression=regression),
    )  # fmt: skip
