"""The table of rollouts: the compacted topic, read by every worker in full and followed."""

from aiokafka import AIOKafkaConsumer

from leadline.core.tables import Table
from leadline.kafka.cluster import partitions
from leadline.kafka.connections import reach
from leadline.kafka.fetch import fetch, to_run
from leadline.kafka.stop import stop
from leadline.wire.codec import decode


class RolloutFollower:
    """Fills the table; `catch_up` before the first request is scored, then `follow`."""

    def __init__(self, bootstrap: str, prefix: str, table: Table, max_bytes: int) -> None:
        self._topic = f"{prefix}.rollouts"
        self._table = table
        self._max_bytes = max_bytes
        self._consumer = AIOKafkaConsumer(
            **reach(bootstrap), isolation_level="read_committed", enable_auto_commit=False
        )

    async def catch_up(self) -> None:
        """Read the topic to its present end."""
        await self._consumer.start()
        places = await partitions(self._consumer, self._topic)
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        ends = await self._consumer.end_offsets(places)
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            await self._take(200)

    async def follow(self) -> None:
        """Go on reading until cancelled."""
        while True:
            await self._take(1000)

    async def _take(self, timeout_ms: int) -> None:
        for place, records in (await fetch(self._consumer, timeout_ms=timeout_ms)).items():
            batch, _ = decode(to_run("rollouts", place.partition, records), self._max_bytes)
            self._table.apply(batch)

    async def stop(self) -> None:
        await stop(self._consumer, within_s=5)
