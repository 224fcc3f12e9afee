"""Questions to the cluster: how much is left to work on, what is in a topic; and clearing up."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from leadline.kafka import metadata
from leadline.kafka.connections import connection
from leadline.kafka.reader import Reader
from leadline.topology import Step
from leadline.wire.run import Headers, Run

NamedPartition = tuple[str, int]
"""The full name of a topic, and the number of a partition."""

_WITH_OPEN = "read_uncommitted"
"""Ends that count open transactions. A producer may have its commit acknowledged a moment before readers see its records."""


class Stored(NamedTuple):
    """A record as it is in the log; key and value are bytes, or None."""

    partition: int
    offset: int
    timestamp: int
    key: Any
    value: Any
    headers: Headers | tuple[tuple[str, bytes], ...]


async def check_topics(bootstrap: str, topic_names: Iterable[str]) -> None:
    """Reach the broker, and raise NoTopicError where any of the topics is not there."""
    async with AIOKafkaConsumer(**connection(bootstrap), enable_auto_commit=False) as consumer:
        await metadata.check_topics(consumer, topic_names)


async def lag(bootstrap: str, prefix: str, step: Step) -> dict[NamedPartition, int]:
    """Records that the group of a step has not committed yet, for each partition that it reads; those of open transactions too."""
    return {partition: end - offset for partition, (offset, end) in (await progress(bootstrap, prefix, step)).items()}


async def progress(bootstrap: str, prefix: str, step: Step) -> dict[NamedPartition, tuple[int, int]]:
    """The offset that the group of a step has committed (0: none), and the end, for each partition that it reads."""
    return await group_progress(bootstrap, f"{prefix}.{step.name}", [f"{prefix}.{topic}" for topic in step.reads])


async def group_progress(
    bootstrap: str, group: str, topic_names: Iterable[str]
) -> dict[NamedPartition, tuple[int, int]]:
    """The same of any group and topics."""
    admin = AIOKafkaAdminClient(**connection(bootstrap))
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:
        offsets = {}  # the cluster's first group: its topic is being made
    finally:
        await admin.close()
    committed = {(tp.topic, tp.partition): max(0, meta.offset) for tp, meta in offsets.items()}
    ends = await sizes(bootstrap, topic_names, _WITH_OPEN)
    return {partition: (committed.get(partition, 0), end) for partition, end in ends.items()}


async def sizes(
    bootstrap: str, topic_names: Iterable[str], isolation_level: str = "read_committed"
) -> dict[NamedPartition, int]:
    """End offset of each partition of each topic; the ends of transactions take an offset each."""
    async with AIOKafkaConsumer(**connection(bootstrap), isolation_level=isolation_level) as consumer:
        asked = [tp for topic_name in topic_names for tp in await metadata.partitions(consumer, topic_name)]
        ends = await consumer.end_offsets(asked)
    return {(tp.topic, tp.partition): end for tp, end in ends.items()}


async def read_runs(bootstrap: str, topic_name: str, topic: str = "", newest: int | None = None) -> AsyncIterator[Run]:
    """All that is in a topic now, or the ``newest`` offsets of each partition, as runs; waits for the end of open transactions."""
    ends = {number: end for (_, number), end in (await sizes(bootstrap, [topic_name], _WITH_OPEN)).items()}
    async with Reader(bootstrap, topic_name, topic) as reader:
        await (reader.from_beginning() if newest is None else reader.from_newest(newest))
        async for run in reader.until(ends):
            yield run


async def read_all(bootstrap: str, topic_name: str) -> AsyncIterator[Stored]:
    """All that is in a topic now, record by record; waits for the end of transactions that are open."""
    async for run in read_runs(bootstrap, topic_name):
        for record in records(run):
            yield record


def records(run: Run) -> Iterator[Stored]:
    """The records of a run, one by one."""
    columns = zip(run.offsets, run.timestamps, run.keys, run.values, run.headers, strict=True)
    return (Stored(run.partition, *row) for row in columns)


async def remove(bootstrap: str, prefix: str) -> None:
    """Delete all topics of a prefix; the broker drops groups that have nothing left to read."""
    admin = AIOKafkaAdminClient(**connection(bootstrap))
    await admin.start()
    try:
        await admin.delete_topics([name for name in await admin.list_topics() if name.startswith(f"{prefix}.")])
    finally:
        await admin.close()
