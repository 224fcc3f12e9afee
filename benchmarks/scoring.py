"""Scoring: requests of ten features, a scaler and a logistic regression, one prediction each."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks import beside
from benchmarks.data import PLAIN, Shape, feature_names, features, request_number, requests
from benchmarks.measure import PARTITIONS, Cost, Work, publish, run, topics
from benchmarks.model import exact_scores, trained, training_data
from benchmarks.shapes import FEATURES, VERSION
from benchmarks.sleeping import NAME, Sleeping
from leadline.core.processor import Output
from leadline.kafka import cluster
from leadline.learning.add import add_version
from leadline.records import Rollout
from leadline.settings import ModelSettings
from leadline.wire.codec import decode
from leadline.wire.limits import CHANGELOG_BYTES

_EXACT = 1e-9
_ROOT = Path(__file__).parents[1]


async def leadline(
    bootstrap: str,
    count: int,
    folder: Path,
    command: list[str],
    shape: Shape = PLAIN,
    partitions: int = PARTITIONS,
    shares: Mapping[str, float] = {},
) -> Cost:
    """Leadline's worker with the one step; the models are registered and rolled out like any other."""
    async with serving(bootstrap, folder, command, shape, partitions, shares) as (prefix, work):
        await publish(bootstrap, prefix, [requests(count, shape=shape)])
        work = replace(work, expected=count)
        return await run(bootstrap, work, count, lambda: _wrong(bootstrap, prefix, count, shape.features))


@asynccontextmanager
async def serving(
    bootstrap: str,
    folder: Path,
    command: list[str],
    shape: Shape = PLAIN,
    partitions: int = PARTITIONS,
    shares: Mapping[str, float] = {},
    sleeping: bool = False,
) -> AsyncIterator[tuple[str, Work]]:
    """Topics, and a worker that scores requests as they come; with ``shares`` there are more versions, which may be ``sleeping``."""
    models, names = folder / "models", ("prediction-requests", "predictions", "shadow-predictions", "dead-letters")
    register(models, shape, versions=tuple(shares), sleeping=sleeping)
    async with topics(bootstrap, names, ("rollouts",), partitions) as prefix:
        await publish(bootstrap, prefix, [rollouts(shape, shares)])
        environment = {
            **os.environ, "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(models), "PYTHONPATH": str(_ROOT),
        }  # fmt: skip
        worker = [*command, "-m", "leadline", "worker", "--step=scoring"]
        yield prefix, Work("leadline", worker, environment, '"assigned"', f"{prefix}.predictions", 0)


def register(
    models: Path,
    shape: Shape = PLAIN,
    window_ms: int = 86_400_000,
    versions: Sequence[str] = (),
    sleeping: bool = False,
) -> None:
    """Add the models as any other is added, and beside their one version the ``versions``, which say the same."""
    matrix, truth = training_data(shape.features)
    names = feature_names(shape.features)
    reference = pa.table({name: matrix[:, i] for i, name in enumerate(names)} | {"outcome": truth})
    for model in shape.names:
        settings = ModelSettings(name=model, numeric=names, window=window_ms, trusted=[NAME] if sleeping else [])
        estimator = trained(shape.features)
        add_version(models, settings, VERSION, estimator, reference, "outcome")
        other = Sleeping(estimator).fit(matrix, truth) if sleeping else estimator
        for version in versions:
            add_version(models, settings, version, other, reference, "outcome")


def rollouts(shape: Shape = PLAIN, shares: Mapping[str, float] = {}) -> Output:
    """Each model's one version answers; others have these shares."""
    rollout_id = "measured" if shares else ""
    records = [
        Rollout(model, VERSION, 0, "scripts/bench", "measured", shares=dict(shares), rollout_id=rollout_id)
        for model in shape.names
    ]
    return Output("rollouts", [model.encode() for model in shape.names], records=records)


async def _wrong(bootstrap: str, prefix: str, count: int, width: int) -> AsyncIterator[str]:
    """What is not so in Leadline's predictions."""
    ids: list[str] = []
    scores: list[float] = []
    async for fetched in cluster.read_runs(bootstrap, f"{prefix}.predictions", "predictions"):
        columns = decode(fetched, CHANGELOG_BYTES)[0].columns
        assert columns is not None
        ids += columns["request_id"].to_pylist()
        scores += columns["score"].to_pylist()
    for line in _differences(count, ids, scores, width):
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


def _differences(count: int, ids: list[str], scores: Iterable[float], width: int = len(FEATURES)) -> list[str]:
    """Each request has exactly one prediction, and its score is numpy's."""
    numbers = np.array([request_number(each) for each in ids], np.int64)
    if not np.array_equal(np.sort(numbers), np.arange(count)):
        return [f"{len(ids):,} predictions of {len(set(ids)):,} requests, not one each of {count:,}"]
    furthest = float(np.abs(np.array(scores) - exact_scores(features(count, width))[numbers]).max())
    return [f"a score is {furthest:.3g} from the exact one"] if furthest > _EXACT else []
