"""The private names of clients that Leadline uses are there in the installed release."""

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record._crecords import default_records, legacy_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from leadline.kafka.private import NAMES


def gone(names, objects):
    """One line for each name that its object does not have."""
    return [
        f"aiokafka {aiokafka.__version__} has no {kind}.{name}: look at leadline/kafka/private.py"
        for kind, those in names.items()
        for name in those
        if not hasattr(objects[kind], name)
    ]


@pytest.fixture
async def objects():
    consumer = AIOKafkaConsumer()
    client = consumer._client
    fetcher = Fetcher(client, SubscriptionState())
    partition = TopicPartition("t", 0)
    records = PartitionRecords(partition, MemoryRecords(b""), [], 0, None, None, True, READ_COMMITTED)
    result = FetchResult(partition, assignment=None, partition_records=records, backoff=0)
    batch, producer = BatchBuilder(1000, 0), AIOKafkaProducer()
    modules = {
        "fetcher": aiokafka.consumer.fetcher,
        "default_records": default_records,
        "legacy_records": legacy_records,
    }
    made = (consumer, client, producer, fetcher, result, records, batch)
    classes = {"GroupCoordinator": GroupCoordinator}
    yield modules | classes | {type(each).__name__: each for each in made}
    await fetcher.close()
    await consumer.stop()
    await producer.stop()


async def test_all_are_there(objects):
    assert gone(NAMES, objects) == []


async def test_one_that_is_gone_is_named_with_the_version(objects):
    [line] = gone({"Fetcher": ("_records", "_of_another_release")}, objects)
    assert line.startswith(f"aiokafka {aiokafka.__version__} has no Fetcher._of_another_release")


def test_other_consumers_of_the_process_read_batches_as_aiokafka_has_them():
    written = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1000)
    written.append(0, 5, b"k", b"v", [])
    records = fetcher.MemoryRecords(bytes(written.build()))
    batch = records.next_batch()
    assert batch.validate_crc()
    assert [(record.key, record.value) for record in batch] == [(b"k", b"v")]
    assert not records.has_next()
