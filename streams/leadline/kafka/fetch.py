"""What a consumer has fetched, by partition, as columns."""

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from leadline.kafka.columns import Columns
from leadline.kafka.private import fetching_has_ended


async def fetch(
    consumer: AIOKafkaConsumer, *partitions: TopicPartition, timeout_ms: int, max_records: int | None = None
) -> dict[TopicPartition, list[Columns]]:
    """What has come of these partitions (none named: of all), or comes within the time. The consumer hands over record batches.

    Raises KafkaError where fetching has ended by itself.
    """
    if fetching_has_ended(consumer):
        raise KafkaError("fetching has ended by itself; the log of aiokafka says why")
    fetched: dict[TopicPartition, list[Columns]] = await consumer.getmany(
        *partitions, timeout_ms=timeout_ms, max_records=max_records
    )
    return fetched
