"""Whatever codec a producer or a topic compresses with, a reader reads the same records."""

import asyncio
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from leadline.kafka import cluster

pytestmark = pytest.mark.integration
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ROWS = [(b"k%d" % number, b"v%d" % number * 20) for number in range(50)]


@pytest.mark.parametrize("by", ["producer", "topic"])
@pytest.mark.parametrize("codec", CODECS)
async def test_a_reader_reads_every_codec(kafka, codec, by):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    topic = f"{prefix}.outcomes"
    setting = "uncompressed" if codec == "none" else codec
    config = {"compression.type": setting if by == "topic" else "producer"}
    await asyncio.to_thread(create, kafka, NewTopic(topic, 1, 1, config=config))
    try:
        await asyncio.to_thread(produce, kafka, topic, codec if by == "producer" else "none")
        read = [(stored.key, stored.value) async for stored in cluster.read_all(kafka, topic)]
    finally:
        await cluster.remove(kafka, prefix)
    assert read == ROWS


def create(kafka, topic):
    admin = AdminClient({"bootstrap.servers": kafka})
    for created in admin.create_topics([topic]).values():
        created.result(30)


def produce(kafka, topic, codec):
    producer = Producer({"bootstrap.servers": kafka, "compression.type": codec, "linger.ms": 200})
    for key, value in ROWS:
        producer.produce(topic, value, key)
    assert producer.flush(30) == 0
