"""Talking to a running Leadline over Kafka, as its users do."""

import asyncio
import time

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from leadline.kafka import cluster
from leadline.kafka.sender import Sender, open_sender
from leadline.topology import step
from leadline.wire.codec import read
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER


class InProcess:
    """A lane that runs as a task of the test, where others have workers."""

    def __init__(self, running):
        self._running = running

    def tend(self):
        """It must not have ended by itself."""
        assert not self._running.done(), self._running


class Talk:
    """Sends to and reads from the topics of one prefix, which have two partitions."""

    def __init__(self, bootstrap, settings, redis_url=None):
        self.bootstrap, self.settings, self.prefix = bootstrap, settings, settings.prefix
        self.environment = {
            "KAFKA_BOOTSTRAP": bootstrap,
            "LEADLINE_CLOCK": settings.clock,
            "LEADLINE_MODELS": str(settings.models),
            "LEADLINE_PREFIX": settings.prefix,
        } | ({"REDIS_URL": redis_url} if redis_url else {})

    async def send(self, topic, rows):
        """Send (key, value, arrival time) rows, each where its key belongs."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, max_batch_size=4 << 20, max_request_size=8 << 20
        ) as kafka:
            sender = Sender(kafka, self.prefix, pass_on_arrival=True)
            for partition in range(2):
                own = [
                    (key, value, [(ARRIVAL_HEADER, b"%d" % arrival)])
                    for key, value, arrival in rows
                    if partition_of(key or b"", 2) == partition
                ]
                await asyncio.gather(*await sender.send(f"{self.prefix}.{topic}", partition, own))

    async def send_to(self, topic, partition, rows):
        """Send (key, value, arrival time) rows to one partition."""
        async with open_sender(self.bootstrap, self.prefix) as sender:
            stamped = [(key, value, [(ARRIVAL_HEADER, b"%d" % arrival)]) for key, value, arrival in rows]
            await sender.send_and_wait(f"{self.prefix}.{topic}", partition, stamped)

    async def tell_time(self, now_ms):
        """Let the clock of both join sources come to a time."""
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as kafka:
            sender = Sender(kafka, self.prefix, pass_on_arrival=True)
            for topic in ("predictions", "outcomes"):
                for partition in range(2):
                    await asyncio.gather(*await sender.send_clock(topic, partition, now_ms))

    async def limit(self, topic, most):
        """From now on a topic takes batches of so many bytes."""
        await self.configure(topic, {"max.message.bytes": str(most)})

    async def configure(self, topic, configs):
        """Give a topic other settings."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{self.prefix}.{topic}", configs)])
        await admin.close()

    async def settle(self, workers, names, within_s=240):
        """Wait until these stages have worked on all that is there."""
        deadline = time.monotonic() + within_s
        for name in names:
            while left := sum((await cluster.lag(self.bootstrap, self.prefix, step(name))).values()):
                workers.tend()
                assert time.monotonic() < deadline, f"{name} has {left} records left"
                await asyncio.sleep(0.1)

    async def records(self, topic):
        """The raw records of a topic."""
        return [r async for r in cluster.read_all(self.bootstrap, f"{self.prefix}.{topic}")]

    async def first(self, topic, within_s=120):
        """Wait until there is a record in a topic."""
        deadline = time.monotonic() + within_s
        while not sum((await cluster.sizes(self.bootstrap, [f"{self.prefix}.{topic}"])).values()):
            assert time.monotonic() < deadline, f"nothing comes in {topic}"
            await asyncio.sleep(0.1)

    async def read(self, topic):
        """The records of a topic, decoded."""
        return [read(topic, r.value) for r in await self.records(topic) if r.value is not None]
