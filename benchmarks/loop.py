"""The whole loop: requests and their outcomes through all stages of one worker, until nothing is left in any.

Outcomes are published when the predictions that they are of have been made, as in life. Requests come as fast as they are scored, or paced.
No peer has all of it. Those beside it score, join and count what is right, in one process: no drift, no alerts, and of the join what
`benchmarks.join` asks of them.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaConsumer

from benchmarks import beside
from benchmarks.data import Windows, count_windows, features, request_number, requests
from benchmarks.join import wrong_counts
from benchmarks.measure import Cost, Work, left, publish, run, send, topics
from benchmarks.model import exact_scores
from benchmarks.scoring import register, rollouts
from benchmarks.shapes import MINUTE_MS
from leadline.core.processor import Output
from leadline.kafka import cluster, metadata
from leadline.kafka.sender import new_producer
from leadline.records import WindowMetrics
from leadline.topology import STEPS
from leadline.wire.codec import read

PEERS = ("kafka-streams", "flink")
"""Those that do as much of it."""
_CHUNK, _AHEAD = 5_000, 40_000
_TIMES_S = 20
"""So often a second requests are sent where they are paced."""
_LABELED = 0.95
_KEPT = [f"{each.name}-changelog" for each in STEPS if each.stateful]
_TABLES = sorted({topic for each in STEPS for topic in each.tables})
_TOPICS = sorted({topic for each in STEPS for topic in (*each.reads, *each.writes)} - {*_TABLES} | {"dead-letters"})


async def leadline(
    bootstrap: str, count: int, folder: Path, command: list[str], rate: int = 0, shares: Mapping[str, float] = {}
) -> Cost:
    """Leadline's worker with all stages; with ``rate`` so many requests come a second.

    With ``shares`` there are more versions; then it hosts the stage of those that do not answer too.
    """
    models, steps = folder / "models", [each for each in STEPS if shares or not each.alone]
    register(models, window_ms=MINUTE_MS, versions=tuple(shares))
    asked, outcomes, windows = _logs(count)
    async with topics(bootstrap, _TOPICS, (*_TABLES, *_KEPT)) as prefix:
        await publish(bootstrap, prefix, [rollouts(shares=shares)])
        environment = {
            **os.environ, "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(models)
        }  # fmt: skip
        work = Work(
            "leadline", [*command, "-m", "leadline", "worker", *(f"--step={each.name}" for each in steps)], environment, '"assigned"',
            f"{prefix}.labeled-predictions", len(outcomes.keys),
            lanes=len(steps), feed=lambda: _feed(bootstrap, prefix, asked, outcomes, rate), left=lambda: left(bootstrap, prefix, steps),
        )  # fmt: skip
        return await run(bootstrap, work, count, lambda: _wrong(bootstrap, prefix, windows))


async def peer(name: str, bootstrap: str, count: int, folder: Path) -> Cost:
    """A peer of `PEERS`. Its clock starts with a record, so that the first of the requests are there before it."""
    asked, outcomes, windows = _logs(count)
    async with topics(bootstrap, ("prediction-requests", "predictions", "outcomes", "matches", "counts")) as prefix:
        await publish(bootstrap, prefix, [_part(asked, 0, _CHUNK)])
        work = replace(
            beside.work(name, "loop", bootstrap, prefix, folder, "matches", len(outcomes.keys)),
            feed=lambda: _feed(bootstrap, prefix, asked, outcomes, sent=_CHUNK),
        )
        return await run(bootstrap, work, count, lambda: wrong_counts(bootstrap, prefix, windows))


def _logs(count: int) -> tuple[Output, Output, Windows]:
    """Requests, the outcomes of most, and (predictions, matched, right) of each window."""
    asked = requests(count)
    assert asked.columns is not None
    random = np.random.default_rng(17)
    labeled = np.flatnonzero(random.random(count) < _LABELED)
    outcome = random.integers(0, 2, count)
    at_ms = asked.columns["event_time"].to_numpy()
    keys = [asked.keys[i] for i in labeled.tolist()]
    columns = {
        "request_id": pa.array([key.decode() for key in keys]),
        "outcome": pa.array(outcome[labeled].astype(np.float64)),
        "outcome_time": pa.array(at_ms[labeled] + 1000),
        "class_name": pa.nulls(len(keys), pa.string()),
    }
    right = outcome == (exact_scores(features(count)) >= 0.5)
    return asked, Output("outcomes", keys, columns=pa.record_batch(columns)), count_windows(at_ms, labeled, right)


async def _feed(bootstrap: str, prefix: str, asked: Output, outcomes: Output, rate: int = 0, sent: int = 0) -> None:
    """Requests after the first that are ``sent``, and the outcomes of those that are scored: as fast as that goes, or paced with the
    outcomes a second later.
    """
    count, emitted = len(asked.keys), 0
    chunk, ahead = (max(1, rate // _TIMES_S), rate) if rate else (_CHUNK, _AHEAD)
    began = time.monotonic()
    numbers = np.array([request_number(key.decode()) for key in outcomes.keys])
    async with new_producer(bootstrap) as producer, AIOKafkaConsumer(bootstrap_servers=bootstrap) as reader:
        partitions = await metadata.partitions(reader, f"{prefix}.predictions")
        for stop in range(chunk, count + ahead + chunk, chunk):
            if rate:
                await asyncio.sleep(began + stop / rate - time.monotonic())
            if sent <= stop - chunk < count:
                await send(producer, prefix, [_part(asked, stop - chunk, min(stop, count))])
            scored = min(stop - ahead, count)
            while sum((await reader.end_offsets(partitions)).values()) < scored:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            until = int(np.searchsorted(numbers, scored))
            if until > emitted:
                await send(producer, prefix, [_part(outcomes, emitted, until)])
                emitted = until


def _part(output: Output, start: int, stop: int) -> Output:
    assert output.columns is not None
    return replace(output, keys=output.keys[start:stop], columns=output.columns.slice(start, stop - start))


async def _wrong(bootstrap: str, prefix: str, windows: Windows) -> AsyncIterator[str]:
    """What the newest metrics say that is not so."""
    newest: dict[bytes, WindowMetrics] = {}
    async for record in cluster.read_all(bootstrap, f"{prefix}.metrics"):
        value = read("metrics", record.value)
        if isinstance(value, WindowMetrics):
            newest[record.key] = value
    emitted = {each.window_start: (each.predictions, each.matched, each.tp + each.tn) for each in newest.values()}
    if emitted != windows:
        yield f"metrics of {sum(emitted.get(start) != counts for start, counts in windows.items())} of {len(windows)} windows differ"
    if dead := sum((await cluster.sizes(bootstrap, [f"{prefix}.dead-letters"])).values()):
        yield f"{dead:,} dead letters"
