"""All private names of clients that Leadline uses. docs/decisions/0012 says why it uses any.

aiokafka may rename them in any release, so pyproject admits one series of it; a test holds ``NAMES`` against the installed release.
"""

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count, repeat
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from leadline.kafka import unpacking
from leadline.kafka.columns import Columns
from leadline.kafka.unpacking import unpacked
from leadline.wire.limits import FETCH_UNPACKED_BYTES, RECORD_COST
from leadline.wire.run import Headers

NAMES: Mapping[str, tuple[str, ...]] = {
    "AIOKafkaConsumer": ("_client", "_coordinator", "_fetcher"),
    "AIOKafkaClient": ("_wait_on_metadata",),
    "AIOKafkaProducer": ("_sender",),
    "GroupCoordinator": ("fetch_committed_offsets",),
    "Fetcher": ("_pending_tasks", "_records", "error_future"),
    "FetchResult": ("_partition_records",),
    "PartitionRecords": ("_consumer_record", "_records", "next_fetch_offset"),
    "BatchBuilder": ("_builder", "_relative_offset"),
    "fetcher": ("MemoryRecords",),
    "default_records": ("gzip_decode", "snappy_decode", "lz4_decode", "zstd_decode"),
    "legacy_records": ("gzip_decode", "snappy_decode", "lz4_decode"),
}
"""What is used of each class of aiokafka. Names without underscore are of classes that are not public."""

_ABANDON_S = 1.0
_MAGIC, _LAST_CODEC = 2, 4
_LENGTH, _LENGTH_END = 8, 12
"""Where a batch says how long it is."""


# -- codecs ---------------------------------------------------------------------------------------------------------------


def bound_unpacking() -> None:
    """Have aiokafka unpack batches by functions that are bounded; its own write as much as the batch has."""
    for module in (default_records, legacy_records):
        for name in NAMES[module.__name__.rpartition(".")[2]]:
            setattr(module, name, getattr(unpacking, name.removesuffix("_decode")))


bound_unpacking()


# -- consumers ------------------------------------------------------------------------------------------------------------


async def wait_for_topic(consumer: AIOKafkaConsumer, topic_name: str) -> None:
    """Wait until a consumer knows the partitions of a topic."""
    await consumer._client._wait_on_metadata(topic_name)


def fetching_has_ended(consumer: AIOKafkaConsumer) -> bool:
    """Whether the task that fetches has ended by itself. aiokafka then hands over nothing, for ever, and says so in its log alone."""
    return bool(consumer._fetcher.error_future.done())


async def committed(
    consumer: AIOKafkaConsumer, asked: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, str]]:
    """The offsets that a group has, with the text that was committed beside each; without those that it has not."""
    found = await consumer._coordinator.fetch_committed_offsets(asked)
    return {tp: (int(each.offset), str(each.metadata or "")) for tp, each in found.items() if each.offset >= 0}


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


async def give_up(producer: AIOKafkaProducer) -> None:
    """End a producer whose own ``stop`` waits for a broker, with what it has not sent."""
    await producer._sender.close()
    await producer.client.close()


def by_batch(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was just started hand over each record batch as `Columns`, not each record as a ``ConsumerRecord``.

    That saves a third of what fetching costs. aiokafka still checks the batches, and leaves out those of aborted transactions.
    """
    consumer._fetcher._records = Results()


def allow(consumer: AIOKafkaConsumer, most_bytes: int) -> None:
    """Let what is fetched next unpack to so many bytes; where it is more, a batch is the last that comes, and the rest is fetched again."""
    consumer._fetcher._records.left.size = most_bytes


class _Left:
    """Bytes that may still be unpacked before what was fetched is worked on."""

    size = FETCH_UNPACKED_BYTES


class Results(OrderedDict[TopicPartition, Any]):
    """Takes the place of the dict in which aiokafka keeps what it has fetched, and makes each entry hand over batches."""

    def __init__(self) -> None:
        super().__init__()
        self.left = _Left()

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        fetched = getattr(result, "_partition_records", None)  # an error has none
        if fetched is not None:
            fetched._records = _Batches(fetched, self.left)
            fetched._consumer_record = _as_it_is
        super().__setitem__(tp, result)


class Packed:
    """Takes the place of aiokafka's ``MemoryRecords`` for all consumers of the process: it can hand over each batch with its bytes."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        return self.next_with_bytes()[1]

    def next_with_bytes(self) -> tuple[memoryview, Any]:
        """The bytes of the next batch, and the batch."""
        start = self._at
        self._at += _LENGTH_END + int.from_bytes(self._data[start + _LENGTH : start + _LENGTH_END])
        return self._data[start : self._at], self._records.next_batch()


fetcher.MemoryRecords = Packed


class _Batches:
    """The record batches of one fetch. A weak reference to ``fetched``, which holds this object, lets both go without a collection."""

    def __init__(self, fetched: Any, left: _Left) -> None:
        self._records = fetched._records
        self._fetched = weakref.proxy(fetched)
        self._left = left
        self._refused = False

    def has_next(self) -> bool:
        return not self._refused and self._left.size > 0 and bool(self._records.has_next())

    def next_batch(self) -> "_Batch | _Refused":
        try:
            packed, batch = self._records.next_with_bytes()
            reason = _damage(batch)
        except KafkaError as error:
            reason = str(error)
        if not reason:
            return _Batch(batch, packed, self._fetched, self._left)
        self._refused = True
        return _Refused(Refusal(self._fetched.next_fetch_offset, reason))


def _damage(batch: Any) -> str:
    """Why a batch cannot be read here and now; empty where it can."""
    if getattr(batch, "magic", _MAGIC) != _MAGIC:
        return f"a format of records that is not known (magic {batch.magic}): update Leadline"
    if not batch.validate_crc():
        return "the checksum is wrong, so the broker's disk or the way from it damages records: let another replica lead, or mend the disk"
    if getattr(batch, "compression_type", 0) > _LAST_CODEC:
        return f"a codec that is not known (number {batch.compression_type}): update Leadline"
    return ""


class Refusal(NamedTuple):
    """A batch that cannot be read here and now, and perhaps can later: where to read again, and the reason."""

    offset: int
    reason: str


class _Refused:
    """Stands for a batch that cannot be read, and hands over the refusal; nothing in the batch is believed."""

    producer_id = None
    is_control_batch = False

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self.next_offset = refusal.offset + 1

    def validate_crc(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Refusal]:
        yield self._refusal


class _Batch:
    """A record batch that iterates over one `Columns` in place of its records; all else is the batch's own."""

    def __init__(self, batch: Any, packed: memoryview, fetched: Any, left: _Left) -> None:
        self._batch = batch
        self._packed = packed
        self._fetched = fetched
        self._left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """That was done."""
        return True

    def __iter__(self) -> Iterator[Columns]:
        before = unpacked.size
        columns = Columns(self._batch, self._fetched.next_fetch_offset, self._packed)
        if unpacked.size > before:
            self._left.size -= unpacked.size - before + RECORD_COST * len(columns.offsets)
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
