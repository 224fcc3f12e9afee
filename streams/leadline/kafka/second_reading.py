"""Reads a part of a partition once, without a loop of one's own: what librdkafka cannot read, aiokafka perhaps can, and within bounds."""

import asyncio

from leadline.kafka.reader import Reader
from leadline.wire.run import Run

_WITHIN_S = 5.0


def read_from(bootstrap: str, topic_name: str, topic: str, partition: int, offset: int) -> tuple[list[Run], int]:
    """What one fetch from an offset on brings, and the offset behind it. Raises KafkaError (RefusedError), TimeoutError."""
    return asyncio.run(_read_from(bootstrap, topic_name, topic, partition, offset))


async def _read_from(bootstrap: str, topic_name: str, topic: str, partition: int, offset: int) -> tuple[list[Run], int]:
    async with asyncio.timeout(_WITHIN_S), Reader(bootstrap, topic_name, topic, [partition]) as reader:
        reader.from_offset(partition, offset)
        runs: list[Run] = []
        while (end := (await reader.positions())[partition]) <= offset:
            runs += await reader.take()
        return runs, end
