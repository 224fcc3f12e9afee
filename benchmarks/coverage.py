"""How often the intervals hold what they are of: ``scripts/bench coverage``.

*Metrics*: the metrics of a window against those of the world that its rows are drawn from, at 20 to 1,000 rows, with heavy tails and rare
errors. A cell has the share of published intervals that hold the truth, and the share of windows without an interval.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from leadline.core.columnar.columns import Bools, Floats, Ints, logistic
from leadline.core.performance.metrics import measure
from leadline.core.windows.aggregates.confusion import Confusion
from leadline.core.windows.aggregates.outcomes_by_score import OutcomesByScore
from leadline.core.windows.aggregates.predictions_by_score import PredictionsByScore
from leadline.core.windows.aggregates.sums import UNIT, Sums
from leadline.core.windows.aggregates.tallies import Tallies
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric

SEED = 41
WINDOWS = 2000
SIZES = (20, 50, 200, 1000)
_MANY = 1_000_000
Draw = Callable[[np.random.Generator, tuple[int, ...]], tuple[Floats, Floats]]
"""Scores and outcomes of this shape."""


def _binary(spread: float, centre: float = 0.0) -> Draw:
    """Scores that are calibrated; the wider their logits, the fewer predictions are wrong."""

    def draw(chance: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        scores = logistic(chance.normal(centre, spread, shape))
        return scores, (chance.uniform(size=shape) < scores).astype(np.float64)

    return draw


def _equal(score: float, share: float) -> Draw:
    """One score for all, and a share of positives that is another."""

    def draw(chance: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        return np.full(shape, score), (chance.uniform(size=shape) < share).astype(np.float64)

    return draw


def _regression(error: Callable[[np.random.Generator, tuple[int, ...]], Floats]) -> Draw:
    return lambda chance, shape: (error(chance, shape), np.zeros(shape))


def _contaminated(chance: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    errors: Floats = chance.normal(size=shape) * np.where(chance.uniform(size=shape) < 0.05, 10, 1)
    return errors


WORLDS: dict[str, tuple[str, Draw]] = {
    "accuracy 0.7": ("binary", _binary(1.5)),
    "accuracy 0.9": ("binary", _binary(6)),
    "accuracy 0.99": ("binary", _binary(3, -7)),
    "equal scores, 0.99 right": ("binary", _equal(0.99, 0.99)),
    "overconfident, 0.95 right": ("binary", _equal(0.999, 0.95)),
    "normal errors": ("regression", _regression(lambda chance, shape: chance.normal(size=shape))),
    "Laplace errors": ("regression", _regression(lambda chance, shape: chance.laplace(size=shape))),
    "t errors, 3 degrees": ("regression", _regression(lambda chance, shape: chance.standard_t(3, shape))),
    "lognormal errors": ("regression", _regression(lambda chance, shape: chance.lognormal(0, 1, shape) - np.exp(0.5))),
    "1 in 20 ten times larger": ("regression", _regression(_contaminated)),
}


def counts_of(scores: Floats, outcomes: Floats, known: Bools, task: str, threshold: float = 0.5) -> list[WindowCounts]:
    """The counts of windows, one a row; ``known`` says which predictions have their outcome."""
    windows, rows = scores.shape
    window = np.repeat(np.arange(windows), rows)
    label, positive = (scores >= threshold).ravel().astype(np.int64), outcomes.ravel().astype(np.int64)
    binary = task == "binary"
    kind = np.where(known.ravel(), positive, -1) if binary else np.full(windows * rows, -1)
    score, ones = np.clip(scores.ravel(), 0, 1), np.ones(windows * rows, np.int64)
    by_outcome = OutcomesByScore.count(windows, window, score, kind, ones)
    by_label = PredictionsByScore.count(windows, window, score, label if binary else kind, ones)
    sums = _sums(scores, outcomes, known, binary)
    cells = _cells(label.reshape(scores.shape), outcomes, known) if binary else np.zeros((4, windows), np.int64)
    tallies = np.zeros((len(Tallies.names), windows), np.int64)
    tallies[0], tallies[1] = rows, known.sum(axis=1)
    parts = zip(Tallies.columns(tallies), Confusion.columns(cells), sums, by_outcome, by_label, strict=True)
    return [WindowCounts(*each) for each in parts]


def _cells(label: Ints, outcomes: Floats, known: Bools) -> Ints:
    said, true = label == 1, outcomes == 1
    cells = ((said & true), (said & ~true), (~said & true), (~said & ~true))
    found: Ints = np.stack([(each & known).sum(axis=1) for each in cells])
    return found


def _sums(scores: Floats, outcomes: Floats, known: Bools, binary: bool) -> list[Sums]:
    error, safe = scores - outcomes, np.clip(scores, 1e-15, 1 - 1e-15)
    none = np.zeros(scores.shape)
    logloss = -np.log(np.where(outcomes == 1, safe, 1 - safe)) if binary else none
    regression = none if binary else error
    columns = [scores, outcomes, logloss, error**2 if binary else none, regression, np.abs(regression), regression**2]
    totals = [(column * known).sum(axis=1).tolist() for column in columns]
    return [Sums([round(value * UNIT) for value in row]) for row in zip(*totals, strict=True)]


class Held(NamedTuple):
    """Of windows with a value: how many intervals were published, and how many of them hold the truth."""

    windows: int = 0
    published: int = 0
    hits: int = 0

    def plus(self, metric: Metric | None, truth: float) -> "Held":
        if metric is None:
            return self
        if metric.low is None or metric.high is None:
            return self._replace(windows=self.windows + 1)
        return Held(self.windows + 1, self.published + 1, self.hits + (metric.low <= truth <= metric.high))

    @property
    def text(self) -> str:
        """Coverage in percent, and the share of windows without an interval where there are any."""
        if not self.published:
            return "null" if self.windows else "-"
        nulls = 1 - self.published / self.windows
        return f"{100 * self.hits / self.published:.1f}" + (f" (null {100 * nulls:.0f} %)" if nulls else "")


def metrics_table(windows: int) -> Table:
    """All metrics' intervals, by world and size of the window."""
    table = Table(
        "world", "metric", *[f"n {size:,}" for size in SIZES], title="Intervals of a window's metrics, % that hold"
    )
    for name, (task, draw) in WORLDS.items():
        found = {size: of_world(task, draw, size, windows) for size in SIZES}
        for metric in sorted({each for held in found.values() for each in held}):
            table.add_row(name, metric, *[found[size][metric].text for size in SIZES])
    return table


def of_world(task: str, draw: Draw, size: int, windows: int) -> dict[str, Held]:
    """By metric: what the intervals of so many windows of a world hold."""
    chance = np.random.default_rng([SEED, size])
    [whole] = counts_of(*_rows(draw, chance, (1, _MANY)), task)
    truth = {name: metric.value for name, metric in _metrics(whole, task)}
    held = dict.fromkeys(truth, Held())
    for counts in counts_of(*_rows(draw, chance, (windows, size)), task):
        for name, metric in _metrics(counts, task):
            held[name] = held[name].plus(metric, truth[name])
    return held


def _rows(draw: Draw, chance: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    scores, outcomes = draw(chance, shape)
    return scores, outcomes, np.ones(shape, bool)


def _metrics(counts: WindowCounts, task: str) -> Iterator[tuple[str, Any]]:
    unsided = ("mean_score", "outcome_rate") if task == "regression" else ()
    for name, metric in measure(counts, task).items():
        if isinstance(metric, Metric) and name not in unsided:
            yield name, metric
