"""``scripts/bench gate``: what chance does to the gate, and what the gate sees. Answers are drawn with day effects; nothing is trained.

A/A: the challenger is as good as the champion, so each that passes as better is an error. A day's share of gains less losses varies by
``phi`` times what independent rows would make of it: 4.7 is a stream on which a day is good for one version or for the other.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table
from scipy.stats import binom

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.release.gate import comparisons, decided
from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.lead import Lead
from leadline.core.texts import Texts
from leadline.records import Check
from leadline.settings import ModelSettings

CHALLENGERS, BEST_OF = 1_000, 20
_ROUNDS, _SOME = 1_000, 200
"""Rounds of so many candidates, and challengers of a cell of which the power is asked; fewer where fewer challengers are."""
Pair = tuple[HeldOut, Answers, Answers]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Held-out rows that two versions answer: so many days of so many rows, and the share of rows on which they differ.

    ``lead``: by how much the challenger is more often right. ``segment``: rows a day of a segment in which it is ``worse`` by so much.
    """

    days: int
    rows: int
    phi: float = 1.0
    differ: float = 0.1
    lead: float = 0.0
    segment: int = 0
    worse: float = 0.0


def drawn(cell: Pairs, rng: np.random.Generator) -> Pair:
    """One challenger beside the champion."""
    effect = np.sqrt((cell.phi - 1) * cell.differ / cell.rows) * rng.standard_normal(cell.days)
    rest = _gains(cell.rows - cell.segment, cell.lead + effect, cell.differ, rng)
    few = _gains(cell.segment, effect - cell.worse, cell.differ, rng)
    gain = np.concatenate([rest, few], axis=1).ravel()
    few_rows = np.tile(np.arange(cell.rows) >= cell.rows - cell.segment, cell.days).astype(np.int64)
    segments = {"s": Texts(["rest", "few"], few_rows)} if cell.segment else {}
    truth, days = np.zeros(len(gain)), np.repeat(np.arange(cell.days), cell.rows)
    champion, challenger = (Answers(truth, (gain * sign > 0).astype(np.int64)) for sign in (1, -1))
    return HeldOut(truth, days, segments), champion, challenger


def _gains(rows: int, lead: Floats, differ: float, rng: np.random.Generator) -> Ints:
    """A row of each day: 1 where only the challenger is right, -1 where only the champion is, 0 else."""
    differs = np.maximum(differ, np.abs(lead))[:, None]
    chance = rng.uniform(size=(len(lead), rows))
    ups = chance < (differs + lead[:, None]) / 2
    return ups.astype(np.int64) - (~ups & (chance < differs))


def scored(metric: str, days: int, rows: int, rng: np.random.Generator) -> tuple[ModelSettings, Pair]:
    """The same for a metric of scores: on each day either version may have more noise."""
    truth = rng.integers(0, 2, days * rows).astype(np.float64)
    noise = np.repeat(np.exp(0.4 * rng.standard_normal((2, days))), rows, axis=1)
    raw = 2 * truth - 1 + noise * rng.standard_normal((2, days * rows))
    regression = metric in ("mae", "rmse")
    both = [Answers(each if regression else 1 / (1 + np.exp(-2 * each)), None) for each in raw]
    settings = ModelSettings.model_validate(
        {"name": "m", "task": "regression" if regression else "binary", "gate": {"metric": metric}}
    )
    return settings, (HeldOut(truth, np.repeat(np.arange(days), rows), {}), both[0], both[1])


def checks_of(pair: Pair, gate: dict[str, Any], candidates: int, rng: np.random.Generator) -> list[Check]:
    """The checks of a drawn challenger."""
    settings = ModelSettings.model_validate({"name": "m", "gate": gate})
    return list(comparisons(settings, *pair, candidates, rng))


def verdict_of(pair: Pair, gate: dict[str, Any], candidates: int, rng: np.random.Generator) -> str:
    """What becomes of a drawn challenger."""
    return decided(checks_of(pair, gate, candidates, rng))[0]


def tables(challengers: int) -> Iterator[Table]:
    """A/A, power, and segments."""
    rng = np.random.default_rng(20)
    yield _equal(challengers, rng)
    yield _other_metrics(challengers, rng)
    yield _boundary(challengers, rng)
    yield _power(min(challengers, _SOME), rng)
    yield _segments(min(challengers, _SOME), rng)


def _table(*columns: str) -> Table:
    table = Table()
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _percent(count: float, of: int) -> str:
    return f"{100 * count / of:.1f} %"


def _equal(challengers: int, rng: np.random.Generator) -> Table:
    """A/A at margin 0, and the best of some."""
    best = f"best of {BEST_OF}"
    table = _table(
        "phi", "days", "passed", "sign test by rows", f"{best}, alpha / {BEST_OF}", f"{best}, uncorrected", "its gain"
    )
    for phi in (1.0, 4.7):
        for days in (9, 14, 30):
            cell = Pairs(days, 500, phi)
            passed = plain = 0
            for _ in range(challengers):
                pair = drawn(cell, rng)
                passed += verdict_of(pair, {}, 1, rng) == "promote"
                plain += _by_rows(pair) <= 0.05
            many = Counter[str]()
            rounds = min(challengers, _ROUNDS)
            gains = [_best(cell, many, rng) for _ in range(rounds)]
            corrected, not_corrected = (_percent(many[name], rounds) for name in ("corrected", "not corrected"))
            shown = (_percent(passed, challengers), _percent(plain, challengers), corrected, not_corrected)
            table.add_row(f"{phi:g}", str(days), *shown, f"{100 * np.mean(gains):+.2f} points")
    return table


def _best(cell: Pairs, many: Counter[str], rng: np.random.Generator) -> float:
    """Whether any of twenty passes; the gain of the one that looks best."""
    pairs = [drawn(cell, rng) for _ in range(BEST_OF)]
    for name, candidates in (("corrected", BEST_OF), ("not corrected", 1)):
        many[name] += any(verdict_of(each, {}, candidates, rng) == "promote" for each in pairs)
    return max(_lead(each) for each in pairs)


def _lead(pair: Pair) -> float:
    """The lead as seen."""
    lead = Lead.of("accuracy", *pair, 0.0)
    return 0.0 if lead is None else lead.value


def _by_rows(pair: Pair) -> float:
    """The p value that takes rows as independent."""
    before, after = (each.labels for each in pair[1:])
    assert before is not None
    assert after is not None
    return float(binom.sf(int((after < before).sum()) - 1, int((after != before).sum()), 0.5))


def _other_metrics(challengers: int, rng: np.random.Generator) -> Table:
    table = _table("A/A by", "days", "passed")
    for metric in ("auc", "log_loss", "brier", "mae", "rmse"):
        for days in (9, 30):
            passed = 0
            for _ in range(challengers):
                settings, pair = scored(metric, days, 100, rng)
                passed += decided(list(comparisons(settings, *pair, 1, rng)))[0] == "promote"
            table.add_row(metric, str(days), _percent(passed, challengers))
    return table


def _boundary(challengers: int, rng: np.random.Generator) -> Table:
    """Challengers that are worse by exactly the margin, by the t test."""
    table = _table("worse by the margin", "phi", "days", "passed", f"at alpha / {BEST_OF}")
    for margin in (0.01, 0.05):
        for phi in (1.0, 4.7):
            for days in (5, 9, 14, 30):
                cell = Pairs(days, 500, phi, lead=-margin)
                shares = []
                for candidates in (1, BEST_OF):
                    verdicts = [
                        verdict_of(drawn(cell, rng), {"margin": margin}, candidates, rng) for _ in range(challengers)
                    ]
                    shares.append(_percent(verdicts.count("promote"), challengers))
                table.add_row(f"{100 * margin:g} points", f"{phi:g}", str(days), *shares)
    return table


def _power(challengers: int, rng: np.random.Generator) -> Table:
    leads = (0.0, 0.005, 0.01, 0.02, 0.05)
    table = _table("margin", "rows a day", "days", "phi", *(f"{100 * each:g} better" for each in leads))
    for margin in (0.0, 0.02):
        for rows, days in ((100, 14), (500, 14), (500, 30), (2000, 30)):
            for phi in (1.0, 4.7):
                shares = []
                for lead in leads:
                    cell = Pairs(days, rows, phi, lead=lead)
                    verdicts = [verdict_of(drawn(cell, rng), {"margin": margin}, 1, rng) for _ in range(challengers)]
                    shares.append(f"{100 * verdicts.count('promote') / challengers:.0f} %")
                table.add_row(f"{100 * margin:g}", str(rows), str(days), f"{phi:g}", *shares)
    return table


def _segments(challengers: int, rng: np.random.Generator) -> Table:
    """The challenger is better over all, and worse in one segment; 20 days, margins 0 and 5 points. Failed + no evidence, promoted."""
    worse = (0.0, 0.02, 0.05, 0.1, 0.2)
    table = _table("rows of it", "phi", *(f"{100 * each:g} worse" if each else "equal there" for each in worse))
    for rows in (5, 10, 25, 50, 250):
        for phi in (1.0, 2.0):
            cells = [Pairs(20, 1000 + rows, phi, lead=0.05, segment=rows, worse=each) for each in worse]
            table.add_row(f"{20 * rows:,}", f"{phi:g}", *(_outcomes(each, challengers, rng) for each in cells))
    return table


def _outcomes(cell: Pairs, challengers: int, rng: np.random.Generator) -> str:
    """How often it is stopped by the name of the segment: failed, or without evidence; and promoted."""
    seen = Counter[str]()
    for _ in range(challengers):
        checks = checks_of(drawn(cell, rng), {}, 1, rng)
        seen[next(each.outcome for each in checks if each.segment == "s=few")] += 1
        seen[decided(checks)[0]] += 1
    stopped = " + ".join(f"{100 * seen[each] / challengers:.0f}" for each in ("failed", "no-evidence"))
    return f"{stopped}, {100 * seen['promote'] / challengers:.0f} %"
