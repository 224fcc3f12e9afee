"""``scripts/bench kinds``: false incidents of every kind that has a budget, through the stages that make them.

*Outcomes*: rows are drawn, counted as the join counts them, and go through the performance and the alerting stage, with the settings as
they are by default. *Features*: windows whose features move as those of the reference go through the drift and the alerting stage.
Nothing is wrong in any of them, so each incident is false; at most T / c of a kind are expected, with the c that its share of the budget
asks for.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rich.table import Table
from scipy.stats import poisson

from benchmarks import drift_null
from benchmarks.coverage import counts_of
from benchmarks.drift_null import synthetic, with_windows
from benchmarks.watch import DAY, Models, join_counts
from leadline.core.columnar.columns import Bools, Floats, logistic
from leadline.core.models import Signature
from leadline.core.performance.performance import Performance
from leadline.core.processor import Batch, Processor
from leadline.core.reference import ReferenceProfile
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table as Rollouts
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.drift import Drift
from leadline.core.windows.counts import WindowCounts
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.records import Alert, FeatureCounts, MatureCounts, Record, WindowPartial, WindowProfile
from leadline.settings import ModelSettings
from leadline.settings.model import WEIGHTS
from leadline.state.memory import MemoryStore

C = 30
"""Windows of a day for each false incident that is allowed, of all kinds together; early ones have as many of their own."""
KINDS = {"performance": ("performance",), "concept-drift": ("concept-drift",), "calibration": ("calibration",),
         "data-drift": ("data-drift", "prediction-drift")}  # fmt: skip
EARLY, UNBUDGETED = "estimated-performance", ("labels-biased", "pipeline")
AT_MOST_ROWS = 400_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of stream, in logits: how much outcomes (``outcomes``) and scores (``scores``) move from day to day, how far scores lie
    from outcomes always (``off``), how both swing within a week (``cycle``), which is judged as one then. ``early``: windows are told of at
    their end too, with half of their labels.
    """

    size: int
    missing: float = 0.0
    by_outcome: bool = False
    reference: int = 30_000
    outcomes: float = 0.0
    scores: float = 0.0
    off: float = 0.0
    cycle: float = 0.0
    early: bool = False

    @property
    def settings(self) -> ModelSettings:
        alerts = {"false_alarms": "1 per 210d", "cycle": 7 * DAY} if self.cycle else {}
        return ModelSettings.model_validate({"name": "m", "window": DAY, "horizon": DAY, "grace": 0, "alerts": alerts})


class _Drawn(NamedTuple):
    """Windows, a row each."""

    scores: Floats
    outcomes: Floats
    known: Bools


def _draw(cell: Cell, rng: np.random.Generator, days: np.ndarray, size: int, missing: float) -> _Drawn:
    shape = len(days), size
    swing = cell.cycle * np.sin(2 * np.pi * days / 7)[:, None]
    logits = -0.5 + 2 * rng.standard_normal(shape) + cell.scores * rng.standard_normal((len(days), 1)) + swing
    true = logits + cell.off + cell.outcomes * rng.standard_normal((len(days), 1)) + swing
    outcomes = (rng.random(shape) < logistic(true)).astype(np.float64)
    kept = np.where(outcomes == 1, 1 - missing, 1.0) if cell.by_outcome else 1 - missing
    return _Drawn(logistic(logits), outcomes, rng.random(shape) < kept)


def _reference(cell: Cell, rng: np.random.Generator) -> ReferenceProfile:
    """As `leadline model add` makes it, of rows with their outcomes: in windows of the same size, 14 at the least."""
    days = -(-max(14, min(60, cell.reference // cell.size)) // 7) * 7
    size = max(1, cell.reference // days)
    drawn = _draw(cell, rng, np.arange(days) - days, size, cell.missing if cell.by_outcome else 0.0)
    times = np.repeat((np.arange(days) - days) * DAY, size)
    kept = drawn.known.ravel()
    scores = drawn.scores.ravel()[kept]
    rows = ScoredRows(scores, drawn.outcomes.ravel()[kept], scores >= 0.5, times[kept])
    return reference_profile(cell.settings, Signature("s", [], [], {}), np.zeros((len(scores), 0)), rows)


def run(cell: Cell, seed: int, windows: int) -> list[Alert]:
    """The alerts of one replicate."""
    rng = np.random.default_rng([seed, 77])
    profile = _reference(cell, rng)
    return through(cell.settings, profile, _windows(cell, rng, windows), cell.early)


def through(
    settings: ModelSettings,
    profile: ReferenceProfile,
    windows: Iterable[tuple[int, WindowCounts, WindowCounts]],
    early: bool,
) -> list[Alert]:
    """What is told of windows: their day, the counts at their end (which are left out, unless ``early``), and at maturity."""
    models, found = Models(settings, profile), list[Alert]()
    first, then = Performance(MemoryStore(), models), Alerting(MemoryStore(), models, Deployments(Rollouts()))
    for day, at_end, late in windows:
        for state, counts in ((("provisional", at_end),) if early else ()) + (("mature", late),):
            as_of = (day + 2) * DAY + 1 if state == "mature" else (day + 1) * DAY
            told = _out(first, "window-partials", [_partial(day, as_of, state, counts)], as_of)
            due = [join_counts(as_of, day + 1)] if state == "mature" else []
            found += [alert for alert in _out(then, "metrics", [*told, *due], as_of) if isinstance(alert, Alert)]
    return found


def _windows(cell: Cell, rng: np.random.Generator, windows: int) -> Iterator[tuple[int, WindowCounts, WindowCounts]]:
    most = max(1, AT_MOST_ROWS // cell.size)
    for start in range(0, windows, most):
        days = np.arange(start, min(windows, start + most))
        drawn = _draw(cell, rng, days, cell.size, cell.missing)
        half = drawn.known & (rng.random(drawn.known.shape) < 0.5)
        early, late = (counts_of(drawn.scores, drawn.outcomes, known, "binary") for known in (half, drawn.known))
        yield from zip(days.tolist(), early, late, strict=True)


def _partial(day: int, as_of: int, state: str, counts: WindowCounts) -> WindowPartial:
    fields = {**counts.fields(), "mature": _mature(counts) if state == "mature" else None}
    revision = 1 + (state == "mature")
    return WindowPartial("m", "v1", "*", day * DAY, (day + 1) * DAY, 0, revision, as_of, state, "binary", **fields)


def _mature(counts: WindowCounts) -> MatureCounts:
    predictions, matched, *_ = counts.tallies
    tp, fp, fn, tn = counts.confusion
    return MatureCounts(predictions, matched, int(counts.scores.counts[1].sum()), tp, fp, fn, tn, 0, 0)


def _out(stage: Processor, topic: str, records: Sequence[Record], at: int) -> list[Record]:
    count = len(records)
    batch = Batch(topic, 0, np.arange(count), np.full(count, at), [b""] * count, count - 1, at, records=list(records))
    return [record for output in stage.on_batch(batch).outputs for record in output.records]


# -- features ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Features:
    """A stream whose features' means move from window to window; ``own``: windows of its reference; ``scale``: live rows over its rows."""

    rows: int
    own: int = 31
    features: int = 20
    correlation: float = 0.0
    shift: float = 0.3
    scale: float = 1.0


def drifting(cell: Features, seed: int, windows: int) -> list[Alert]:
    """The alerts of windows that follow their reference."""
    rng = np.random.default_rng([seed, 78])
    rows = synthetic(cell.correlation, cell.own + windows, cell.rows, cell.features, rng, cell.shift)
    profile = with_windows(rows.where(rows.times < cell.own), 1)
    models = Models(Cell(1).settings, profile)
    first, then = Drift(MemoryStore(), models), Alerting(MemoryStore(), models, Deployments(Rollouts()))
    found: list[Alert] = []
    for day, each in drift_null.windows(rows.where(rows.times >= cell.own), 1):
        own = each.where(rng.random(len(each.times)) < cell.scale)
        counted = [FeatureCounts(name, n.tolist()) for name, n in drift_null.counts(own, profile).items()]
        end = (day + 1) * DAY
        record = WindowProfile("m", "v1", day * DAY, end, 0, 1, end + 1, True, len(own.times), counted)
        told = _out(first, "window-profiles", [record], end + 1)
        found += [alert for alert in _out(then, "drift", told, end + 1) if isinstance(alert, Alert)]
    return found


# -- tables -----------------------------------------------------------------------------------------------------------

OUTCOMES = {
    **{f"n {n:,}, early too": Cell(n, early=True) for n in (50, 1000)},
    **{f"n {n:,}, labels missing {m:.0%}": Cell(n, missing=m) for n, m in ((200, 0.5), (1000, 0.7), (1000, 0.9))},
    **{f"reference {r:,}, n {n:,}": Cell(n, reference=r) for r, n in ((50, 50), (500, 1000), (5000, 1000))},
    **{f"outcomes move (0.2), n {n:,}": Cell(n, outcomes=0.2) for n in (200, 1000, 5000)},
    "scores move (0.5), n 1,000, early too": Cell(1000, scores=0.5, early=True),
    "both move, n 1,000, early too": Cell(1000, outcomes=0.2, scores=0.5, early=True),
    "scores always 0.5 too low, n 1,000": Cell(1000, off=0.5),
    "positives missing 50%, reference alike, n 500": Cell(500, missing=0.5, by_outcome=True),
    "weekly cycle (0.3), n 200": Cell(200, cycle=0.3),
}
FEATURES = {
    **{f"20 features, own windows {k}, n {n}": Features(n, own=k) for k, n in ((15, 100), (31, 300))},
    "1 feature, own windows 31, n 200": Features(200, features=1),
    "20 features that do not move, own windows 31, n 300": Features(300, shift=0.0),
    "20 features, correlation 0.5, own windows 31, n 300": Features(300, correlation=0.5),
    "20 features, windows a third of their size, n 500": Features(500, scale=0.33),
}


def false_alarms(windows: int, seed: int = 1) -> Iterator[tuple[str, int, Counter[str]]]:
    """Of each cell: its name, how many windows (or cycles), and the incidents by kind."""
    for name, cell in OUTCOMES.items():
        length = windows // 3 * (7 if cell.cycle else 1)
        yield name, windows // 3 * 3, _opened([a for i in range(3) for a in run(cell, seed + i, length)])
    for name, features in FEATURES.items():
        yield name, windows // 3 * 3, _opened([a for i in range(3) for a in drifting(features, seed + i, windows // 3)])


def _opened(found: Sequence[Alert]) -> Counter[str]:
    return Counter(alert.kind for alert in found if alert.state == "opened")


def tables(windows: int) -> list[Table]:
    """False incidents by cell and kind."""
    allowed = {**{kind: windows / C * WEIGHTS[kind] for kind in KINDS}, EARLY: windows / C}  # type: ignore[index]
    bounds = {kind: int(poisson.ppf(0.999, most)) for kind, most in allowed.items()}
    heads = [f"{kind}: {most:.0f}, bound {bounds[kind]}" for kind, most in allowed.items()]
    table = Table("nothing is wrong", *heads, "other", title=f"false incidents in {windows // 3 * 3} windows, c = {C}")
    for name, _, found in false_alarms(windows):
        counts = {kind: sum(found[each] for each in KINDS.get(kind, (kind,))) for kind in allowed}
        cells = [f"{count}{' BROKEN' if count > bounds[kind] else ''}" for kind, count in counts.items()]
        other = ", ".join(f"{kind} {found[kind]}" for kind in UNBUDGETED if found[kind])
        table.add_row(name, *cells, other)
    return [table]
