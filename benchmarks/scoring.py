"""Scoring: requests of ten features, a scaler and a logistic regression, one prediction each."""

import os
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.data import features, request_number, requests
from benchmarks.measure import PARTITIONS, Cost, Work, publish, run, topics
from benchmarks.model import exact_scores, trained, training_data
from benchmarks.shapes import FEATURES, MODEL, STARTS, VERSION
from leadline.agents import cluster
from leadline.agents.fetch import to_run
from leadline.agents.sender import CHANGELOG_BYTES
from leadline.core.batch import Output
from leadline.learning.add import add_version
from leadline.records import Rollout
from leadline.settings import ModelSettings
from leadline.wire.codec import decode

_EXACT = 1e-9


async def leadline(bootstrap: str, count: int, folder: Path, command: list[str]) -> Cost:
    """Leadline's worker with the one step; the model is registered and rolled out like any other."""
    models = folder / "models"
    _register(models)
    rollout = Rollout(MODEL, VERSION, int(time.time() * 1000), "scripts/bench", "measured")
    async with topics(bootstrap, ("prediction-requests", "predictions", "dead-letters"), ("rollouts",)) as prefix:
        rolled_out = Output("rollouts", [MODEL.encode()], records=[rollout])
        await publish(bootstrap, prefix, [rolled_out, requests(count)])
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "LEADLINE_PREFIX": prefix,
            "LEADLINE_MODELS": str(models),
        }
        worker = [*command, "-m", "leadline", "worker", "--step=scoring"]
        work = Work("leadline", worker, environment, '"assigned"', f"{prefix}.predictions", count)
        return await run(bootstrap, work, count, lambda: _wrong(bootstrap, prefix, count))


def _register(models: Path) -> None:
    matrix, truth = training_data()
    reference = pa.table({name: matrix[:, i] for i, name in enumerate(FEATURES)} | {"outcome": truth})
    add_version(models, ModelSettings(name=MODEL, numeric=FEATURES), VERSION, trained(), reference, "outcome")


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


async def faust(bootstrap: str, count: int) -> Cost:
    """The Faust peer; see `benchmarks.peers.faust_app`."""
    async with topics(bootstrap, ("prediction-requests", "predictions")) as prefix:
        await publish(bootstrap, prefix, [requests(count)])
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "LEADLINE_PREFIX": prefix,
            "LEADLINE_BENCH_JOB": "scoring",
        }
        worker = [
            sys.executable,
            "-m",
            "benchmarks.peers.faust_app",
            "--quiet",
            "worker",
            "--without-web",
            "-l",
            "warn",
        ]
        work = Work("faust", worker, environment, STARTS, f"{prefix}.predictions", count)
        return await run(bootstrap, work, count, lambda: _wrong_faust(bootstrap, prefix, count))


async def _wrong_faust(bootstrap: str, prefix: str, count: int) -> AsyncIterator[str]:
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
