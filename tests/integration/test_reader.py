"""Reading without a group: where it begins and ends, and that no record ends it."""

import asyncio
import json
import os
import subprocess
import sys
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from hostile import Spoilt
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.metadata import NoTopicError
from leadline.kafka.reader import Reader
from leadline.kafka.sender import new_producer, open_sender

pytestmark = pytest.mark.integration


@pytest.fixture
async def prefix(kafka):
    name = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, name, 2, 1, None, [])
    yield name
    await cluster.remove(kafka, name)


async def fill(kafka, prefix, count, topic="outcomes"):
    async with open_sender(kafka, prefix) as sender:
        for partition in (0, 1):
            rows = [(b"%d" % number, b"", []) for number in range(count)]
            await sender.send_and_wait(f"{prefix}.{topic}", partition, rows)


async def read(reader, ends):
    return sorted([(run.partition, offset) async for run in reader.until(ends) for offset in run.offsets])


async def test_it_begins_at_the_beginning_an_offset_or_the_newest_and_ends_where_it_is_told(kafka, prefix):
    await fill(kafka, prefix, 10)
    async with Reader(kafka, f"{prefix}.outcomes", "outcomes") as reader:
        ends = await reader.ends()
        assert ends == {0: 10, 1: 10}
        await fill(kafka, prefix, 5)
        await reader.from_beginning()
        assert await read(reader, ends) == [(p, n) for p in (0, 1) for n in range(10)]
        await reader.from_newest(3)
        assert await read(reader, {0: 13, 1: 15}) == [(0, 12), (1, 12), (1, 13), (1, 14)]
        reader.from_offset(0, 14)
        reader.from_offset(1, 15)
        assert await read(reader, await reader.ends()) == [(0, 14)]
        await reader.from_newest(0)
        assert await read(reader, await reader.ends()) == []


async def test_where_the_oldest_are_deleted_before_they_are_read_it_goes_on_with_the_oldest_there_is(kafka, prefix):
    await fill(kafka, prefix, 10)
    topic = f"{prefix}.outcomes"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    await admin.close()
    async with Reader(kafka, topic, partitions=[0]) as reader:
        reader.from_offset(0, 2)
        assert await read(reader, {0: 10}) == [(0, n) for n in range(6, 10)]


async def test_of_one_partition_and_of_a_topic_that_is_not_there(kafka, prefix):
    await fill(kafka, prefix, 4)
    async with Reader(kafka, f"{prefix}.outcomes", partitions=[1]) as reader:
        await reader.from_beginning()
        assert await read(reader, await reader.ends()) == [(1, n) for n in range(4)]
    with pytest.raises(NoTopicError, match="there is no topic"):
        await Reader(kafka, f"{prefix}.nowhere").start()


async def test_it_reads_over_aborted_transactions_and_follows(kafka, prefix):
    topic = f"{prefix}.outcomes"
    async with new_producer(kafka, f"{prefix}-aborts") as producer, Reader(kafka, topic) as reader:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"", b"aborted", partition=0)
        await producer.abort_transaction()
        await reader.from_beginning()
        assert await read(reader, await reader.ends()) == []
        following = asyncio.create_task(anext(reader.follow()))
        async with producer.transaction():
            await producer.send_and_wait(topic, b"", b"committed", partition=0)
        assert (await asyncio.wait_for(following, 60)).keys == [b"committed"]


async def test_a_record_that_cannot_be_read_ends_no_command(kafka, prefix):
    """Neither one whose headers cannot be parsed nor one whose bytes are no record."""
    for topic in ("metrics", "outcomes"):
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            batch = producer.create_batch()
            batch.append(key=b"r", value=b"{}", timestamp=1, headers=[("not-utf-8", b"x")])
            batch._builder = Spoilt(batch._builder)
            await (await producer.send_batch(batch, f"{prefix}.{topic}", partition=0))
        async with open_sender(kafka, prefix) as sender:
            await sender.send_and_wait(f"{prefix}.{topic}", 0, [(b"k", b"\xc3\x01no record", []), (b"", None, [])])
    for words in (("metrics", "--once"), ("doctor",)):
        done = leadline(kafka, prefix, *words)
        assert "Traceback" not in done.stderr
        assert words == ("doctor",) or done.returncode == 0, done.stderr
    shown = leadline(kafka, prefix, "tail", "metrics", "--from-beginning", "-n", "3")
    assert shown.returncode == 0, shown.stderr
    rows = list(map(json.loads, shown.stdout.splitlines()))
    assert [(row["offset"], "unreadable" in row) for row in rows] == [(0, True), (1, True), (2, True)]
    assert len([record async for record in cluster.read_all(kafka, f"{prefix}.metrics")]) == 3


def leadline(kafka, prefix, *words):
    return subprocess.run(
        [sys.executable, "-m", "leadline", *words],
        env={**os.environ, "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
