"""``scripts/faults NAME``: a fault under backlog, again and again, and a verdict for each time."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from faults.kinds import KINDS
from faults.ledger import Verdict, Watch, judge, left
from faults.world import World
from leadline.logs import quiet_libraries

_EVENTS, _SECONDS = 150_000, 12.0
_HEAL_S, _DONE_S = 30.0, 180.0


def main() -> int:
    """Run what is asked for; 1 where a run was not exact or stood still."""
    quiet_libraries()
    asked = _arguments()
    done = _read(asked.results) if asked.resume else []
    asked.results.unlink(missing_ok=True) if not asked.resume else None
    names = [name for name in KINDS if name != "none"] if asked.fault == "all" else [asked.fault]
    deadline = time.monotonic() + 60 * asked.minutes if asked.minutes else None
    for name in ["mix"] if asked.fault == "soak" else names:
        have = {row["seed"] for row in done if row["fault"] == name}
        seed, times = asked.seed, 10**9 if deadline else asked.times
        for seed in range(asked.seed, asked.seed + times):
            if deadline and time.monotonic() > deadline:
                break
            if seed not in have:
                row = _once(name, seed, asked.events)
                done.append(row)
                _write(asked.results, row)
    Console().print(_table(done))
    return int(not all(row["exact"] and row["live"] for row in done))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    kinds = "; ".join(f"{name}: {fault.__doc__}" for name, fault in KINDS.items())
    parser.add_argument("fault", choices=[*KINDS, "all", "soak"], metavar="NAME", help=f"all, soak, or one of {kinds}")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--times", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--minutes", type=float, default=0, help="for soak: how long")
    parser.add_argument("--events", type=int, default=_EVENTS, help="predictions and outcomes of a run")
    parser.add_argument("--results", type=Path, default=Path("faults.jsonl"), help="one line a run")
    parser.add_argument("--resume", action="store_true", help="go on with the results file: its runs are not repeated")
    return parser.parse_args()


def _once(name: str, seed: int, events: int) -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as folder, World(Path(folder), seed) as world:
        verdict, live = asyncio.run(_run(world, name, events))
        errors = [
            line[:300]
            for log in Path(folder).rglob("worker-*.log")
            for line in log.read_text("utf-8", "replace").splitlines()
            if '"level": "critical"' in line or '"level": "error"' in line
        ]
    row = {"fault": name, "seed": seed, **verdict.row(), "live": live, "errors": errors[:5]}
    row["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(row), flush=True)
    return row


async def _run(world: World, name: str, events: int) -> tuple[Verdict, bool]:
    """Feed, strike, heal, wait until all is done, judge; and whether it went on in time after the fault."""
    striking = asyncio.create_task(_strike(world, name))
    feeding = asyncio.create_task(world.feed(events, _SECONDS, lambda: not striking.done()))
    watch, healed_at, went_on_s = Watch(world), 0.0, 0.0
    while not (feeding.done() and striking.done()):
        world.workers.tend()
        moved = await _looked(watch)
        if striking.done() and not healed_at:
            healed_at = time.monotonic()
        if healed_at and moved and not went_on_s:
            went_on_s = time.monotonic() - healed_at
        await asyncio.sleep(0.2)
    await asyncio.gather(striking, feeding)
    await world.tell_time()
    deadline = time.monotonic() + _DONE_S
    while time.monotonic() < deadline:
        world.workers.tend()
        await _looked(watch)
        with suppress(KafkaError):
            if not await left(world):
                break
        await asyncio.sleep(0.3)
    verdict = await judge(world)
    verdict.stand_still_s, verdict.healed_s = round(watch.longest_s, 1), round(went_on_s, 1)
    return verdict, time.monotonic() < deadline and went_on_s <= _HEAL_S


async def _strike(world: World, name: str) -> None:
    await asyncio.sleep(6 + world.rng.uniform(0, 2))  # workers are at work by then
    await KINDS[name](world)


async def _looked(watch: Watch) -> bool:
    with suppress(KafkaError, TimeoutError):
        return await asyncio.wait_for(watch.look(), 5)
    return False


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _write(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("fault", "times", "events", "lost", "doubled", "wrong windows", "wrong counts", "longest stand-still")
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        kinds[row["fault"]].append(row)
    for name, own in kinds.items():
        sums = [sum(row[key] for row in own) for key in ("events", "lost", "doubled", "wrong_windows")]
        wrong = sum(len(row["wrong_counts"]) for row in own)
        still = max(row["stand_still_s"] for row in own)
        table.add_row(name, str(len(own)), *(f"{each:,}" for each in (*sums, wrong)), f"{still:.1f} s")
    return table


if __name__ == "__main__":
    sys.exit(main())
