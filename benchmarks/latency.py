"""How long a request waits for its prediction, at a paced rate far below what a worker can do.

The clock runs from the call that hands the request to the producer until the prediction is back from the consumer, both of them here, with
nothing held back for a larger batch.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from benchmarks import beside
from benchmarks.data import requests
from benchmarks.measure import PARTITIONS, BenchError, Work, publish, started, topics
from benchmarks.scoring import serving
from benchmarks.usage import cpu_seconds
from leadline.agents.app import tune_collector
from leadline.wire.codec import encode

RATE = 1_000
_WARM_S, _LATE_S = 6.0, 20.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one run; ``cores``: processor time of the worker a second."""

    name: str
    requests: int
    p50: float
    p95: float
    p99: float
    worst: float
    cores: float


async def leadline(bootstrap: str, seconds: float, folder: Path, command: list[str]) -> Latency:
    """Leadline's worker, as it comes."""
    async with serving(bootstrap, folder, command) as (prefix, work):
        return await _measured(bootstrap, prefix, work, seconds)


async def peer(name: str, bootstrap: str, seconds: float, folder: Path) -> Latency:
    """A peer of `benchmarks.beside`, set to hold nothing back."""
    async with topics(bootstrap, ("prediction-requests", "predictions")) as prefix:
        work = beside.work(name, "scoring", bootstrap, prefix, folder, "predictions", 0, latency=True)
        await publish(bootstrap, prefix, [requests(100, salt=1)])  # it starts with its first record
        return await _measured(bootstrap, prefix, work, seconds)


async def _measured(bootstrap: str, prefix: str, work: Work, seconds: float) -> Latency:
    """Pace requests through a worker; the first seconds do not count. Raises BenchError where a prediction does not come."""
    count = int((_WARM_S + seconds) * RATE)
    asked = requests(count)
    rows = list(zip(asked.keys, encode(asked), strict=True))
    tune_collector()
    async with started(work) as child:
        came: dict[bytes, float] = {}
        async with (
            AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer,
            AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0, acks=1) as producer,
        ):
            consumer.assign([TopicPartition(work.output, number) for number in range(PARTITIONS)])
            reading = asyncio.create_task(_read(consumer, came, set(asked.keys)))
            before = cpu_seconds(child.pid)
            began = time.perf_counter()
            sent = await _paced(producer, f"{prefix}.prediction-requests", rows)
            took, cpu = time.perf_counter() - began, cpu_seconds(child.pid) - before
            await asyncio.wait([reading], timeout=_LATE_S)
            reading.cancel()
    missing = sum(key not in came for key in sent)
    if missing:
        raise BenchError(f"{work.name}: {missing:,} of {count:,} requests have no prediction")
    return _latency(work.name, list(sent.values()), [came[key] for key in sent], cpu / took)


async def _read(consumer: AIOKafkaConsumer, came: dict[bytes, float], missing: set[bytes]) -> None:
    while missing:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            now = time.perf_counter()
            for key in [record.key for record in records if record.key in missing]:
                came[key] = now
                missing.remove(key)


async def _paced(producer: AIOKafkaProducer, topic: str, rows: Sequence[tuple[bytes, bytes]]) -> dict[bytes, float]:
    sent: dict[bytes, float] = {}
    began = time.perf_counter()
    for number, (key, value) in enumerate(rows):
        if (early := began + number / RATE - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        sent[key] = time.perf_counter()
        await producer.send(topic, value, key=key)
    await producer.flush()
    return sent


def _latency(name: str, sent: Sequence[float], came: Sequence[float], cores: float) -> Latency:
    waited = (np.array(came) - np.array(sent))[int(_WARM_S * RATE) :] * 1000
    p50, p95, p99 = np.percentile(waited, [50, 95, 99]).tolist()
    return Latency(name, len(waited), p50, p95, p99, float(waited.max()), cores)
