"""What a stage read, in its order: the order of records of several topics is the stage's own, and a naive reading needs it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from leadline.core.processor import Batch, Effects, Processor, Store
from leadline.records import Record
from leadline.testing.driver import Driver
from leadline.topology import Step, Task

_KEY = b"\xff"


class _Journal:
    """Writes down in the store of a stage, together with its state, which records it took."""

    def __init__(self, inner: Processor, store: Store) -> None:
        self._inner = inner
        self._store = store

    @property
    def wake_at_ms(self) -> int | None:
        return self._inner.wake_at_ms

    @property
    def has_due(self) -> bool:
        return self._inner.has_due

    def on_batch(self, batch: Batch) -> Effects:
        number = int(self._store.get(_KEY) or 0)
        self._store.put(_KEY, b"%d" % (number + 1))
        first = min([*batch.offsets[:1].tolist(), *(each.offset for each in batch.glances[:1])], default=0)
        taken = [batch.topic, batch.partition, first, batch.last_offset]
        self._store.put(_KEY + number.to_bytes(8, "big"), json.dumps(taken).encode())
        return self._inner.on_batch(batch)

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        return self._inner.on_time(now_ms, idle)


def journaled(step: Step) -> Step:
    """A step that keeps a journal."""

    def processor(task: Task) -> Processor:
        return _Journal(step.processor(task), task.store)

    return replace(step, processor=processor)


def taken(driver: Driver, step: Step, partition: int) -> Iterator[tuple[Record, int]]:
    """The records of few that a task of a journaled step has worked on, in its order, with the times of their arrival."""
    batch = cache(driver.batch)
    runs = [json.loads(value) for _, value in driver.store(step, partition).scan(_KEY + b"\0", _KEY + b"\xff" * 9)]
    for topic, number, first, last in runs:
        read = batch(topic, number)
        rows = zip(read.offsets.tolist(), read.records, read.arrival_ms.tolist(), strict=True)
        yield from ((record, arrival_ms) for offset, record, arrival_ms in rows if first <= offset <= last)
