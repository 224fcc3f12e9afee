"""What a rollout costs: half of the requests answered by a challenger, a version in shadow through the whole loop, and how long the
champion's answer takes beside a shadow that sleeps. Each beside the same without, in turns; the ratios are medians over the rounds.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.table import Table

from benchmarks import latency, loop, scoring

CANARY, SHADOW = {"v2": 0.5}, {"v2": 0.0}
_COMMAND = [sys.executable]


async def _canary(bootstrap: str, events: int, folder: Path, on: bool) -> float:
    """Processor time a request."""
    cost = await scoring.leadline(bootstrap, events, folder, _COMMAND, shares=CANARY if on else {})
    return cost.cpu_s / cost.events


async def _shadow(bootstrap: str, events: int, folder: Path, on: bool) -> float:
    """Processor time a request, of all stages together."""
    cost = await loop.leadline(bootstrap, events, folder, _COMMAND, shares=SHADOW if on else {})
    return cost.cpu_s / cost.events


async def _sleeping(bootstrap: str, events: int, folder: Path, on: bool) -> float:
    """Milliseconds of the slowest hundredth of the answers."""
    return (await latency.leadline(bootstrap, events / latency.RATE, folder, _COMMAND, sleeping=on)).p99


_Measured = Callable[[str, int, Path, bool], Awaitable[float]]
PARTS: dict[str, tuple[_Measured, str]] = {
    "canary": (_canary, "CPU a request with half of them to a challenger, at most 1.25 times"),
    "shadow": (_shadow, "CPU of the loop with a version in shadow, at most 2.2 times"),
    "sleeping": (_sleeping, "p99 of the champion's answer beside a shadow that sleeps 50 ms, at most 1.1 times"),
}


async def measure(bootstrap: str, parts: list[str], events: int, rounds: int) -> Table:
    """Each part in so many paired rounds, of which the first is not counted where it is of latency."""
    table = Table("part", "without", "with", "ratio, median", "of rounds")
    for part in parts:
        run, text = PARTS[part]
        pairs = [await _pair(run, bootstrap, events, number) for number in range(rounds + (part == "sleeping"))]
        pairs = pairs[-rounds:]
        ratios = [on / off for off, on in pairs]
        row = {"job": "rollout", "part": part, "pairs": pairs, "ratio": statistics.median(ratios)}
        print(json.dumps(row), flush=True)
        off, on = (statistics.median(each[at] for each in pairs) for at in (0, 1))
        table.add_row(text, f"{off:.3g}", f"{on:.3g}", f"{statistics.median(ratios):.2f}", f"{rounds}")
    return table


async def _pair(run: _Measured, bootstrap: str, events: int, number: int) -> tuple[float, float]:
    """Without and with, in turns the one and the other first."""
    found = {}
    for on in (False, True) if number % 2 else (True, False):
        with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
            found[on] = await run(bootstrap, events, Path(folder), on)
    return found[False], found[True]
