"""From fetched bytes to runs, a record batch at a time."""

import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from leadline.wire.run import Run

_STAMPED_BY_BROKER = 1


class _Unreadable(NamedTuple):
    """A record of which aiokafka tells nothing; without value it ends as a dead letter."""

    offset: int
    timestamp: int
    key: None = None
    value: None = None
    headers: tuple[()] = ()


class _Columns:
    """All records of one record batch, in the place of one record; ``offset`` is the last."""

    def __init__(self, batch: Any, start: int) -> None:
        records: list[Any] = []
        try:
            records.extend(batch)
        except UnicodeDecodeError:  # the name of a header; the rest of this producer's batch cannot be read
            first = records[-1].offset + 1 if records else batch.base_offset
            records += [_Unreadable(offset, batch.max_timestamp) for offset in range(first, batch.next_offset)]
        if start > batch.base_offset:
            records = [record for record in records if record.offset >= start]
        self.offset = batch.next_offset - 1
        self.offsets = _offsets(records)
        self.timestamps = (
            [batch.max_timestamp] * len(records)
            if batch.timestamp_type == _STAMPED_BY_BROKER
            else [record.timestamp for record in records]
        )
        self.keys = [record.key for record in records]
        self.values = [record.value for record in records]
        self.headers = [record.headers for record in records]


def _offsets(records: list[Any]) -> list[int]:
    """They follow on each other, but where compaction took some."""
    if not records or records[-1].offset - records[0].offset != len(records) - 1:
        return [record.offset for record in records]
    return list(range(records[0].offset, records[-1].offset + 1))


class _Batch:
    """A record batch that hands over its records at once; all else is the batch's own."""

    def __init__(self, batch: Any, fetched: Any) -> None:
        self._batch = batch
        self._fetched = fetched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[_Columns]:
        columns = _Columns(self._batch, self._fetched.next_fetch_offset)
        if columns.offsets:  # compaction leaves empty batches
            yield columns

    def __next__(self) -> Any:
        return next(self._batch)


class _Batches:
    """What was fetched, as batches of this kind. It does not keep ``fetched``, which keeps it: both would stay until a collection."""

    def __init__(self, fetched: Any) -> None:
        self._records = fetched._records
        self._fetched = weakref.proxy(fetched)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def next_batch(self) -> _Batch:
        return _Batch(self._records.next_batch(), self._fetched)


class _Results(OrderedDict[TopicPartition, Any]):
    """What was fetched and is not handed over yet: in aiokafka's place for it, made to come by batch as it is put there."""

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        fetched = getattr(result, "_partition_records", None)  # an error has none
        if fetched is not None:
            fetched._records = _Batches(fetched)
            fetched._consumer_record = _as_it_is
        super().__setitem__(tp, result)


def by_batch(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was just started hand over a record batch at a time, not each record copied into a ``ConsumerRecord``.

    That is a third of what fetching costs. aiokafka still checks the batches, and leaves out those of aborted transactions.
    """
    consumer._fetcher._records = _Results()


def _as_it_is(_: Any, record: Any) -> Any:
    return record


async def fetch(
    consumer: AIOKafkaConsumer, *places: TopicPartition, timeout_ms: int, max_records: int | None = None
) -> dict[TopicPartition, list[Any]]:
    """What has come of these places (none: of all), or comes within the time.

    Raises KafkaError where the task that fetches has ended: aiokafka then hands over nothing for ever, and says so in its log alone.
    """
    if consumer._fetcher.error_future.done():
        raise KafkaError("fetching has ended by itself; the log of aiokafka says why")
    fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(
        *places, timeout_ms=timeout_ms, max_records=max_records
    )
    return fetched


def to_run(noun: str, partition: int, fetched: Sequence[Any]) -> Run:
    """Fetched records of one partition as columns."""
    run = Run(noun, partition, [], [], [], [], [])
    for each in fetched:
        if isinstance(each, _Columns):
            run.extend(each.offsets, each.timestamps, each.keys, each.values, each.headers)
        else:
            run.extend([each.offset], [each.timestamp], [each.key], [each.value], [each.headers])
    return run
