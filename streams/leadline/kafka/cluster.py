"""Questions to the cluster that the command line and replays ask: how much is left, what is in a topic; and clearing up."""

from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import ConsumerRecord, TopicPartition

from leadline.kafka.connections import reach
from leadline.kafka.fetch import fetch
from leadline.settings import SettingsError
from leadline.topology import Step

Place = tuple[str, int]

_WITH_OPEN = "read_uncommitted"
"""Who commits a transaction is told so a moment before readers see it: its records may lie behind the end that readers know."""


async def lag(bootstrap: str, prefix: str, step: Step) -> dict[Place, int]:
    """Records that the group of a step has not committed yet, for each partition that it reads; those of open transactions too."""
    admin = AIOKafkaAdminClient(**reach(bootstrap))
    await admin.start()
    try:
        held = await admin.list_consumer_group_offsets(f"{prefix}.{step.name}")
    except GroupCoordinatorNotAvailableError:
        held = {}  # the cluster's first group: its topic is being made
    finally:
        await admin.close()
    committed = {(tp.topic, tp.partition): max(0, meta.offset) for tp, meta in held.items()}
    ends = await sizes(bootstrap, [f"{prefix}.{noun}" for noun in step.reads], _WITH_OPEN)
    return {place: end - committed.get(place, 0) for place, end in ends.items()}


async def sizes(bootstrap: str, topics: Iterable[str], isolation_level: str = "read_committed") -> dict[Place, int]:
    """End offset of each partition of each topic; the ends of transactions take an offset each."""
    async with AIOKafkaConsumer(**reach(bootstrap), isolation_level=isolation_level) as reader:
        places = [tp for topic in topics for tp in await partitions(reader, topic)]
        ends = await reader.end_offsets(places)
    return {(tp.topic, tp.partition): end for tp, end in ends.items()}


async def read_all(bootstrap: str, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every record that is in a topic now; waits for the end of transactions that are open."""
    now = await sizes(bootstrap, [topic], _WITH_OPEN)
    ends = {TopicPartition(*place): end for place, end in now.items()}
    async with AIOKafkaConsumer(
        **reach(bootstrap), isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        reader.assign(list(ends))
        await reader.seek_to_beginning(*ends)
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await fetch(reader, timeout_ms=500)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield record


class NoTopicError(SettingsError):
    """A topic is not there; the message says which, and what to do."""


async def check_topics(reader: AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Raise NoTopicError where any of the topics is not there; creates nothing."""
    missing = sorted(set(topics) - await reader.topics())
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise NoTopicError(
            f"there is no topic {missing[0]}{more}: make it with `leadline topics apply`, or set LEADLINE_PREFIX "
            "(who has no right to a topic does not see it: `leadline topics acls`)"
        )


async def partitions(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic; raises NoTopicError."""
    await check_topics(reader, [topic])
    await reader._client._wait_on_metadata(topic)
    return [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]


async def remove(bootstrap: str, prefix: str) -> None:
    """Delete all topics of a prefix; the broker drops groups that have nothing left to read."""
    admin = AIOKafkaAdminClient(**reach(bootstrap))
    await admin.start()
    try:
        await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith(f"{prefix}.")])
    finally:
        await admin.close()
