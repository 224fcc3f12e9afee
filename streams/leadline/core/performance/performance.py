"""Live metrics: the partials of all partitions summed.

A sum takes one partial of each source partition, that of the highest revision, so that it is the same whatever the order, the repeats and
the number of partitions.
"""

import json
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from leadline.core.models import Models
from leadline.core.performance.metrics import TASKS, measure
from leadline.core.performance.three_numbers import ThreeNumbers
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.store_keys import PerformanceKeys
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import STATES, WindowKey
from leadline.core.windows.latest import holds, keep, latest
from leadline.core.windows.partials import CLASSES, EARLIEST
from leadline.records import JoinCounts, MaturedWindow, WindowMetrics, WindowPartial, identity

_TASKS = list(TASKS)
_HEAD = struct.Struct("<qqqBB")


class Performance(EventDriven):
    """Sums the partials of the windows that are routed to this task.

    ``partitions``: of how many the join tells. Until each has told of a model, nobody knows how far all of them are: the join counts of the
    model are as of the earliest time.
    """

    def __init__(self, store: Store, models: Models, partitions: int = 1) -> None:
        self._store = store
        self._partitions = partitions
        self._three_numbers = ThreeNumbers(store, models)

    def on_batch(self, batch: Batch) -> Effects:
        """One `WindowMetrics` for each window, one `JoinCounts` for each model that the run changes.

        A record arrives when the newest partial that it counts was made (its ``as_of``, the join's stage time). So the time depends on the
        partials alone, not on how late they are read; the record's own ``as_of``, of the slowest partition, may be hours older.
        """
        found: list[tuple[WindowMetrics | JoinCounts, int]] = [*self._windows(batch), *self._totals(batch)]
        records = [record for record, _ in found]
        arrival_ms = np.array([time for _, time in found], np.int64)
        return Effects([Output("metrics", records=records, arrival_ms=arrival_ms)] if records else [])

    # -- windows ------------------------------------------------------------------------------------------------------

    def _windows(self, batch: Batch) -> list[tuple[WindowMetrics, int]]:
        partials = [record for record in batch.records if isinstance(record, WindowPartial)]
        changed: dict[WindowKey, dict[int, WindowPartial]] = {}
        for (key, source), record in latest(partials, _key_and_source).items():
            changed.setdefault(key, {})[source] = record
        windows = sorted(changed)
        sources = self._store.get_many([_sources_key(key) for key in windows])
        summed = [self._window(key, value, changed[key]) for key, value in zip(windows, sources, strict=True)]
        return [window for window in summed if window is not None]

    def _window(
        self, key: WindowKey, sources: bytes | None, partials: dict[int, WindowPartial]
    ) -> tuple[WindowMetrics, int] | None:
        """Take in the partials of one window, by source partition; its metrics, and when they arrive.

        None where all of them are older than those held.
        """
        held_state, *partitions = struct.unpack(f"<{len(sources) // 4}I", sources) if sources else (0,)
        values = self._store.get_many([_partial_key(key, partition) for partition in partitions])
        stored = {p: value for p, value in zip(partitions, values, strict=True) if value}
        fresh = {p: _Held.of(each) for p, each in partials.items() if holds(each.revision, _revision(stored.get(p)))}
        if not fresh:
            return None
        for partition, partial in fresh.items():
            self._store.put(_partial_key(key, partition), partial.pack())
        held = {p: _Held.unpack(value) for p, value in stored.items() if p not in fresh} | fresh
        state = max(held_state, min(partial.state for partial in held.values()))
        self._store.put(_sources_key(key), struct.pack(f"<{len(held) + 1}I", state, *sorted(held)))
        record, counts = _metrics(key, list(held.values()), STATES[state])
        newest = max(partial.as_of for partial in held.values())
        return self._three_numbers.complete(record, counts, newest), newest

    # -- totals -------------------------------------------------------------------------------------------------------

    def _totals(self, batch: Batch) -> list[tuple[JoinCounts, int]]:
        changed: dict[str, list[JoinCounts]] = {}
        for record in batch.records:
            if isinstance(record, JoinCounts):
                changed.setdefault(record.model, []).append(record)
        totals = [self._total(model, changed[model]) for model in sorted(changed)]
        return [total for total in totals if total is not None]

    def _total(self, model: str, records: list[JoinCounts]) -> tuple[JoinCounts, int] | None:
        """Take in the counts of one model; the sum, and when it arrives. None where all of them are older than those held."""
        key = PerformanceKeys.JOIN_COUNTS + model.encode()
        value = self._store.get(key)
        held = {row["source_partition"]: JoinCounts(**row) for row in json.loads(value)} if value else {}
        matured, is_new = Counter[tuple[str, int]](), False
        for record in records:
            before = held.get(record.source_partition)
            if before is None or record.revision > before.revision:
                matured.update({(each.model_version, each.window_start): each.predictions for each in record.matured})
            is_new |= keep(held, record.source_partition, replace(record, matured=[]))
        if not is_new:
            return None
        self._store.put(key, json.dumps([asdict(record) for record in held.values()]).encode())
        times = [record.as_of for record in held.values()]
        total = JoinCounts(
            model=model,
            source_partition=-1,
            revision=sum(record.revision for record in held.values()),
            as_of=min(times) if len(times) >= self._partitions else EARLIEST,
            **{name: sum(getattr(record, name) for record in held.values()) for name in CLASSES},
            last_prediction_at=_latest(record.last_prediction_at for record in held.values()),
            last_outcome_at=_latest(record.last_outcome_at for record in held.values()),
            matured=[MaturedWindow(*window, count) for window, count in sorted(matured.items())],
        )
        return total, max(times)


def _latest(times: Iterable[int | None]) -> int | None:
    return max((time for time in times if time is not None), default=None)


class _Held(NamedTuple):
    """A partial as the store holds it."""

    revision: int
    as_of: int
    window_end: int
    task: int
    state: int
    counts: WindowCounts

    @classmethod
    def of(cls, record: WindowPartial) -> "_Held":
        state, task = STATES.index(record.state), _TASKS.index(record.task)
        return cls(record.revision, record.as_of, record.window_end, task, state, WindowCounts.of(record))

    def pack(self) -> bytes:
        return _HEAD.pack(*self[:5]) + self.counts.pack()

    @classmethod
    def unpack(cls, value: bytes) -> "_Held":
        revision, as_of, window_end, task, state = _HEAD.unpack_from(value)
        return cls(revision, as_of, window_end, task, state, WindowCounts.unpack(value, _HEAD.size))


def _revision(stored: bytes | None) -> int | None:
    return None if stored is None else int(_HEAD.unpack_from(stored)[0])


def _key_and_source(record: WindowPartial) -> tuple[WindowKey, int]:
    return WindowKey.of(record), record.source_partition


def _sources_key(key: WindowKey) -> bytes:
    return PerformanceKeys.WINDOW + identity(*key)


def _partial_key(key: WindowKey, partition: int) -> bytes:
    return PerformanceKeys.PARTIAL + identity(*key, partition)


def _metrics(key: WindowKey, partials: list[_Held], state: str) -> tuple[WindowMetrics, WindowCounts]:
    """The record of a window from the partials of all its source partitions, and its counts."""
    [counts] = WindowCounts.merge([[partial.counts for partial in partials]])
    predictions, matched, expired, assumed = counts.tallies
    task = _TASKS[max(partial.task for partial in partials)]
    record = WindowMetrics(
        model=key.model,
        model_version=key.version,
        segment=key.segment,
        window_start=key.start,
        window_end=max(partial.window_end for partial in partials),
        revision=sum(partial.revision for partial in partials),
        as_of=min(partial.as_of for partial in partials),
        state=state,
        task=task,
        predictions=predictions,
        matched=matched,
        pending=predictions - matched - expired,
        expired=expired,
        coverage=(matched - assumed) / predictions if predictions else None,
        mature=counts.mature.counts(len(partials)),
        assumed=assumed,
        **{**counts.confusion.fields(), **measure(counts, task)},
    )
    return record, counts
