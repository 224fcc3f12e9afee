"""``scripts/bench scoring|join``: Leadline and plain Faust in turns, one table at the end and one JSON line a run.

``scripts/bench restore``: how fast pending predictions come from the changelog onto an empty disk. ``scripts/bench peer``: work for the
runner of a comparison of several stream processors.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import join, peer, restore, scoring
from benchmarks.measure import BenchError, Cost
from leadline.embedded import EmbeddedError, progress_bar, servers
from leadline.settings import load_settings

_JOBS = {"join": join, "scoring": scoring}


def main() -> int:
    """Run what the command line asks for; 1 when an answer was wrong."""
    asked = _arguments()
    if asked.job == "peer":
        return peer.main()
    console = Console(stderr=True)
    try:
        with progress_bar(console) as progress, servers(load_settings(), redis=False, progress=progress) as running:
            table = asyncio.run(_measured(asked, running.bootstrap))
    except (BenchError, EmbeddedError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 1
    Console().print(table)
    return 0


async def _measured(asked: argparse.Namespace, bootstrap: str) -> Table:
    if asked.job == "restore":
        return restore.table(await restore.measure(bootstrap, asked.pending, asked.runs))
    return _table(asked.job, await _pairs(asked, bootstrap))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("peer", help="work for a runner of several stream processors; see benchmarks/peer.py")
    restoring = jobs.add_parser("restore", help="pending predictions from the changelog onto an empty disk")
    restoring.add_argument("--pending", type=int, default=1_000_000, help="predictions without an outcome")
    restoring.add_argument("--runs", type=int, default=3, help="how often they are restored")
    for name in sorted(_JOBS):
        _add_options(jobs.add_parser(name, help="Leadline and plain Faust in turns"))
    return parser.parse_args()


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=int, default=300_000, help="requests, or predictions with about as many outcomes"
    )
    parser.add_argument("--faust-events", type=int, default=30_000, help="the same for Faust, which takes longer")
    parser.add_argument("--pairs", type=int, default=2, help="how often the two take turns")
    parser.add_argument("--no-faust", action="store_true", help="Leadline alone")
    parser.add_argument(
        "--profile", type=Path, help="write Leadline's cProfile to this file; its figures are slower then"
    )


async def _pairs(asked: argparse.Namespace, bootstrap: str) -> list[Cost]:
    job, costs = _JOBS[asked.job], []
    command = [sys.executable, *(["-m", "cProfile", "-o", str(asked.profile.resolve())] if asked.profile else [])]
    for _ in range(asked.pairs):
        with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
            costs.append(_told(asked.job, await job.leadline(bootstrap, asked.events, Path(folder), command)))
            if not asked.no_faust:
                costs.append(_told(asked.job, await job.faust(bootstrap, asked.faust_events)))
    return costs


def _told(job: str, cost: Cost) -> Cost:
    print(json.dumps({"job": job, **asdict(cost), "events_per_cpu_s": round(cost.per_cpu_s)}), flush=True)
    return cost


def _table(job: str, costs: Sequence[Cost]) -> Table:
    """One row a side: medians of its runs, and all of its rates."""
    table = Table(title=f"{job}: medians; the answers of all runs were right")
    for name in ("worker", "events", "events / CPU-s", "x Faust", "of each run", "wall s", "peak RSS MB"):
        table.add_column(name, justify="left" if name == "worker" else "right")
    rates = {
        name: median(c.per_cpu_s for c in costs if c.name == name) for name in dict.fromkeys(c.name for c in costs)
    }
    for name, rate in rates.items():
        own = [cost for cost in costs if cost.name == name]
        ratio = f"{rate / rates['faust']:.1f}" if "faust" in rates else ""
        each = " ".join(f"{cost.per_cpu_s:,.0f}" for cost in own)
        wall, rss = median(cost.wall_s for cost in own), max(cost.rss_mb for cost in own)
        table.add_row(name, f"{own[0].events:,}", f"{rate:,.0f}", ratio, each, f"{wall:.2f}", f"{rss:,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
