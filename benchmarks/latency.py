"""How long a request waits for its prediction, at a paced rate far below what a worker can do.

The clock runs from the call that hands the request to the producer until the prediction is back from the consumer, both of them here, with
nothing held back for a larger batch. Both are librdkafka's, in a thread each: they leave the cores to the worker and the broker.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks import beside
from benchmarks.data import requests
from benchmarks.measure import PARTITIONS, BenchError, Work, publish, started, topics
from benchmarks.scoring import serving
from benchmarks.usage import cpu_seconds, idle_seconds
from leadline.hosts.worker import tune_collector
from leadline.wire.codec import encode

RATE = 1_000
_WARM_S, _LATE_S, _LOOK_S = 6.0, 20.0, 0.1


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one run. From its first request to its last, a second: ``cores``, processor time of the worker; ``idle``, time in
    which the machine's cores had nothing to run, by which a reader sees whether something else competed.
    """

    name: str
    requests: int
    p50: float
    p95: float
    p99: float
    worst: float
    cores: float
    idle: float


async def leadline(
    bootstrap: str, seconds: float, folder: Path, command: list[str], sleeping: bool | None = None
) -> Latency:
    """Leadline's worker, as it comes; ``sleeping``: beside a shadow that sleeps, or (False) that has nothing to do."""
    shares = {"v2": 0.0} if sleeping else {}
    async with serving(bootstrap, folder, command, shares=shares, sleeping=bool(sleeping)) as (prefix, work):
        if sleeping is None:
            return await _measured(bootstrap, prefix, work, seconds)
        async with started(replace(work, command=[*command, "-m", "leadline", "worker", "--step=shadow"])):
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
    stop = Event()
    async with started(work) as child:
        with closing(_at_end(bootstrap, work.output)) as consumer:
            reading = asyncio.create_task(asyncio.to_thread(_read, consumer, set(asked.keys), stop))
            try:
                began, cpu, idle = time.perf_counter(), cpu_seconds(child.pid), idle_seconds()
                sent = await asyncio.to_thread(_paced, bootstrap, f"{prefix}.prediction-requests", rows, stop)
                took = time.perf_counter() - began
                cores, free = (cpu_seconds(child.pid) - cpu) / took, (idle_seconds() - idle) / took
                await asyncio.wait([reading], timeout=_LATE_S)
            finally:
                stop.set()
                came = await reading
    missing = sum(key not in came for key in sent)
    if missing:
        raise BenchError(f"{work.name}: {missing:,} of {count:,} requests have no prediction")
    return _latency(work.name, list(sent.values()), [came[key] for key in sent], cores, free)


def _at_end(bootstrap: str, topic: str) -> Consumer:
    """A consumer of what comes from now on, however late its first fetch is: where the partitions end now is asked here."""
    consumer = Consumer(
        _connection(bootstrap) | {"group.id": "leadline-bench", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
    )
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition, timeout=_LATE_S)[1]
    consumer.assign(partitions)
    return consumer


def _connection(bootstrap: str) -> dict[str, object]:
    return {"bootstrap.servers": bootstrap, "socket.nagle.disable": True}


def _read(consumer: Consumer, missing: set[bytes], stop: Event) -> dict[bytes, float]:
    """When each prediction came. One at a time: asked for many, librdkafka waits until it has as many."""
    came: dict[bytes, float] = {}
    while missing and not stop.is_set():
        message = consumer.poll(_LOOK_S)
        now = time.perf_counter()
        if message is not None and not message.error() and (key := message.key()) in missing:
            came[key] = now
            missing.remove(key)
    return came


def _paced(bootstrap: str, topic: str, rows: Sequence[tuple[bytes, bytes]], stop: Event) -> dict[bytes, float]:
    """When each request was handed over. Few in flight: else a broker that has just started piles them up, each alone, for seconds."""
    alone = {"linger.ms": 0, "acks": 1, "max.in.flight.requests.per.connection": 5}
    producer = Producer(_connection(bootstrap) | alone | {"partitioner": "murmur2_random"})
    sent: dict[bytes, float] = {}
    began = time.perf_counter()
    for number, (key, value) in enumerate(rows):
        if (early := began + number / RATE - time.perf_counter()) > 0:
            time.sleep(early)
        if stop.is_set():
            break
        sent[key] = time.perf_counter()
        producer.produce(topic, value, key)
        producer.poll(0)  # takes the broker's answers away: they fill the queue
    producer.flush(_LATE_S)
    return sent


def _latency(name: str, sent: Sequence[float], came: Sequence[float], cores: float, idle: float) -> Latency:
    waited = (np.array(came) - np.array(sent))[int(_WARM_S * RATE) :] * 1000
    p50, p95, p99 = np.percentile(waited, [50, 95, 99]).tolist()
    return Latency(name, len(waited), p50, p95, p99, float(waited.max()), cores, idle)
