"""Which topics and partitions there are, without creating any."""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from leadline.kafka.private import wait_for_topic
from leadline.settings import SettingsError


class NoTopicError(SettingsError):
    """A topic is not there; the message says which, and what to do."""


async def check_topics(consumer: AIOKafkaConsumer, topic_names: Iterable[str]) -> None:
    """Raise NoTopicError where any of the topics is not there."""
    refuse_missing(await consumer.topics(), topic_names)


def refuse_missing(there: Iterable[str], topic_names: Iterable[str]) -> None:
    """The same where it is known which topics there are."""
    missing = sorted(set(topic_names).difference(there))
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise NoTopicError(
            f"there is no topic {missing[0]}{more}: make it with `leadline topics apply`, or set LEADLINE_PREFIX "
            "(who has no right to a topic does not see it: `leadline topics acls`)"
        )


async def partitions(consumer: AIOKafkaConsumer, topic_name: str) -> list[TopicPartition]:
    """The partitions of a topic; raises NoTopicError."""
    await check_topics(consumer, [topic_name])
    await wait_for_topic(consumer, topic_name)
    return [TopicPartition(topic_name, number) for number in sorted(consumer.partitions_for_topic(topic_name) or ())]
