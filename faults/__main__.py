"""``scripts/faults NAME``: a fault under backlog, again and again, and a verdict for each time."""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from faults import peers
from faults.clocks import faketime
from faults.kinds import KINDS, TRAINERS
from faults.run import EVENTS, FEW_EVENTS, SECONDS, SOAK_EVENTS, once
from leadline.logs import quiet_libraries
from leadline.settings import SettingsError


def main() -> int:
    """Run what is asked for; 1 where a run was not exact or stood still."""
    quiet_libraries()
    asked = _arguments()
    if not asked.resume:
        asked.results.unlink(missing_ok=True)
    try:
        return _peer(asked) if asked.peer else _leadline(asked)
    except SettingsError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False)
        return 1


def _leadline(asked: argparse.Namespace) -> int:
    done = _read(asked.results)
    for name in _names(asked.fault):
        have = {row["seed"] for row in done if row["fault"] == name}
        for seed in range(asked.seed, asked.seed + asked.times):
            if seed not in have:
                row = _once(asked, name, seed)
                print(json.dumps(row), flush=True)
                done.append(row)
                _write(asked.results, row)
    Console().print(_table(done))
    return int(not all(row["exact"] and row["live"] for row in done))


def _names(fault: str) -> list[str]:
    if fault != "all":
        return [fault]
    without = {"none"} if faketime() else {"none", "clock-skew"}
    return [name for name in KINDS if name not in without]


def _once(asked: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    if name == "soak":
        return once("mix", seed, asked.events or SOAK_EVENTS, asked.minutes)
    return once(name, seed, asked.events or (FEW_EVENTS if name in TRAINERS else EVENTS))


def _peer(asked: argparse.Namespace) -> int:
    """The same for a peer; whatever comes out is no failure of ours."""
    for seed in range(asked.seed, asked.seed + asked.times):
        row = peers.once(asked.peer, asked.fault, seed, asked.events or EVENTS)
        print(json.dumps(row), flush=True)
        _write(asked.results, row)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    kinds = "; ".join(f"{name}: {fault.__doc__}" for name, fault in KINDS.items())
    parser.add_argument("fault", choices=[*KINDS, "all", "soak"], metavar="NAME", help=f"all, soak, or one of {kinds}")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--times", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--minutes", type=float, default=60, help="for soak: how long the same processes are struck")
    parser.add_argument(
        "--events",
        type=int,
        help=f"requests and outcomes in {SECONDS:.0f} s; {EVENTS}, for soak {SOAK_EVENTS}, for trainers {FEW_EVENTS}",
    )
    parser.add_argument("--results", type=Path, default=Path("faults.jsonl"), help="one line a run")
    parser.add_argument(
        "--peer", choices=peers.PEERS, help=f"strike this instead of Leadline, with {', '.join(peers.STRIKES)}"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the results file: its runs are not repeated")
    return parser.parse_args()


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _write(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("fault", "times", "events", "lost", "doubled", "wrong scores, windows, counts", "longest stand-still")
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        kinds[row["fault"]].append(row)
    for name, own in kinds.items():
        sums = [sum(row[key] for row in own) for key in ("events", "lost", "doubled")]
        wrong = sum(row["wrong_scores"] + row["wrong_windows"] + len(row["wrong_counts"]) for row in own)
        still = max(row["stand_still_s"] for row in own)
        table.add_row(name, str(len(own)), *(f"{each:,}" for each in (*sums, wrong)), f"{still:.1f} s")
    return table


if __name__ == "__main__":
    sys.exit(main())
