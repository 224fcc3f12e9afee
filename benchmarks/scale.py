"""What an event costs as one thing grows: how many come a second, partitions, workers, models, segments, versions of a request, those
that wait, features.
"""

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from benchmarks import join, loop, scoring
from benchmarks.data import PLAIN, Shape
from benchmarks.measure import Cost

_Run = Callable[[str, int, Path, list[str], int], Awaitable[Cost]]
_WIDE = 10
"""Requests of more features than these come in smaller numbers."""
_PACED_S = 20
_SHARED = 16
"""Partitions that the workers share, however many they are."""


def _join(shape: Callable[[int], Shape]) -> _Run:
    return lambda bootstrap, events, folder, command, size: join.leadline(
        bootstrap, events, folder, command, shape(size)
    )


GROWING: dict[str, tuple[str, Sequence[int], _Run]] = {
    "rate": (
        "loop",
        (20, 200, 2_000),
        lambda bootstrap, events, folder, command, size: loop.leadline(
            bootstrap, min(events, size * _PACED_S), folder, command, size
        ),
    ),
    "partitions": (
        "join",
        (2, 16, 64),
        lambda bootstrap, events, folder, command, size: join.leadline(bootstrap, events, folder, command, PLAIN, size),
    ),
    "workers": (
        "join",
        (1, 2, 4),
        lambda bootstrap, events, folder, command, size: join.shared(bootstrap, events, folder, command, size, _SHARED),
    ),
    "models": ("join", (1, 20, 200), _join(lambda size: Shape(models=size))),
    "segments": ("join", (1, 100, 5_000), _join(lambda size: Shape(segments=size))),
    "versions": ("join", (1, 2, 3), _join(lambda size: Shape(versions=size))),
    "waiting": (
        "join",
        (100_000, 1_000_000, 10_000_000),
        lambda bootstrap, events, folder, command, size: join.leadline(
            bootstrap, events, folder, command, waiting=size
        ),
    ),
    "features": (
        "scoring",
        (10, 100, 1_000),
        lambda bootstrap, events, folder, command, size: scoring.leadline(
            bootstrap, events * _WIDE // size, folder, command, Shape(features=size)
        ),
    ),
}
"""Of each thing that grows: the job, the sizes, and the run of one."""


async def measure(bootstrap: str, names: Sequence[str], events: int, most: int) -> list[tuple[str, int, Cost]]:
    """Run each size of each of these things, but none over ``most``."""
    ran = []
    for name in names:
        job, sizes, run = GROWING[name]
        for size in [size for size in sizes if size <= most]:
            with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
                cost = await run(bootstrap, events, Path(folder), [sys.executable], size)
            print(json.dumps({"job": job, name: size, **asdict(cost)}), flush=True)
            ran.append((name, size, cost))
    return ran


def table(ran: Sequence[tuple[str, int, Cost]]) -> Table:
    """One row a run."""
    made = Table(title="scale: one run each; all answers were right")
    for name in ("grows", "to", "events", "CPU-s a million", "events / CPU-s", "wall s", "peak RSS MB"):
        made.add_column(name, justify="left" if name == "grows" else "right")
    for name, size, cost in ran:
        figures = (f"{cost.per_million:.2f}", f"{cost.per_cpu_s:,.0f}", f"{cost.wall_s:.1f}", f"{cost.rss_mb:,}")
        made.add_row(f"{GROWING[name][0]}: {name}", f"{size:,}", f"{cost.events:,}", *figures)
    return made
