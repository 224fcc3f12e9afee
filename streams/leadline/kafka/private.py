"""All private names of clients that Leadline uses. docs/decisions/0012 says why it uses any.

aiokafka may rename them in any release, so pyproject admits one series of it; a test holds ``NAMES`` against the installed release.
"""

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count, repeat
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from leadline.kafka.columns import Columns
from leadline.wire.run import Headers

NAMES: Mapping[str, tuple[str, ...]] = {
    "AIOKafkaConsumer": ("_client", "_coordinator", "_fetcher"),
    "AIOKafkaClient": ("_wait_on_metadata",),
    "Fetcher": ("_pending_tasks", "_records", "error_future"),
    "FetchResult": ("_partition_records",),
    "PartitionRecords": ("_consumer_record", "_records", "next_fetch_offset"),
    "BatchBuilder": ("_builder", "_relative_offset"),
}
"""What is used of each class of aiokafka. Names without underscore are of classes that are not public."""

_ABANDON_S = 1.0


# -- consumers ------------------------------------------------------------------------------------------------------------


async def wait_for_topic(consumer: AIOKafkaConsumer, topic_name: str) -> None:
    """Wait until a consumer knows the partitions of a topic."""
    await consumer._client._wait_on_metadata(topic_name)


def fetching_has_ended(consumer: AIOKafkaConsumer) -> bool:
    """Whether the task that fetches has ended by itself. aiokafka then hands over nothing, for ever, and says so in its log alone."""
    return bool(consumer._fetcher.error_future.done())


async def abandon(consumer: AIOKafkaConsumer) -> None:
    """End the tasks and connections that a consumer left behind when its own ``stop`` failed."""
    parts = [part for part in (consumer._coordinator, consumer._fetcher) if part is not None]
    tasks = {task for part in parts for task in vars(part).values() if isinstance(task, asyncio.Task)}
    if consumer._fetcher is not None:
        tasks |= consumer._fetcher._pending_tasks
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_ABANDON_S)
    await asyncio.wait([asyncio.ensure_future(consumer._client.close())], timeout=_ABANDON_S)


def by_batch(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was just started hand over each record batch as `Columns`, not each record as a ``ConsumerRecord``.

    That saves a third of what fetching costs. aiokafka still checks the batches, and leaves out those of aborted transactions.
    """
    consumer._fetcher._records = Results()


class Results(OrderedDict[TopicPartition, Any]):
    """Takes the place of the dict in which aiokafka keeps what it has fetched, and makes each entry hand over batches."""

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        fetched = getattr(result, "_partition_records", None)  # an error has none
        if fetched is not None:
            fetched._records = _Batches(fetched)
            fetched._consumer_record = _as_it_is
        super().__setitem__(tp, result)


class _Batches:
    """The record batches of one fetch. A weak reference to ``fetched``, which holds this object, lets both go without a collection."""

    def __init__(self, fetched: Any) -> None:
        self._records = fetched._records
        self._fetched = weakref.proxy(fetched)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> "_Batch":
        return _Batch(self._records.next_batch(), self._fetched)


class _Batch:
    """A record batch that iterates over one `Columns` in place of its records; all else is the batch's own."""

    def __init__(self, batch: Any, fetched: Any) -> None:
        self._batch = batch
        self._fetched = fetched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Columns]:
        columns = Columns(self._batch, self._fetched.next_fetch_offset)
        if columns.offsets:  # compaction leaves empty batches
            yield columns

    def __next__(self) -> Any:
        return next(self._batch)


def _as_it_is(_: Any, record: Any) -> Any:
    return record


# -- producers ------------------------------------------------------------------------------------------------------------


def fill(
    builder: BatchBuilder,
    keys: Collection[bytes | None],
    values: Collection[bytes | None],
    headers: Sequence[Headers] | None,
    limit: int | None,
) -> int:
    """Append rows to an empty batch until it is full, or longer than ``limit`` bytes (None: no limit); returns how many it holds.

    The builder's own ``append`` would double the cost.
    """
    assert len(keys) == len(values)
    records, now_ms, filled = builder._builder, int(time.time() * 1000), 0
    for appended in map(records.append, count(), repeat(now_ms), keys, values, headers or repeat([])):
        if appended is None:  # the batch is full
            break
        filled += 1
        if limit is not None and records.size() > limit:
            break
    builder._relative_offset = filled
    return filled
