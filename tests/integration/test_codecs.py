"""Whatever codec a producer or a topic compresses with, every client that Leadline reads with reads the same records."""

import asyncio
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from leadline.hosts.tables import HostedTable
from leadline.kafka import cluster
from leadline.kafka.failures import Failures
from leadline.kafka.group import GroupConsumer, Source
from leadline.kafka.quick_consumer import QuickConsumer
from leadline.records import Rollout
from leadline.settings import load_settings
from leadline.wire.codec import WIRE, key_of, value_of

pytestmark = pytest.mark.integration
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ROWS = [(b"k%d" % number, b"v%d" % number * 20) for number in range(50)]


@pytest.mark.parametrize("by", ["producer", "topic"])
@pytest.mark.parametrize("codec", CODECS)
async def test_every_client_reads_every_codec(kafka, codec, by):
    topic = f"test-{uuid.uuid4().hex[:8]}.outcomes"
    setting = "uncompressed" if codec == "none" else codec
    config = {"compression.type": setting if by == "topic" else "producer"}
    await asyncio.to_thread(create, kafka, NewTopic(topic, 1, 1, config=config))
    try:
        await asyncio.to_thread(produce, kafka, topic, codec if by == "producer" else "none", ROWS)
        async with asyncio.timeout(60):
            assert [(stored.key, stored.value) async for stored in cluster.read_all(kafka, topic)] == ROWS
            assert await by_group(kafka, topic) == ROWS
            assert await asyncio.to_thread(by_quick_consumer, kafka, topic) == ROWS
    finally:
        await cluster.remove(kafka, topic.removesuffix(".outcomes"))


@pytest.mark.parametrize("codec", CODECS)
async def test_a_table_is_read_whatever_its_codec(kafka, codec):
    prefix, rollout = f"test-{uuid.uuid4().hex[:8]}", Rollout("m", "v1", 1, "somebody", "better")
    key = key_of("rollouts", rollout)
    await asyncio.to_thread(create, kafka, NewTopic(f"{prefix}.rollouts", 1, 1))
    table = HostedTable("rollouts", load_settings(prefix=prefix), kafka, WIRE)
    try:
        await asyncio.to_thread(produce, kafka, f"{prefix}.rollouts", codec, [(key, value_of(rollout))])
        async with asyncio.timeout(30):
            await table.read_to_end()
    finally:
        await table.stop()
        await cluster.remove(kafka, prefix)
    assert table.table.newest(key) == rollout


async def by_group(kafka, topic):
    """The rows as the lanes with state read them."""

    async def on_revoked():
        """Nothing is open."""

    group = GroupConsumer(kafka, f"{topic}.group", {"outcomes": topic}, 6000, lambda _: None, on_revoked)
    rows = []
    try:
        await group.start()
        while len(rows) < len(ROWS):
            group.resume([Source("outcomes", 0)])
            for run in (await group.fetch([], 200, 1000)).runs:
                rows += zip(run.keys, run.values, strict=True)
    finally:
        await group.stop()
    return rows


class Nobody:
    """Hears what the group says, and does nothing."""

    def on_assigned(self, partitions): ...
    def on_revoked(self): ...
    def on_lost(self): ...
    def on_not_committed(self, reason): ...


def by_quick_consumer(kafka, topic):
    """The rows as scoring reads them."""
    consumer = QuickConsumer(kafka, f"{topic}.quick", topic, "outcomes", 6000, 1000, False, Failures(), Nobody())
    rows = []
    while len(rows) < len(ROWS):
        for run, _ in consumer.fetch(0.2):
            rows += zip(run.keys, run.values, strict=True)
    assert consumer.close(10)
    return rows


def create(kafka, topic):
    admin = AdminClient({"bootstrap.servers": kafka})
    for created in admin.create_topics([topic]).values():
        created.result(30)


def produce(kafka, topic, codec, rows):
    producer = Producer({"bootstrap.servers": kafka, "compression.type": codec, "linger.ms": 200})
    for key, value in rows:
        producer.produce(topic, value, key, 0)
    assert producer.flush(30) == 0
