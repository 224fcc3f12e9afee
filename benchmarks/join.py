"""The join: predictions and outcomes, by request id, with state in RocksDB and a changelog."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from benchmarks import beside
from benchmarks.data import PLAIN, JoinAnswer, Shape, Windows, join_logs, pending
from benchmarks.measure import PARTITIONS, Cost, Work, left, publish, run, topics, withheld
from leadline.kafka import cluster
from leadline.records import JoinCounts, WindowPartial
from leadline.topology import step
from leadline.wire.codec import decode
from leadline.wire.limits import CHANGELOG_BYTES

_PART = 250_000
TOPICS = (
    "predictions", "shadow-predictions", "outcomes", "labeled-predictions", "window-partials", "pair-partials",
    "window-profiles", "dead-letters",
)  # fmt: skip
_KEPT = ("rollouts", "join-changelog")
_STEPS = (step("join"),)


async def leadline(
    bootstrap: str,
    count: int,
    folder: Path,
    command: list[str],
    shape: Shape = PLAIN,
    partitions: int = PARTITIONS,
    waiting: int = 0,
) -> Cost:
    """Leadline's worker with the one step; so many predictions more wait for their outcome all the time."""
    predictions, outcomes, answer = join_logs(count, shape)
    write_settings(folder / "models", shape)
    async with topics(bootstrap, TOPICS, _KEPT, partitions) as prefix:
        work = _work(bootstrap, prefix, folder, command, answer)
        if waiting:
            work = replace(
                work,
                before=lambda: _keep_waiting(bootstrap, prefix, waiting),
                feed=lambda: publish(bootstrap, prefix, [predictions, outcomes]),
            )
            answer.classes["predictions"] += waiting
            answer.classes["prediction_records"] += waiting
        else:
            await publish(bootstrap, prefix, [predictions, outcomes])
        events = len(predictions.keys) + len(outcomes.keys)
        return await run(bootstrap, work, events, lambda: _wrong(bootstrap, prefix, answer, not waiting))


async def shared(bootstrap: str, count: int, folder: Path, command: list[str], workers: int, partitions: int) -> Cost:
    """So many of Leadline's workers share the partitions, and begin together: see `benchmarks.measure`."""
    predictions, outcomes, answer = join_logs(count)
    write_settings(folder / "models")
    async with (
        topics(bootstrap, TOPICS, _KEPT, partitions) as prefix,
        withheld(bootstrap, prefix, [predictions, outcomes]) as (fill, show),
    ):
        work = _work(bootstrap, prefix, folder, command, answer)
        work = replace(work, workers=workers, partitions=partitions, before=fill, feed=show)
        events = len(predictions.keys) + len(outcomes.keys)
        return await run(bootstrap, work, events, lambda: _wrong(bootstrap, prefix, answer))


def _work(bootstrap: str, prefix: str, folder: Path, command: list[str], answer: JoinAnswer) -> Work:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": bootstrap,
        "LEADLINE_PREFIX": prefix,
        "LEADLINE_MODELS": str(folder / "models"),
    }
    return Work(
        "leadline", [*command, "-m", "leadline", "worker", "--step=join"], environment, '"assigned"',
        f"{prefix}.labeled-predictions", answer.classes["matched"], left=lambda: left(bootstrap, prefix, _STEPS),
    )  # fmt: skip


async def _keep_waiting(bootstrap: str, prefix: str, count: int) -> None:
    """Publish predictions that get no outcome, and wait until all are in the state."""
    for salt, start in enumerate(range(0, count, _PART), start=1000):
        await publish(bootstrap, prefix, [pending(min(_PART, count - start), salt)])
    while await left(bootstrap, prefix, _STEPS):  # noqa: ASYNC110
        await asyncio.sleep(0.5)


def write_settings(models: Path, shape: Shape = PLAIN) -> None:
    """The models' files: windows of a minute."""
    for name in shape.names:
        folder = models / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.toml").write_text(f'name = "{name}"\nwindow = "1m"\n', "utf-8")


async def _wrong(bootstrap: str, prefix: str, answer: JoinAnswer, windowed: bool = True) -> AsyncIterator[str]:
    """What the newest window partials and join counts say that is not so."""
    newest: dict[bytes, WindowPartial | JoinCounts] = {}
    async for fetched in cluster.read_runs(bootstrap, f"{prefix}.window-partials", "window-partials"):
        batch = decode(fetched, CHANGELOG_BYTES)[0]
        for key, value in zip(batch.keys, batch.records, strict=True):
            assert isinstance(value, WindowPartial | JoinCounts)
            newest[key] = value
    classes: Counter[str] = Counter()
    windows: Windows = {}
    for value in newest.values():
        if isinstance(value, JoinCounts):
            classes.update({name: getattr(value, name) for name in answer.classes})
        elif value.segment == "*":
            made, matched, right = windows.get(value.window_start, (0, 0, 0))
            windows[value.window_start] = (
                made + value.predictions,
                matched + value.matched,
                right + value.tp + value.tn,
            )
    for name, expected in answer.classes.items():
        if classes[name] != expected:
            yield f"{name} {classes[name]:,}, not {expected:,}"
    if windowed and windows != answer.windows:
        yield "counts of windows differ"
    if dead := sum((await cluster.sizes(bootstrap, [f"{prefix}.dead-letters"])).values()):
        yield f"{dead:,} dead letters"


async def peer(name: str, bootstrap: str, count: int, folder: Path) -> Cost:
    """A peer of `benchmarks.beside`."""
    predictions, outcomes, answer = join_logs(count)
    async with topics(bootstrap, ("predictions", "outcomes", "matches", "counts")) as prefix:
        await publish(bootstrap, prefix, [predictions, outcomes])
        work = beside.work(name, "join", bootstrap, prefix, folder, "matches", answer.classes["matched"])
        events = len(predictions.keys) + len(outcomes.keys)
        return await run(bootstrap, work, events, lambda: wrong_counts(bootstrap, prefix, answer.windows))


async def wrong_counts(bootstrap: str, prefix: str, windows: Windows) -> AsyncIterator[str]:
    """Where a peer's newest counts of a window are not the matched, and the right, of its (predictions, matched, right)."""
    newest = {r.key: json.loads(r.value) async for r in cluster.read_all(bootstrap, f"{prefix}.counts")}
    emitted: dict[int, tuple[int, int]] = {}
    for window, matched, right in newest.values():
        start = int(window.partition("|")[2])
        before = emitted.get(start, (0, 0))
        emitted[start] = (before[0] + matched, before[1] + right)
    if emitted != {start: (matched, right) for start, (_, matched, right) in windows.items() if matched}:
        yield f"counts of windows differ: {sum(matched for matched, _ in emitted.values()):,} matched"
