"""Scoring: requests of ten features, a scaler and a logistic regression, one prediction each."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import beside
from benchmarks.data import features, request_number, requests
from benchmarks.measure import PARTITIONS, Cost, Work, publish, run, topics
from benchmarks.model import exact_scores, trained, training_data
from benchmarks.shapes import FEATURES, MODEL, VERSION
from leadline.agents import cluster
from leadline.agents.fetch import to_run
from leadline.agents.sender import CHANGELOG_BYTES
from leadline.core.batch import Output
from leadline.learning.add import add_version
from leadline.records import Rollout
from leadline.settings import ModelSettings
from leadline.wire.codec import decode

_EXACT = 1e-9
ROLLOUT = Output("rollouts", [MODEL.encode()], records=[Rollout(MODEL, VERSION, 0, "scripts/bench", "measured")])


async def leadline(bootstrap: str, count: int, folder: Path, command: list[str]) -> Cost:
    """Leadline's worker with the one step; the model is registered and rolled out like any other."""
    async with serving(bootstrap, folder, command) as (prefix, work):
        await publish(bootstrap, prefix, [requests(count)])
        return await run(bootstrap, replace(work, expected=count), count, lambda: _wrong(bootstrap, prefix, count))


@asynccontextmanager
async def serving(bootstrap: str, folder: Path, command: list[str]) -> AsyncIterator[tuple[str, Work]]:
    """Topics, and a worker that scores requests as they come."""
    models = folder / "models"
    register(models)
    async with topics(bootstrap, ("prediction-requests", "predictions", "dead-letters"), ("rollouts",)) as prefix:
        await publish(bootstrap, prefix, [ROLLOUT])
        environment = {
            **os.environ, "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(models)
        }  # fmt: skip
        worker = [*command, "-m", "leadline", "worker", "--step=scoring"]
        yield prefix, Work("leadline", worker, environment, '"assigned"', f"{prefix}.predictions", 0)


def register(models: Path, window_ms: int = 86_400_000) -> None:
    """Add the model as any other is added."""
    matrix, truth = training_data()
    reference = pa.table({name: matrix[:, i] for i, name in enumerate(FEATURES)} | {"outcome": truth})
    settings = ModelSettings(name=MODEL, numeric=FEATURES, window=window_ms)
    add_version(models, settings, VERSION, trained(), reference, "outcome")


async def _wrong(bootstrap: str, prefix: str, count: int) -> AsyncIterator[str]:
    """What is not so in Leadline's predictions."""
    records = [record async for record in cluster.read_all(bootstrap, f"{prefix}.predictions")]
    ids: list[str] = []
    scores: list[float] = []
    for number in range(PARTITIONS):
        own = [record for record in records if record.partition == number]
        if own:
            columns = decode(to_run("predictions", number, own), CHANGELOG_BYTES)[0].columns
            assert columns is not None
            ids += columns["request_id"].to_pylist()
            scores += columns["score"].to_pylist()
    for line in _differences(count, ids, scores):
        yield line
    if dead := sum((await cluster.sizes(bootstrap, [f"{prefix}.dead-letters"])).values()):
        yield f"{dead:,} dead letters"


async def peer(name: str, bootstrap: str, count: int, folder: Path) -> Cost:
    """A peer of `benchmarks.beside`."""
    async with topics(bootstrap, ("prediction-requests", "predictions")) as prefix:
        await publish(bootstrap, prefix, [requests(count)])
        work = beside.work(name, "scoring", bootstrap, prefix, folder, "predictions", count)
        return await run(bootstrap, work, count, lambda: _wrong_peer(bootstrap, prefix, count))


async def _wrong_peer(bootstrap: str, prefix: str, count: int) -> AsyncIterator[str]:
    from benchmarks.avro import PREDICTION

    made = [PREDICTION.loads(record.value) async for record in cluster.read_all(bootstrap, f"{prefix}.predictions")]
    for line in _differences(count, [each["request_id"] for each in made], [each["score"] for each in made]):
        yield line


def _differences(count: int, ids: list[str], scores: Iterable[float]) -> list[str]:
    """Each request has exactly one prediction, and its score is numpy's."""
    numbers = np.array([request_number(each) for each in ids], np.int64)
    if not np.array_equal(np.sort(numbers), np.arange(count)):
        return [f"{len(ids):,} predictions of {len(set(ids)):,} requests, not one each of {count:,}"]
    furthest = float(np.abs(np.array(scores) - exact_scores(features(count))[numbers]).max())
    return [f"a score is {furthest:.3g} from the exact one"] if furthest > _EXACT else []
