"""One window with very many requests in one partition, through its life: predicted, labelled, mature, sealed, forgotten.

All that its time brings falls due at one instant. Time is that of the records. One worker has scoring, the join and performance; its memory
is what this is about, and each step of the life is checked before the next.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.data import feature_names, features, request_ids, requests
from benchmarks.measure import BenchError, Work, left, publish, started, topics
from benchmarks.model import exact_scores, trained, training_data
from benchmarks.scoring import rollouts
from benchmarks.shapes import MODEL, VERSION
from benchmarks.usage import cpu_seconds, peak_rss_mb
from leadline.core.processor import Output
from leadline.core.store_keys import JoinKeys
from leadline.kafka import cluster
from leadline.kafka.sender import Sender, open_sender
from leadline.learning.add import add_version
from leadline.records import WindowMetrics
from leadline.settings import ModelSettings
from leadline.topology import step
from leadline.wire.codec import read

_HOUR_MS, _GRACE_MS = 3_600_000, 600_000
_LABELED = 0.95
_CHUNK = 50_000
_STEPS = tuple(step(name) for name in ("scoring", "join", "performance"))
_TOPICS = sorted({topic for each in _STEPS for topic in (*each.reads, *each.writes)} | {"dead-letters"})
_KEPT = ("rollouts", "join-changelog", "performance-changelog")
_STALL_S = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the life: what it took, and the worker's peak memory up to its end."""

    name: str
    wall_s: float
    cpu_s: float
    rss_mb: int


@dataclass(frozen=True, slots=True)
class _Life:
    """What is put in, and what has to come out."""

    start_ms: int
    asked: Output
    outcomes: Output
    matched: int
    right: int


async def measure(bootstrap: str, count: int) -> list[Stage]:
    """Let a window with so many requests live; raises BenchError where a step comes to another answer."""
    life = _life(count)
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        models = Path(folder)
        _register(models)
        async with topics(bootstrap, _TOPICS, _KEPT, partitions=1) as prefix:
            await publish(bootstrap, prefix, [rollouts()])
            environment = {
                **os.environ, "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(models),
                "LEADLINE_CLOCK": "records",
            }  # fmt: skip
            command = [sys.executable, "-m", "leadline", "worker", *(f"--step={each.name}" for each in _STEPS)]
            work = Work("leadline", command, environment, '"assigned"', f"{prefix}.metrics", 0, lanes=len(_STEPS))
            async with started(work) as child, open_sender(bootstrap, prefix, pass_on_arrival=True) as sender:
                return await _lived(bootstrap, prefix, life, sender, child.pid)


async def _lived(bootstrap: str, prefix: str, life: _Life, sender: Sender, pid: int) -> list[Stage]:
    count, matched, right = len(life.asked.keys), life.matched, life.right
    end_ms = life.start_ms + 2 * _HOUR_MS
    seen = _Seen(bootstrap, prefix, life.start_ms, pid)
    done = [
        await seen.until("predicted", ("provisional", count, 0, 0), lambda: _send(sender, life.asked)),
        await seen.until("labelled", ("provisional", count, matched, right), lambda: _send(sender, life.outcomes)),
        await seen.until("mature", ("mature", count, matched, right), lambda: _clock(sender, end_ms + 1)),
        await seen.until("sealed", ("sealed", count, matched, right), lambda: _clock(sender, end_ms + _GRACE_MS + 2)),
        await seen.until("forgotten", ("sealed", count, matched, right), lambda: _clock(sender, end_ms + 3 * _HOUR_MS)),
    ]
    await _wait(lambda: _held(bootstrap, prefix), 0, "requests in the state")
    if letters := sum((await cluster.sizes(bootstrap, [f"{prefix}.dead-letters"])).values()):
        raise BenchError(f"{letters:,} dead letters")
    return done


class _Seen:
    """What the newest metrics say of the window."""

    def __init__(self, bootstrap: str, prefix: str, start_ms: int, pid: int) -> None:
        self._bootstrap, self._prefix, self._start_ms, self._pid = bootstrap, prefix, start_ms, pid

    async def until(self, name: str, wanted: tuple[str, int, int, int], bring: Callable[[], Awaitable[None]]) -> Stage:
        """Bring it about, and wait until the metrics say so and nothing is left to work on."""
        wall, cpu = time.monotonic(), cpu_seconds(self._pid)
        await bring()
        await _wait(lambda: left(self._bootstrap, self._prefix, _STEPS), 0, "records left")
        await _wait(self._metrics, wanted, "metrics")
        stage = Stage(name, time.monotonic() - wall, cpu_seconds(self._pid) - cpu, peak_rss_mb(self._pid))
        print(json.dumps({"job": "window", **asdict(stage)}), flush=True)
        return stage

    async def _metrics(self) -> tuple[str, int, int, int] | None:
        """State, predictions, matched, right."""
        newest = None
        async for record in cluster.read_all(self._bootstrap, f"{self._prefix}.metrics"):
            value = read("metrics", record.value)
            if isinstance(value, WindowMetrics) and value.window_start == self._start_ms and value.segment == "*":
                newest = value.state, value.predictions, value.matched, (value.tp or 0) + (value.tn or 0)
        return newest


async def _wait(look: Callable[[], Awaitable[object]], wanted: object, what: str) -> None:
    """Until it is what is wanted; raises BenchError when it has not changed for a minute."""
    found, since = await look(), time.monotonic()
    while found != wanted:
        await asyncio.sleep(0.5)
        was, found = found, await look()
        since = since if found == was else time.monotonic()
        if time.monotonic() - since > _STALL_S:
            raise BenchError(f"{what}: {found}, not {wanted}")


async def _held(bootstrap: str, prefix: str) -> int:
    """Requests in the join's state, as its changelog has it."""
    held = set[bytes]()
    async for record in cluster.read_all(bootstrap, f"{prefix}.join-changelog"):
        if record.key[:1] == JoinKeys.REQUEST:
            (held.discard if record.value is None else held.add)(record.key)
    return len(held)


async def _send(sender: Sender, output: Output) -> None:
    assert output.columns is not None
    assert output.arrival_ms is not None
    for start in range(0, len(output.keys), _CHUNK):
        rows = slice(start, start + _CHUNK)
        columns, arrival_ms = output.columns.slice(start, _CHUNK), output.arrival_ms[rows]
        part = replace(output, keys=output.keys[rows], columns=columns, arrival_ms=arrival_ms)
        await asyncio.gather(*await sender.send_outputs([part]))


async def _clock(sender: Sender, now_ms: int) -> None:
    for topic in ("predictions", "outcomes"):
        await asyncio.gather(*await sender.send_clock(topic, 0, now_ms))


def _register(models: Path) -> None:
    matrix, truth = training_data(len(feature_names(10)))
    names = feature_names(10)
    reference = pa.table({name: matrix[:, i] for i, name in enumerate(names)} | {"outcome": truth})
    settings = ModelSettings(name=MODEL, numeric=names, window=_HOUR_MS, horizon=_HOUR_MS, grace=_GRACE_MS)
    add_version(models, settings, VERSION, trained(10), reference, "outcome")


def _life(count: int) -> _Life:
    """Requests spread over one window of an hour some hours ago; outcomes of most when it has ended, in another order."""
    start_ms = (int(time.time() * 1000) - 9 * _HOUR_MS) // _HOUR_MS * _HOUR_MS
    at_ms: NDArray[np.int64] = start_ms + np.arange(count, dtype=np.int64) * (_HOUR_MS - 1) // count
    asked = requests(count)
    assert asked.columns is not None
    columns = asked.columns.set_column(
        asked.columns.schema.get_field_index("event_time"), "event_time", pa.array(at_ms)
    )
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, count)
    order = random.permutation(np.flatnonzero(random.random(count) < _LABELED))
    right = truth == (exact_scores(features(count)) >= 0.5)
    ids = request_ids(count)
    labeled = [ids[i] for i in order.tolist()]
    outcome_columns = {
        "request_id": pa.array(labeled),
        "outcome": pa.array(truth[order].astype(np.float64)),
        "outcome_time": pa.array(at_ms[order] + 1000),
        "class_name": pa.nulls(len(labeled), pa.string()),
    }
    outcomes = Output(
        "outcomes", [each.encode() for each in labeled], 0, pa.record_batch(outcome_columns),
        arrival_ms=np.full(len(labeled), start_ms + _HOUR_MS, np.int64),
    )  # fmt: skip
    return _Life(
        start_ms,
        replace(asked, partition=0, columns=columns, arrival_ms=at_ms),
        outcomes,
        len(order),
        int(right[order].sum()),
    )


def table(stages: list[Stage], count: int) -> Table:
    """One line a step."""
    made = Table(title=f"one window of {count:,} requests in one partition; each step came to the right answer")
    for name in ("step", "wall s", "CPU s of the worker", "peak memory MB"):
        made.add_column(name, justify="left" if name == "step" else "right")
    for each in stages:
        made.add_row(each.name, f"{each.wall_s:.1f}", f"{each.cpu_s:.1f}", f"{each.rss_mb:,}")
    return made
