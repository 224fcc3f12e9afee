"""How often the intervals of final values hold at other ages, by laws of delay: part of ``scripts/bench coverage``.

Labels come after a delay that has a law, in parts of the horizon; what would come later never does. At each age the interval of a number
is to hold what is realised at maturity.
"""

from collections.abc import Callable

import numpy as np
from rich.table import Table

from benchmarks.coverage import counts_of
from benchmarks.final_values import add_rows, calibrated, table_of, through_the_stage
from leadline.core.columnar.columns import Floats, logistic
from leadline.settings import ModelSettings

AGES = (0.0, 0.25, 0.5, 0.75)
"""Of the horizon, after the end of the window."""
_ROWS, _SEED, _HORIZON, _WINDOW = 150, 47, 1000, 100
Law = Callable[[np.random.Generator, Floats], Floats]
"""Delays of rows with these outcomes, in parts of the horizon."""


def _batches(chance: np.random.Generator, outcomes: Floats) -> Floats:
    """All of a window at once, mostly in the first half, every tenth window in the second."""
    when = np.where(chance.random((len(outcomes), 1)) < 0.9, 0.4, 0.7)
    return np.where(chance.random(outcomes.shape) < 0.95, when, 9.0)


LAWS: dict[str, Law] = {
    "exponential, mean 0.25": lambda chance, outcomes: chance.exponential(0.25, outcomes.shape),
    "lognormal, median 0.1, spread 1.5": lambda chance, outcomes: chance.lognormal(np.log(0.1), 1.5, outcomes.shape),
    "positives three times as late": lambda chance, outcomes: chance.exponential(0.15 + 0.3 * outcomes),
    "in batches": _batches,
}


def table(windows: int) -> Table:
    """Laws by age."""
    found = table_of("Final values at other ages, synthetic", "law, age in horizons")
    for number, (name, law) in enumerate(LAWS.items()):
        _add(found, name, law, np.random.default_rng([_SEED, number]), windows)
    return found


def _add(found: Table, name: str, law: Law, chance: np.random.Generator, windows: int) -> None:
    shift = chance.normal(0, 0.15, (windows, 1))
    logits = chance.normal(-0.5, 2, (windows, _ROWS)) + shift
    outcomes = (chance.uniform(size=logits.shape) < logistic(logits + shift)).astype(np.float64)
    happened = (chance.random(logits.shape) - 1) * _WINDOW / _HORIZON
    came = happened + law(chance, outcomes)
    scores = logistic(logits)
    at = {round(age * _HORIZON): counts_of(scores, outcomes, came <= age, "binary") for age in AGES}
    ever = counts_of(scores, outcomes, came <= happened + 1, "binary")
    settings = ModelSettings(name="m", horizon=_HORIZON, window=_WINDOW)
    rows = [(i * _WINDOW, {age: counts[i] for age, counts in at.items()}, ever[i]) for i in range(windows)]
    told = through_the_stage(rows, settings, calibrated())
    for place, age in enumerate(AGES):
        add_rows(found, f"{name}, {age:g}", [(each[place], each[-1]) for each in told])
