"""Whatever codec a producer or a topic compresses with, every client that Leadline reads with reads the same records."""

import asyncio
import uuid
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from hostile import StandIn
from leadline.hosts.changelog import restore
from leadline.hosts.tables import HostedTable
from leadline.kafka import cluster, private
from leadline.kafka.failures import Failures
from leadline.kafka.group import GroupConsumer, Source
from leadline.kafka.quick_consumer import QuickConsumer
from leadline.records import Rollout
from leadline.settings import load_settings
from leadline.wire.codec import WIRE, key_of, value_of
from leadline.wire.origins import Origin

pytestmark = pytest.mark.integration
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ROWS = [(b"k%d" % number, b"v%d" % number * 20) for number in range(50)]


@pytest.mark.parametrize("by", ["librdkafka", "aiokafka", "topic", "broker"])
@pytest.mark.parametrize("codec", CODECS)
async def test_every_client_reads_every_codec(kafka, codec, by):
    """Doctor, tail, metrics, demo and replay read as `cluster.read_all` does: all by `Reader`."""
    topic = f"test-{uuid.uuid4().hex[:8]}.outcomes"
    setting = "uncompressed" if codec == "none" else codec
    config = {"topic": {"compression.type": setting}, "broker": {}}.get(by, {"compression.type": "producer"})
    with broker_wide(kafka, setting) if by == "broker" else nullcontext():
        await asyncio.to_thread(create, kafka, NewTopic(topic, 1, 1, config=config))
        try:
            if by == "aiokafka":
                await produce_by_aiokafka(kafka, topic, codec)
            else:
                await asyncio.to_thread(produce, kafka, topic, codec if by == "librdkafka" else "none", ROWS)
            async with asyncio.timeout(60):
                with codecs_seen() as seen:
                    assert [(stored.key, stored.value) async for stored in cluster.read_all(kafka, topic)] == ROWS
                assert seen == {codec}
                assert await by_group(kafka, topic) == ROWS
                assert await asyncio.to_thread(by_quick_consumer, kafka, topic) == ROWS
                task = StandIn()
                await restore(task, topic, kafka, lambda: True)
                assert {key: task.loaded[key] for key, _ in ROWS} == dict(ROWS)
        finally:
            await cluster.remove(kafka, topic.removesuffix(".outcomes"))


@contextmanager
def broker_wide(kafka, setting):
    """Topics without a setting of their own have the broker's."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def configure(operation, value):
        entry = ConfigEntry("compression.type", value, incremental_operation=operation)
        for number in admin.list_topics(timeout=30).brokers:
            resource = ConfigResource(ConfigResource.Type.BROKER, str(number), incremental_configs=[entry])
            for configured in admin.incremental_alter_configs([resource], broker=number).values():
                configured.result(30)

    configure(AlterConfigOpType.SET, setting)
    try:
        yield
    finally:
        configure(AlterConfigOpType.DELETE, "")


@contextmanager
def codecs_seen():
    """Which codecs the batches really have that are read meanwhile."""
    seen, damage = set(), private._damage

    def look(batch):
        seen.add(CODECS[batch.compression_type])
        return damage(batch)

    with patch.object(private, "_damage", look):
        yield seen


async def produce_by_aiokafka(kafka, topic, codec):
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type=None if codec == "none" else codec, linger_ms=100
    ) as producer:
        await asyncio.gather(*[await producer.send(topic, value, key, 0) for key, value in ROWS])


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
    unknown = Origin("", "")
    consumer = QuickConsumer(
        kafka, f"{topic}.quick", topic, "outcomes", unknown, 6000, 1000, False, Failures(), Nobody()
    )
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
