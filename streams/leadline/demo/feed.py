"""The six weeks, fed to Kafka and Redis hour by hour."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import redis.asyncio as redis
from pydantic import SecretStr

from leadline.demo.flights import Weather
from leadline.kafka.sender import Sender, open_sender
from leadline.lookups.connections import redis_client
from leadline.lookups.features import put_features
from leadline.records import Outcome, PredictionRequest
from leadline.wire.codec import value_of
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER, Headers

_TICK_S = 0.1


@dataclass(slots=True)
class Feed:
    """What is still to happen; `run` lets it happen, ``now_ms`` is how far it is."""

    requests: list[PredictionRequest]
    outcomes: list[Outcome]
    weather: list[Weather]
    now_ms: int = 0

    @property
    def end_ms(self) -> int:
        """When the last of it happens."""
        return max(self.outcomes[-1].outcome_time, self.requests[-1].event_time)

    async def run(self, bootstrap: str, redis_url: str, prefix: str, partitions: int, seconds: float, end: int) -> None:
        """Spread what happens until ``end`` evenly over so many seconds, each record at its time."""
        start = self.now_ms
        client = redis_client(SecretStr(redis_url))
        loop = asyncio.get_running_loop()
        async with open_sender(bootstrap, prefix, pass_on_arrival=True) as sender:
            began = loop.time()
            while self.now_ms < end:
                self.now_ms = min(end, start + round((end - start) * (loop.time() - began) / seconds))
                await self._weather_until(client, prefix)
                await self._send(sender, "prediction-requests", self._due(self.requests, "event_time"), partitions)
                await self._send(sender, "outcomes", self._due(self.outcomes, "outcome_time"), partitions)
                await asyncio.sleep(_TICK_S)
        await client.aclose()

    def _due(self, left: list, time: str) -> list:  # type: ignore[type-arg]
        count = next((i for i, record in enumerate(left) if getattr(record, time) > self.now_ms), len(left))
        due = left[:count]
        del left[:count]
        return due

    async def _weather_until(self, client: redis.Redis, prefix: str) -> None:
        newest = {report.origin: report for report in self._due(self.weather, "time")}
        for report in newest.values():
            await put_features(client, prefix, "weather", report.origin, report.values, report.time)

    async def _send(
        self, sender: Sender, topic: str, records: Iterable[PredictionRequest | Outcome], partitions: int
    ) -> None:
        rows: dict[int, list[tuple[bytes, bytes, Headers]]] = defaultdict(list)
        for record in records:
            key = record.request_id.encode()
            time = record.event_time if isinstance(record, PredictionRequest) else record.outcome_time
            rows[partition_of(key, partitions)].append((key, value_of(record), [(ARRIVAL_HEADER, b"%d" % time)]))
        for partition, part in rows.items():
            await sender.send_and_wait(f"{sender.prefix}.{topic}", partition, part)


async def publish_time(bootstrap: str, prefix: str, partitions: int, topics: Iterable[str], now_ms: int) -> None:
    """A clock record on every partition of these topics."""
    async with open_sender(bootstrap, prefix, pass_on_arrival=True) as sender:
        for topic in topics:
            for partition in range(partitions):
                await asyncio.gather(*await sender.send_clock(topic, partition, now_ms))
