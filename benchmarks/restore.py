"""How fast the join's state comes back: pending predictions from the changelog onto an empty disk.

The product's own lane makes the changelog from predictions without outcomes. Then a task on each partition, one after the other as in the
lane, restores an empty store from it. The clock and the processor time of this process are of that alone: fetching, RocksDB with all its
threads, and the processor's start. The broker is a process of its own.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.data import pending
from benchmarks.join import TOPICS, write_settings
from benchmarks.measure import PARTITIONS, BenchError, publish, topics
from leadline.hosts import changelog
from leadline.hosts.contract import Installation
from leadline.hosts.stateful import StatefulLane
from leadline.hosts.worker import tune_collector
from leadline.kafka import cluster
from leadline.learning.cached import CachedModels
from leadline.settings import load_settings
from leadline.state.rocksdb import RocksStore
from leadline.state.task import HostedTask
from leadline.topology import step

_JOIN = step("join")


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore; ``changelog_bytes`` are those of keys and values."""

    pending: int
    changelog_bytes: int
    wall_s: float
    cpu_s: float


async def measure(bootstrap: str, count: int, runs: int) -> list[Restored]:
    """Make the changelog once, and restore from it several times."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        models = Path(folder) / "models"
        write_settings(models)
        async with topics(bootstrap, TOPICS, ("rollouts", "join-changelog")) as prefix:
            await publish(bootstrap, prefix, [pending(count)])
            tune_collector()
            await _join(bootstrap, prefix, Path(folder))
            size = await _size(bootstrap, f"{prefix}.join-changelog")
            return [
                await _restored(bootstrap, prefix, CachedModels(models), Path(folder) / f"disk-{run}", count, size)
                for run in range(runs)
            ]


async def _join(bootstrap: str, prefix: str, folder: Path) -> None:
    """Work until nothing is left."""
    settings = load_settings(prefix=prefix, state=folder / "state")
    lane = StatefulLane(_JOIN, Installation(settings, bootstrap, CachedModels(folder / "models")))
    running = asyncio.create_task(lane.run())
    while any((await cluster.lag(bootstrap, prefix, _JOIN)).values()):
        await asyncio.wait([running], timeout=0.5)
        if running.done():
            break
    lane.stop()
    await running


async def _size(bootstrap: str, topic: str) -> int:
    return sum([len(r.key) + len(r.value or b"") async for r in cluster.read_all(bootstrap, topic)])


async def _restored(
    bootstrap: str, prefix: str, models: CachedModels, disk: Path, count: int, changelog_bytes: int
) -> Restored:
    stores = [RocksStore(disk / str(number)) for number in range(PARTITIONS)]
    wall, cpu = time.monotonic(), time.process_time()
    for number, store in enumerate(stores):
        task = HostedTask(_JOIN, number, store, models)
        await changelog.restore(task, f"{prefix}.join-changelog", bootstrap, lambda: True)
    restored = Restored(count, changelog_bytes, time.monotonic() - wall, time.process_time() - cpu)
    found = sum(1 for store in stores for _ in store.scan(b"r", b"s"))
    for store in stores:
        store.close()
    if found != count:
        raise BenchError(f"{found:,} pending predictions restored, not {count:,}")
    print(json.dumps({"job": "restore", **asdict(restored)}), flush=True)
    return restored


def table(runs: Sequence[Restored]) -> Table:
    """The medians."""
    count, wall_s, cpu_s = runs[0].pending, median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    made = Table(title=f"restore: medians of {len(runs)} runs; all predictions came back")
    for name in ("pending", "changelog MB", "pending / s", "pending / CPU-s", "s / million", "CPU-s / million"):
        made.add_column(name, justify="right")
    rates = (count / wall_s, count / cpu_s)
    costs = (wall_s / count * 1e6, cpu_s / count * 1e6)
    made.add_row(
        f"{count:,}",
        f"{runs[0].changelog_bytes / 1e6:,.0f}",
        *(f"{rate:,.0f}" for rate in rates),
        *(f"{cost:.2f}" for cost in costs),
    )
    return made
