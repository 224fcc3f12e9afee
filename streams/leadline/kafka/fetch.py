"""What a consumer has fetched, by partition, as columns."""

from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from leadline.kafka.columns import Columns
from leadline.kafka.private import Refusal, allow, fetching_has_ended
from leadline.wire.limits import FETCH_UNPACKED_BYTES


class RefusedError(KafkaError):  # type: ignore[misc]
    """A batch cannot be read here and now; the message says where, why, and what to do."""


class Fetched(NamedTuple):
    """``batches``, and why there are no more of some partitions: ``refused``."""

    batches: dict[TopicPartition, list[Columns]]
    refused: dict[TopicPartition, str]


async def fetch(
    consumer: AIOKafkaConsumer, *partitions: TopicPartition, timeout_ms: int, max_records: int | None = None
) -> Fetched:
    """What has come of these partitions (none named: of all), or comes within the time. The consumer hands over record batches.

    A batch that is refused comes again with the next fetch, and nothing of its partition before it. Raises KafkaError where fetching has
    ended by itself.
    """
    if fetching_has_ended(consumer):
        raise KafkaError("fetching has ended by itself; the log of aiokafka says why")
    allow(consumer, FETCH_UNPACKED_BYTES)
    found: dict[TopicPartition, list[Columns | Refusal]] = await consumer.getmany(
        *partitions, timeout_ms=timeout_ms, max_records=max_records
    )
    fetched = Fetched({}, {})
    for tp, batches in found.items():
        last = batches[-1]
        if isinstance(last, Refusal):
            consumer.seek(tp, last.offset)
            fetched.refused[tp] = f"{tp.topic}/{tp.partition} cannot be read at offset {last.offset}: {last.reason}"
        if good := [each for each in batches if isinstance(each, Columns)]:
            fetched.batches[tp] = good
    return fetched
