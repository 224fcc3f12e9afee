"""A store of models at S3, and a worker with an empty disk: how long until it answers, and what a minute without the store does.

The S3 is moto's server, a process of its own on this machine, so its network costs nothing: what is measured is what Leadline does. The
request waits in the log when the worker starts, and the champion is named; the clock runs from the start of the process until the
prediction is there. Beside it the same with the models in a folder. Then requests come at a pace, and the S3 is stopped in the middle of
a minute's requests, so that it takes connections and answers none.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import boto3
import numpy as np
import pyarrow as pa
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from benchmarks.measure import BenchError
from leadline.client import Client
from leadline.core.processor import Output
from leadline.embedded.child import Child, free_ports
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.learning.add import add_version
from leadline.learning.store import ModelStore
from leadline.records import Rollout
from leadline.settings import ModelSettings
from leadline.topology import STEPS

_MODEL, _URL = "fraud", "s3://models/team"
_SETTINGS = ModelSettings(name=_MODEL, numeric=["x"], horizon=3_600_000, window=3_600_000)
_RATE, _WITHIN_S = 50, 60.0


class Found(NamedTuple):
    """``first_s``: seconds to the first answer, of S3 and of a folder. Of the requests with and without the store: milliseconds."""

    first_s: Mapping[str, list[float]]
    waited_ms: Mapping[str, list[float]]
    told: list[str]


async def measure(bootstrap: str, runs: int, away_s: float) -> Found:
    """Start workers on empty disks, and leave the last one without its store for a while."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as name, _s3(Path(name)) as (s3, environment):
        folder = Path(name)
        _add(folder / "made")
        os.environ.update(environment)
        store = ModelStore(_URL, folder / "made")
        store.publish(_MODEL, "v1")
        first: dict[str, list[float]] = {"S3": [], "folder": []}
        for run in range(runs):
            for where, models in (("folder", str(folder / "made")), ("S3", _URL)):
                async with _worker(bootstrap, folder / f"{where}-{run}", models) as (_, _, seconds):
                    first[where].append(seconds)
                    print(
                        json.dumps({"job": "store", "models": where, "first_answer_s": round(seconds, 2)}), flush=True
                    )
        async with _worker(bootstrap, folder / "away", _URL) as (client, log, _):
            waited = {"there": await _asked(client, away_s)}
            os.kill(s3.pid, signal.SIGSTOP)
            try:
                waited["away"] = await _asked(client, away_s, unknown=True)
            finally:
                os.kill(s3.pid, signal.SIGCONT)
            waited["back"] = await _asked(client, 10)
            told = [line for line in log.read_text("utf-8").splitlines() if "store of models" in line]
        return Found(first, waited, told)


@contextmanager
def _s3(folder: Path) -> Iterator[tuple[Child, dict[str, str]]]:
    [port] = free_ports(0)
    url = f"http://127.0.0.1:{port}"
    own = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    child = Child("S3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder / "s3.log")
    keys: dict[str, Any] = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    try:
        child.wait_until(lambda: boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="models"), 30)
        yield child, own
    finally:
        child.stop()


def _add(root: Path) -> None:
    values = [0.0, 1.0, 2.0, 3.0]
    model = LogisticRegression().fit([[each] for each in values], [0, 0, 1, 1])
    add_version(root, _SETTINGS, "v1", model, pa.table({"x": values, "y": [0, 0, 1, 1]}), "y")


@asynccontextmanager
async def _worker(bootstrap: str, disk: Path, models: str) -> AsyncIterator[tuple[Client, Path, float]]:
    """A worker on an empty disk, its log, and how long its first answer took."""
    prefix = f"leadline-bench-{disk.name}-{os.getpid()}"
    disk.mkdir()  # noqa: ASYNC240
    await apply_topics(bootstrap, prefix, 2, 1, None, [step.name for step in STEPS if step.stateful])
    async with open_sender(bootstrap, prefix) as sender:
        await asyncio.gather(
            *await sender.send_outputs([Output("rollouts", records=[Rollout(_MODEL, "v1", 0, "bench", "")])])
        )
    environment = {
        "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "LEADLINE_MODELS": models,
        "LEADLINE_CACHE": str(disk / "cache"), "LEADLINE_STATE": str(disk / "state"),
    }  # fmt: skip
    async with Client(bootstrap, prefix) as client:
        asking = asyncio.create_task(client.predict(_MODEL, {"x": 3.0}, within_s=_WITHIN_S))
        await asyncio.sleep(2)  # the request is in the log
        began = time.monotonic()
        child = Child(
            "worker", [sys.executable, "-m", "leadline", "worker"], disk / "worker.log", os.environ | environment
        )
        try:
            if (await asking).model_version != "v1":
                raise BenchError("another version answered")
            yield client, child.log, time.monotonic() - began
        finally:
            child.terminate()
            child.stop()
            await client.close()
            await cluster.remove(bootstrap, prefix)


async def _asked(client: Client, seconds: float, unknown: bool = False) -> list[float]:
    """Milliseconds of each request of some seconds, whose answers have to be right; ``unknown``: others ask a model that is not there."""

    async def one(number: int) -> float:
        began = time.perf_counter()
        found = await client.predict(_MODEL, {"x": float(number % 4)}, within_s=_WITHIN_S)
        if found.model_version != "v1" or found.predicted_label != number % 4 // 2:
            raise BenchError(f"a wrong answer: {found}")
        return (time.perf_counter() - began) * 1000

    asked, began = [], time.monotonic()
    for number in range(int(seconds * _RATE)):
        await asyncio.sleep(max(0.0, began + number / _RATE - time.monotonic()))
        asked.append(asyncio.create_task(one(number)))
        if unknown and not number % _RATE:
            await client.send_request("nobody", {"x": 1.0})
    return list(await asyncio.gather(*asked))


def tables(found: Found) -> Iterator[Table]:
    """The figures for people."""
    first = Table(
        "models in", "median s", "all", title="from the start of a worker on an empty disk to its first answer"
    )
    for where, seconds in found.first_s.items():
        first.add_row(where, f"{median(seconds):.1f}", ", ".join(f"{each:.1f}" for each in seconds))
    yield first
    waited = Table(
        "the store is", "requests", "right", "p50 ms", "p99 ms", "worst ms", title=f"{_RATE} requests a second"
    )
    for when, took in found.waited_ms.items():
        p50, p99 = np.percentile(took, [50, 99]).tolist()
        waited.add_row(when, f"{len(took):,}", f"{len(took):,}", f"{p50:.1f}", f"{p99:.1f}", f"{max(took):.0f}")
    yield waited
    said = Table("the worker's log")
    for line in found.told:
        said.add_row(line[:200])
    yield said
