"""``scripts/bench scoring|join|loop|latency``: Leadline and its peers in turns, one JSON line a run and one table at the end.

``--beside`` names the peers: kafka-streams, flink, bytewax, quix (all by scripts/install-peers) and faust; for the loop the first two.
``--record`` keeps the ratios, ``--check`` compares with those that were kept, and fails where Leadline has become dearer by more than a
quarter.

``scripts/bench rollout``: what a canary, a version in shadow, and one that sleeps there cost, beside the same without.
``scripts/bench scale``: what an event costs as partitions, workers, models, segments, versions, waiting predictions or features grow.
``scripts/bench restore``: how fast pending predictions come from the changelog onto an empty disk.
``scripts/bench store``: a worker with an empty disk and its models at an S3, and what a minute without the S3 does.
``scripts/bench window``: one window with two million requests in one partition, through its life.
``scripts/bench drift-null [FOLDER ...]``: how often windows without a change are called drifted, and those with one.
``scripts/bench coverage``: how often the intervals hold what they are of; no broker.
``scripts/bench gate``: how often equal versions pass, what is seen, and what a segment stops; no broker.
``scripts/bench rollouts``: how often chance ends a rollout, and how many pairs a true difference takes, by drawn pairs; no broker.
``scripts/bench challengers``: what bad challengers answer until they are out, through the stages in simulated time; no broker.
``scripts/bench watch``: false incidents, and how soon falls are seen, by drawn counts; no broker is needed.
``scripts/bench incidents FOLDER ...``: every incident of real streams, and whether it is the same however their log is read.
``scripts/bench kinds``: false incidents of every kind that has a budget, by drawn rows; no broker is needed.
``scripts/bench forms``: bytes and processor time of a record in each form of the topics that people read; no broker is needed.
``scripts/bench peer``: work for the runner of a comparison of several stream processors.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    challengers,
    coverage,
    delays,
    drift_null,
    families,
    final_values,
    forms,
    gate,
    incidents,
    join,
    kinds,
    latency,
    loop,
    peer,
    ratios,
    restore,
    rollout,
    rollouts,
    scale,
    scoring,
    store,
    watch,
    whole_loop,
    window,
)  # fmt: skip
from benchmarks.beside import PEERS, check_installed
from benchmarks.latency import Latency
from benchmarks.measure import BenchError, Cost
from leadline.core.statistics.distances import BY_NAME
from leadline.embedded import EmbeddedError, progress_bar, servers
from leadline.settings import load_settings

_BROKER_MB = 1024
_Alone = Callable[[str, int, Path, list[str]], Awaitable[Cost]]
_Beside = Callable[[str, str, int, Path], Awaitable[Cost]]
_OF_A_BACKLOG: Mapping[str, tuple[_Alone, _Beside]] = {
    "scoring": (scoring.leadline, scoring.peer),
    "join": (join.leadline, join.peer),
    "loop": (loop.leadline, loop.peer),
}
"""Jobs whose cost an event is asked for: Leadline's side, and its peers'."""
_HELP = {
    "scoring": "requests to predictions",
    "join": "predictions and outcomes to labels and counts",
    "loop": "requests and outcomes through all stages; peers score and join alone",
    "latency": f"scoring at {latency.RATE:,} requests a second",
}


def main() -> int:
    """Run what the command line asks for; 1 when an answer was wrong, or a check failed."""
    asked = _arguments()
    if asked.job == "peer":
        return peer.main()
    if asked.job == "forms":
        _show(forms.table(forms.measure(asked.runs)))
        return 0
    if asked.job == "drift-null":
        for table in drift_null.tables(asked.folders, asked.method, asked.runs):
            _show(table)
        return 0
    if asked.job == "coverage":
        _show(coverage.metrics_table(asked.windows))
        for table in final_values.tables(asked.windows, asked.folders):
            _show(table)
        _show(delays.table(asked.windows))
        return 0
    if asked.job == "gate":
        for table in gate.tables(asked.challengers):
            _show(table)
        return 0
    if asked.job == "families":
        for table in families.tables():
            _show(table)
        return 0
    if asked.job == "rollouts":
        for table in rollouts.tables(asked.rollouts, asked.judge):
            _show(table)
        return 0
    if asked.job == "challengers":
        for table in challengers.tables(asked.seeds):
            _show(table)
        return 0
    if asked.job == "watch":
        for table in watch.tables(asked.windows):
            _show(table)
        return 0
    if asked.job == "kinds":
        for table in [*kinds.tables(asked.windows), whole_loop.table(asked.windows)]:
            _show(table)
        return 0
    if asked.job == "incidents":
        for table in incidents.tables(asked.folders, asked.window, asked.ways):
            _show(table)
        return 0
    console = Console(stderr=True)
    try:
        check_installed(getattr(asked, "beside", []))
        with (
            progress_bar(console) as progress,
            servers(load_settings(), redis=False, progress=progress, heap_mb=_BROKER_MB) as running,
        ):
            return asyncio.run(_measured(asked, running.bootstrap))
    except (BenchError, EmbeddedError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 1


async def _measured(asked: argparse.Namespace, bootstrap: str) -> int:
    if asked.job == "restore":
        _show(restore.table(await restore.measure(bootstrap, asked.pending, asked.runs)))
        return 0
    if asked.job == "rollout":
        _show(await rollout.measure(bootstrap, asked.parts or list(rollout.PARTS), asked.events, asked.rounds))
        return 0
    if asked.job == "store":
        for table in store.tables(await store.measure(bootstrap, asked.runs, asked.away)):
            _show(table)
        return 0
    if asked.job == "window":
        _show(window.table(await window.measure(bootstrap, asked.requests), asked.requests))
        return 0
    if asked.job == "scale":
        _show(
            scale.table(await scale.measure(bootstrap, asked.things or list(scale.GROWING), asked.events, asked.most))
        )
        return 0
    if asked.job == "latency":
        await _round(asked, bootstrap, 0)  # does not count: a broker that has just started takes several times as long
    rounds = [await _round(asked, bootstrap, number) for number in range(asked.rounds)]
    if asked.job == "latency":
        _show(ratios.latency_table([[each for each in one if isinstance(each, Latency)] for one in rounds]))
        return 0
    costs = [[each for each in one if isinstance(each, Cost)] for one in rounds]
    _show(ratios.table(asked.job, costs))
    if asked.record:
        ratios.record(asked.job, costs)
    return int(asked.check and not ratios.check(asked.job, costs))


def _show(table: Table) -> None:
    Console(width=130).print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("peer", help="work for a runner of several stream processors; see benchmarks/peer.py")
    forming = jobs.add_parser("forms", help="a record in each form: bytes, and processor time to write and read it")
    forming.add_argument("--runs", type=int, default=7, help="of each the best counts")
    drifting = jobs.add_parser("drift-null", help="windows that are called drifted, with and without a change")
    drifting.add_argument(
        "folders", nargs="*", type=Path, help="streams; see benchmarks/drift_null.py. By default synthetic ones"
    )
    drifting.add_argument("--method", choices=list(BY_NAME), default="psi", help="statistic")
    drifting.add_argument("--runs", type=int, default=4, help="synthetic streams of each kind")
    covering = jobs.add_parser("coverage", help="how often the intervals hold what they are of")
    covering.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help="streams: predictions.csv.gz, outcomes.csv.gz, reference.csv.gz and meta.json of each",
    )
    covering.add_argument("--windows", type=int, default=coverage.WINDOWS, help="windows of a cell")
    watching = jobs.add_parser("watch", help="false incidents, and how soon falls are seen, by drawn counts")
    watching.add_argument("--windows", type=int, default=900, help="windows of a cell on which nothing is wrong")
    gating = jobs.add_parser("gate", help="what chance does to the gate, and what the gate sees, by drawn answers")
    gating.add_argument(
        "--challengers", type=int, default=gate.CHALLENGERS, help="of a cell on which nothing is better"
    )
    jobs.add_parser("families", help="what a model of each library costs")
    rolling = jobs.add_parser(
        "rollouts", help="what chance does to a rollout, and what a difference takes, by drawn pairs"
    )
    rolling.add_argument(
        "--rollouts", type=int, default=rollouts.ROLLOUTS, help="of a cell in which versions are equal"
    )
    rolling.add_argument(
        "--judge",
        choices=list(rollouts.JUDGES),
        default="evidence",
        help="who says the verdict; the stage is asked only where versions are equal",
    )
    challenging = jobs.add_parser("challengers", help="what bad challengers answer until they are out")
    challenging.add_argument(
        "--seeds", type=int, default=challengers.SEEDS, help="rollouts of each kind, and with equal versions"
    )
    budgeted = jobs.add_parser("kinds", help="false incidents of every kind that has a budget, by drawn rows")
    budgeted.add_argument("--windows", type=int, default=900, help="windows of a cell")
    happening = jobs.add_parser("incidents", help="every incident of streams, however their log is read")
    happening.add_argument("folders", nargs="+", type=Path, help="streams; see benchmarks/incidents.py")
    happening.add_argument("--ways", type=int, default=len(incidents.CUTS), help="in how many ways the log is read")
    happening.add_argument("--window", help="size of the windows, such as 1d; by default that of each stream")
    restoring = jobs.add_parser("restore", help="pending predictions from the changelog onto an empty disk")
    restoring.add_argument("--pending", type=int, default=1_000_000, help="predictions without an outcome")
    restoring.add_argument("--runs", type=int, default=3, help="how often they are restored")
    storing = jobs.add_parser(
        "store", help="the first answer from an empty disk with models at an S3, and without the S3"
    )
    storing.add_argument("--runs", type=int, default=5, help="workers that start")
    storing.add_argument("--away", type=float, default=60, help="seconds without the S3")
    living = jobs.add_parser("window", help="a window with very many requests in one partition, through its life")
    living.add_argument("--requests", type=int, default=2_000_000, help="requests of the window")
    rolling = jobs.add_parser("rollout", help="what a rollout costs, beside none")
    rolling.add_argument("parts", nargs="*", help=f"of {', '.join(rollout.PARTS)}; by default all")
    rolling.add_argument("--events", type=int, default=100_000, help="requests; of latency 1,000 are a second")
    rolling.add_argument("--rounds", type=int, default=5, help="how often both take turns")
    scaling = jobs.add_parser("scale", help="what an event costs as one thing grows")
    scaling.add_argument("things", nargs="*", help=f"of {', '.join(scale.GROWING)}; by default all")
    scaling.add_argument(
        "--events", type=int, default=200_000, help="requests, or predictions with about as many outcomes"
    )
    scaling.add_argument("--most", type=int, default=1_000_000, help="leave larger sizes out")
    for name, text in _HELP.items():
        _add_options(jobs.add_parser(name, help=text), loop.PEERS if name == "loop" else tuple(PEERS))
    jobs.choices["loop"].add_argument(
        "--form",
        choices=forms.FORMS,
        default="avro",
        help="of the topics that people read; confluent wants LEADLINE_SCHEMA_REGISTRY",
    )
    return parser.parse_args()


def _add_options(parser: argparse.ArgumentParser, peers: Sequence[str]) -> None:
    parser.add_argument(
        "--events", type=int, default=300_000, help="requests, or predictions with about as many outcomes"
    )
    parser.add_argument("--seconds", type=float, default=20, help="for latency: how long it is measured")
    parser.add_argument("--rounds", type=int, default=2, help="how often all take turns")
    parser.add_argument("--beside", nargs="*", choices=peers, default=[], help="peers that take turns with Leadline")
    parser.add_argument("--record", action="store_true", help=f"keep the ratios in {ratios.RECORDED.name}")
    parser.add_argument("--check", action="store_true", help="compare with the ratios that were kept")
    parser.add_argument(
        "--profile", type=Path, help="write Leadline's cProfile to this file; its figures are slower then"
    )


async def _round(asked: argparse.Namespace, bootstrap: str, number: int) -> list[Cost | Latency]:
    """Leadline and each peer once; the next round goes back, since the broker is not the same after each."""
    command = [sys.executable, *(["-m", "cProfile", "-o", str(asked.profile.resolve())] if asked.profile else [])]
    ran: list[Cost | Latency] = []
    for name in ("leadline", *asked.beside)[:: -1 if number % 2 else 1]:
        with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
            ran.append(await _one(asked, name, bootstrap, Path(folder), command))
        print(json.dumps({"job": asked.job, **asdict(ran[-1])}), flush=True)
    return ran


def _one(
    asked: argparse.Namespace, name: str, bootstrap: str, folder: Path, command: list[str]
) -> Awaitable[Cost | Latency]:
    if asked.job == "latency":
        if name == "leadline":
            return latency.leadline(bootstrap, asked.seconds, folder, command)
        return latency.peer(name, bootstrap, asked.seconds, folder)
    alone, beside = _OF_A_BACKLOG[asked.job]
    if name == "leadline":
        os.environ["LEADLINE_FORMAT"] = getattr(asked, "form", "avro")  # of the worker that it starts
        return alone(bootstrap, asked.events, folder, command)
    return beside(name, bootstrap, int(asked.events * PEERS[name].share), folder)


if __name__ == "__main__":
    sys.exit(main())
