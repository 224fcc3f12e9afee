"""False alarms and falls beside others, on the same drawn rows: ``scripts/oracles beside``.

Leadline's rows are counted as the join counts them and go through the performance and the alerting stage, with the settings as they are by
default: each confirmed incident counts once. Of the others a run of windows in a row that are called bad counts once.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from benchmarks import kinds
from benchmarks.coverage import counts_of
from benchmarks.watch import DAY
from rich.console import Console
from rich.table import Table

from leadline.core.columnar.columns import Floats
from leadline.core.models import Signature
from leadline.core.reference import ReferenceProfile
from leadline.core.windows.counts import WindowCounts
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.settings import ModelSettings
from oracles.draws import Cell, Drawn, drawn, firing

CONFIRMED = ("performance", "concept-drift", "calibration")
CHANCE = 1 / 30
"""How often the one fires that knows nothing: as often as all is allowed to be false."""
TESTED = 30
"""Windows that Evidently looks at: its reports take long."""
FALSE = {
    "n 50": Cell(50), "n 200": Cell(200), "n 1,000": Cell(1000), "n 1,000, 70% missing": Cell(1000, missing=0.7),
    "n 1,000, varies by 2 points": Cell(1000, varying=0.02), "n 50, reference 500": Cell(50, reference=500),
}  # fmt: skip
FALLS = (0.02, 0.05, 0.1, 0.2)
LABELS = {"n 50": (50, 0.0), "n 200": (200, 0.0), "n 1,000": (1000, 0.0)} | {
    f"n 1,000, {m:.0%} missing": (1000, m) for m in (0.5, 0.7, 0.9)
}
GOOD, AFTER, REPEATS = 10, 40, 5
Found = Mapping[str, Sequence[int]]


def ours(cell: Cell, seed: int) -> dict[str, list[int]]:
    """The windows in which a confirmed incident opens."""
    reference, live = drawn(cell, seed)
    early = late = _counts(live)
    windows = zip(range(cell.windows), early, late, strict=True)
    settings = kinds.Cell(cell.size).settings
    told = kinds.through(settings, _profile(settings, reference), windows, early=False)
    opened = {alert.window_start // DAY for alert in told if alert.state == "opened" and alert.kind in CONFIRMED}
    return {"Leadline": sorted(opened)}


def _counts(rows: Drawn) -> list[WindowCounts]:
    return counts_of(rows.score, rows.truth.astype(np.float64), rows.known, "binary")


def _profile(settings: ModelSettings, rows: Drawn) -> ReferenceProfile:
    windows, size = rows.score.shape
    times = np.repeat((np.arange(windows) - windows) * DAY, size)
    scores: Floats = rows.score.ravel()
    known = ScoredRows(scores, rows.truth.ravel().astype(np.float64), rows.said.ravel(), times)
    return reference_profile(settings, Signature("s", [], [], {}), np.zeros((len(scores), 0)), known)


def theirs(asked: Sequence[tuple[Cell, int, int]]) -> list[Found]:
    """Answers of the others: cells with their seed, and how many windows Evidently is asked about."""
    command = [".venv-oracles/bin/python", "-m", "oracles.peers"]
    said = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    found: list[Found] = json.loads(said.stdout.splitlines()[-1])
    return found


def answers(asked: Sequence[tuple[Cell, int, int]]) -> Iterator[Found]:
    for (cell, seed, _), found in zip(asked, theirs(asked), strict=True):
        yield {**ours(cell, seed), **found, "at random": firing(cell, seed, CHANCE)}


def runs(windows: Sequence[int]) -> int:
    """How many runs of windows in a row there are.

    >>> runs([1, 2, 3, 7])
    2
    """
    return sum(window - 1 not in windows for window in windows)


def false_table() -> Table:
    asked = [(cell, 1, TESTED) for cell in FALSE.values()]
    table = None
    for name, (cell, _, tested), found in zip(FALSE, asked, answers(asked), strict=True):
        table = table or Table("nothing is wrong", *found, title=f"False alarms in {cell.windows} windows")
        cells = [f"{runs(each)}{f' of {tested}' if who == 'Evidently' else ''}" for who, each in found.items()]
        table.add_row(name, *cells)
    assert table is not None
    return table


def delays_table(fall: float) -> Table:
    cells = [
        (f"{fall:.0%}, {name}", Cell(size, missing, fall=fall, windows=GOOD + AFTER, good=GOOD))
        for name, (size, missing) in LABELS.items()
    ]
    asked = [(cell, seed, 0) for _, cell in cells for seed in range(REPEATS)]
    found = list(answers(asked))
    names = list(found[0])
    table = Table("fall", *names, title="Median windows to the first alarm after the fall (false ones before it)")
    for i, (name, _) in enumerate(cells):
        own = found[i * REPEATS : (i + 1) * REPEATS]
        table.add_row(name, *[_delay([each[who] for each in own]) for who in names])
    return table


def _delay(found: Sequence[Sequence[int]]) -> str:
    delays = [next((window - GOOD + 1.0 for window in each if window >= GOOD), np.inf) for each in found]
    before = sum(runs([window for window in each if window < GOOD]) for each in found)
    middle = float(np.median(delays))
    said = f"not in {AFTER}" if np.isinf(middle) else f"{middle:.0f}"
    return f"{said} ({before})" if before else said


if __name__ == "__main__":
    Console(width=160).print(false_table())
    for lower in FALLS:
        Console(width=160).print(delays_table(lower))
