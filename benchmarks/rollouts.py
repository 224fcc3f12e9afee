"""``scripts/bench rollouts``: how often chance promotes a version or rolls it back, and how many pairs a true difference takes.

Pairs are drawn as the join would count them, and looked at each time that a window is due.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from rich.table import Table

from benchmarks import staged
from benchmarks.drawn_pairs import Cell, Day, drawn
from benchmarks.judged import Judged
from leadline.core.release.evidence import Columns, Pairs, Terms, look
from leadline.state.memory import MemoryStore

ROLLOUTS = 1_000
ALPHA = 0.05
_Z, _Z_ONE_SIDED, _Z_POWER = 1.96, 1.645, 0.842
_TEN = ((0.065, 0.035),) * 9 + ((0.03, 0.13),)
SAME: dict[str, Cell] = {
    "plain": Cell(),
    "days vary by 2 points": Cell(varying=0.02),
    "2,000 pairs a day, days vary by 2 points": Cell(2000, varying=0.02),
    "50 pairs a day, days vary by 2 points": Cell(50, varying=0.02),
    "labels late by outcome": Cell(late=True),
    "corrected later": Cell(corrected=0.1),
    "sampled at a tenth from the middle on": Cell(swing=0.02, thinned=0.1),
    "70 % missing, opposite errors": Cell(missing=(0.95, 0.45)),
    "worse by the margin of 1 point": Cell(better=0.045, worse=0.055, rollout={"margin": 0.01, "budget": 0.01}),
    "worse by the margin of 2 points": Cell(better=0.04, worse=0.06, rollout={"margin": 0.02, "budget": 0.02}),
}
"""Rollouts in which whatever is decided is an error."""


class Outcome(NamedTuple):
    """How a rollout ended: the verdict, after how many windows and pairs, and whether a repeated z test would have said "different"."""

    verdict: str
    windows: int
    pairs: int
    by_z: bool


Judge = Callable[[Iterable[Day], Cell, float], Iterator[Judged]]
"""What is said at the end of each day of a rollout, before which so much of the budget was spent."""


def fed(days: Iterable[Day], cell: Cell, spent: float = 0.0) -> Iterator[Judged]:
    """What the evidence says at the end of each day."""
    settings, pairs, columns = cell.settings, Pairs(MemoryStore(), b""), Columns()
    for day in days:
        for each in day.partials:
            columns.put(pairs.take(each, "v1", "v2", "r"))
        found = look(columns, Terms.of(settings, 0, day.now, spent))
        yield Judged(found.verdict, found.pairs)


JUDGES: dict[str, Judge] = {"evidence": fed, "stage": staged.fed}


def outcome(cell: Cell, rng: np.random.Generator, spent: float = 0.0, judge: Judge = fed) -> Outcome:
    """A rollout up to its verdict, or its end."""
    ztest = _RepeatedZ()
    last = None
    for number, (day, each) in enumerate(_both(cell, rng, spent, judge), 1):
        ztest.take(day)
        last = each
        if each.verdict in ("promote", "roll-back"):
            return Outcome(each.verdict, number, each.pairs, ztest.different)
    return Outcome(last.verdict if last else "no-labels", cell.windows, last.pairs if last else 0, ztest.different)


def _both(cell: Cell, rng: np.random.Generator, spent: float, judge: Judge = fed) -> Iterator[tuple[Day, Judged]]:
    days = list(drawn(cell, rng))
    return zip(days, judge(days, cell, spent), strict=True)


class _RepeatedZ:
    """A z test of the pairs with labels that are there by now, each day anew."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[int, int]] = {}
        self.different = False

    def take(self, day: Day) -> None:
        self._counts |= {p.window_start: (p.counts.second, p.counts.first) for p in day.partials if p.segment == "*"}
        won, lost = map(sum, zip(*self._counts.values(), strict=True))
        self.different |= abs(won - lost) > _Z * (won + lost) ** 0.5


def tables(rollouts: int, judge: str = "evidence") -> Iterator[Table]:
    """Errors; and of the evidence, pairs that it takes; segments, what turns bad late, and promotions in a row."""
    rng = np.random.default_rng(23)
    yield _errors(rollouts, rng, JUDGES[judge])
    if judge != "evidence":
        return
    some = max(1, rollouts // 5)
    yield _power(some, rng)
    yield _special(some, rng)


def _table(*columns: str) -> Table:
    table = Table()
    for name in columns:
        table.add_column(name, justify="left" if name == "rollout" else "right")
    return table


def _percent(count: float, of: int) -> str:
    return f"{100 * count / of:.1f} %"


def _errors(rollouts: int, rng: np.random.Generator, judge: Judge) -> Table:
    table = _table("rollout", "promoted", "rolled back", "repeated z test: different")
    for name, cell in SAME.items():
        ends = [outcome(cell, rng, judge=judge) for _ in range(rollouts)]
        counted = Counter(each.verdict for each in ends)
        by_z = sum(each.by_z for each in ends)
        shown = (counted["promote"], counted["roll-back"], by_z)
        table.add_row(name, *(_percent(each, rollouts) for each in shown))
    return table


def _power(rollouts: int, rng: np.random.Generator) -> Table:
    """Beside what a test asks for that is looked at once (80 % power, one-sided), on pairs and on a split of the traffic in halves."""
    table = _table(
        "rollout",
        "pairs a day",
        "days vary by",
        "decided",
        "median pairs",
        "in 80 %",
        "days",
        "fixed, paired",
        "fixed, split",
    )
    for points in (1, 3, 10):
        for sign, name in ((1, "better"), (-1, "worse")):
            for pairs, varying in ((100, 0), (500, 0), (500, 2)):
                cell = _different(points / 100, sign, pairs, varying / 100)
                took = _took(cell, sign, rollouts, rng)
                table.add_row(f"{name} by {points}", str(pairs), str(varying), *took)
    return table


def _different(by: float, sign: int, pairs: int, varying: float) -> Cell:
    less = 0.03 if by > 0.05 else 0.05 - by / 2
    better, worse = (less + by, less)[::sign]
    return Cell(pairs, better, worse, windows=min(400, 60_000 // pairs), varying=varying)


def _took(cell: Cell, sign: int, rollouts: int, rng: np.random.Generator) -> Iterator[str]:
    ends = [outcome(cell, rng) for _ in range(rollouts)]
    right = [each for each in ends if each.verdict == ("promote" if sign > 0 else "roll-back")]
    pairs = np.array([each.pairs for each in right] + [np.inf] * (rollouts - len(right)))
    yield _percent(len(right), rollouts)
    for part in (0.5, 0.8):
        at = float(np.quantile(pairs, part, method="higher"))
        yield f"{at:,.0f}" if np.isfinite(at) else "more"
    yield f"{np.median([each.windows for each in right]):.0f}" if right else "-"
    by, apart = abs(cell.better - cell.worse), (_Z_ONE_SIDED + _Z_POWER) ** 2
    yield f"{apart * (cell.better + cell.worse - by**2) / by**2:,.0f}"
    yield f"{apart * 4 * 0.9 * 0.1 / by**2:,.0f}"


def _special(rollouts: int, rng: np.random.Generator) -> Table:
    """Where an average, a memory or a margin misleads."""
    table = _table("rollout", "promoted", "rolled back", "median days to it")
    protected = [f"s={i}" for i in range(10)]
    turned = Cell(better=0.065, worse=0.035, windows=100, then=(60, 0.03, 0.08), rollout={"margin": 0.0})
    rows = {
        "nine segments better by 3, one worse by 10, protected": Cell(
            100, windows=60, segments=_TEN, rollout={"protected": protected}
        ),
        "the same, not protected": Cell(100, windows=60, segments=_TEN),
        "ten segments, all equal": Cell(100, windows=60, segments=((0.05, 0.05),) * 10),
    }
    for name, cell in rows.items():
        ends = [outcome(cell, rng) for _ in range(rollouts)]
        back = [each.windows for each in ends if each.verdict == "roll-back"]
        promoted = sum(each.verdict == "promote" for each in ends)
        shown = _percent(promoted, rollouts), _percent(len(back), rollouts), f"{np.median(back):.0f}" if back else "-"
        table.add_row(name, *shown)
    late = [late_harm(turned, rng) for _ in range(rollouts)]
    seen = [each for each in late if each is not None]
    table.add_row("3 better for 60 days, then 5 worse", "", _percent(len(seen), rollouts), f"{np.median(seen):.0f}")
    lost = [in_a_row(rng) for _ in range(max(1, rollouts // 4))]
    over = sum(each > 0.02 + 1e-9 for each in lost)
    most = f"most lost {100 * max(lost):.1f} points, over the budget of 2: {_percent(over, len(lost))}"
    table.add_row(f"ten promotions in a row, {len(lost)} times", most, "", "")
    return table


def late_harm(cell: Cell, rng: np.random.Generator) -> int | None:
    """Days from when a version turned bad to the verdict that rolls it back; None: not seen, or rolled back while it was good."""
    assert cell.then is not None
    for number, (_, each) in enumerate(_both(cell, rng, 0.0), 1):
        if each.verdict == "roll-back":
            return number - cell.then[0] if number > cell.then[0] else None
    return None


def in_a_row(rng: np.random.Generator) -> float:
    """What the champion has lost after ten challengers, each worse by half a point, one after the other."""
    spent = lost = 0.0
    rollout = {"margin": 0.01, "budget": 0.02}
    for _ in range(10):
        cell = Cell(3000, 0.0475, 0.0525, windows=40, rollout=rollout)
        left = max(0.0, min(0.01, 0.02 - spent))
        if outcome(cell, rng, spent).verdict == "promote":
            spent, lost = spent + left, lost + 0.005
    return lost
