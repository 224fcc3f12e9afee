"""``scripts/bench watch``: how many false incidents there are, and how soon falls are seen, by drawn counts through the alerting stage.

False alarms: the drawn windows are as good as the reference less the margin allows, so every incident is false; at most T / c are expected.
Detection: the share falls after some good windows; how many windows later does the incident open?
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import poisson

from leadline.core.models import Signature, Version
from leadline.core.processor import Batch
from leadline.core.reference import ReferenceProfile, SegmentReference
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table as Rollouts
from leadline.core.watch.alerting import Alerting
from leadline.records import Alert, JoinCounts, MatureCounts, Metric, Record, WindowMetrics
from leadline.settings import ModelSettings
from leadline.state.memory import MemoryStore

DAY = 86_400_000
SHARE, POSITIVE = 0.9, 0.3
"""How many answers of the reference are right, and how many are predicted positive."""
_UNDEFINED: dict[str, Any] = dict.fromkeys(
    "accuracy precision recall f1 logloss brier auc mean_score outcome_rate mae rmse bias auc_error".split()
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of stream. ``cycle``: points by which the share swings within a week, which is judged as one."""

    size: int
    missing: float = 0.0
    segments: int = 1
    reference: int = 50_000
    varying: float = 0.0
    cycle: float = 0.0
    mode: str = "calibrated"
    fall: float = 0.0
    nowcast: bool = False
    by_outcome: str = ""
    known_spread: bool = True

    @property
    def settings(self) -> ModelSettings:
        alerts = {
            "false_alarms": "1 per 210d" if self.cycle else "1 per 30d",
            "early_false_alarms": "1 per 30d",
            "mode": self.mode,
            "weights": {"performance": 1.0},
            **({"cycle": 7 * DAY} if self.cycle else {}),
        }
        return ModelSettings.model_validate({"name": "m", "window": DAY, "horizon": DAY, "grace": 0, "alerts": alerts})


class Models:
    """One model with one version, whose reference is drawn by the cell's own law."""

    def __init__(self, settings: ModelSettings, profile: ReferenceProfile) -> None:
        self._settings = settings
        self._version = Version(settings, "v1", Signature("s", [], [], {}), profile)

    def names(self) -> list[str]:
        return ["m"]

    def settings(self, model: str) -> ModelSettings | None:  # noqa: ARG002
        return self._settings

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> Version:  # noqa: ARG002
        return self._version

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> None:  # noqa: ARG002
        return None

    def fetched(self) -> int:
        return 0


class Stream:
    """Windows of a cell: drawn counts by segment, as the join would have them at maturity."""

    def __init__(self, cell: Cell, rng: np.random.Generator) -> None:
        self.cell, self.rng = cell, rng
        self.names = [f"s={i}" for i in range(cell.segments)] if cell.segments > 1 else []

    def share(self, day: int, worse: float) -> float:
        swing = self.cell.cycle * np.sin(2 * np.pi * day / 7)
        return float(np.clip(SHARE - worse + swing + self.cell.varying * self.rng.standard_normal(), 0, 1))

    def counts(self, day: int, size: int, worse: float, thinned: str) -> MatureCounts:
        """Right and wrong answers by predicted label, of which labels go missing."""
        share = self.share(day, worse)
        positive = int(self.rng.binomial(size, POSITIVE))
        tp = int(self.rng.binomial(positive, share))
        tn = int(self.rng.binomial(size - positive, share))
        cells = np.array([tp, positive - tp, size - positive - tn, tn])
        kept = self.rng.binomial(cells, _kept(self.cell.missing, thinned))
        tp, fp, fn, tn = map(int, kept)
        return MatureCounts(size, tp + fp + fn + tn, positive, tp, fp, fn, tn, 0, 0)

    def window(self, day: int, worse: float = 0.0) -> dict[str, MatureCounts]:
        if not self.names:
            return {"*": self.counts(day, self.cell.size, worse, self.cell.by_outcome)}
        own = {name: self.counts(day, self.cell.size, worse, self.cell.by_outcome) for name in self.names}
        return {"*": _sum(list(own.values())), **own}

    def reference(self) -> ReferenceProfile:
        """A reference of so many rows (each segment), in windows of the same size or of what there is, without missing labels but those of
        a reference that was thinned alike.
        """
        cell = self.cell
        days = max(2, min(60, cell.reference // cell.size)) if cell.reference >= 2 * cell.size else 14
        days = -(-days // 7) * 7 if cell.cycle else days
        size = max(1, cell.reference // days)
        thinned = cell.by_outcome if cell.by_outcome == "alike" else ""
        missing = Stream(replace(cell, missing=cell.missing if thinned else 0.0), self.rng)
        own: dict[str, list[tuple[int, MatureCounts]]] = {name: [] for name in self.names or ["*"]}
        for day in range(days):
            for name in own:
                own[name].append((day - days, missing.counts(day, size, 0.0, thinned)))
        if self.names:
            summed = [(day - days, _sum([own[name][day][1] for name in self.names])) for day in range(days)]
            own = {"*": summed, **own}
        segments = [_segment(name, rows if cell.known_spread else _evened(rows)) for name, rows in own.items()]
        return ReferenceProfile(segments[0].predictions, [], segments[0].metrics, [], DAY, [], segments)


def _kept(missing: float, thinned: str) -> NDArray[np.float64]:
    """The chance of a label by cell (tp, fp, fn, tn): positive outcomes alone go missing where they are thinned."""
    return np.array([1 - missing, 1.0, 1 - missing, 1.0]) if thinned else np.full(4, 1 - missing)


def _sum(counts: list[MatureCounts]) -> MatureCounts:
    names = MatureCounts.__slots__
    return MatureCounts(*(sum(getattr(each, name) for each in counts) for name in names))


def _evened(rows: list[tuple[int, MatureCounts]]) -> list[tuple[int, MatureCounts]]:
    """All windows of a reference as one: nothing is known of how they vary."""
    return [(rows[0][0], _sum([counts for _, counts in rows]))]


def _segment(name: str, rows: list[tuple[int, MatureCounts]]) -> SegmentReference:
    total = _sum([counts for _, counts in rows])
    right, matched = total.tp + total.tn, max(1, total.matched)
    metrics = {"accuracy": right / matched}
    if total.tp:
        metrics |= {"precision": total.tp / (total.tp + total.fp), "recall": total.tp / (total.tp + total.fn)}
    windows = [[day * DAY, each.matched, each.tp + each.tn] for day, each in rows if each.matched]
    return SegmentReference(name, total.matched, metrics, [[float(value) for value in row] for row in windows])


def metrics(day: int, segment: str, counts: MatureCounts, state: str, expected: float | None = None) -> WindowMetrics:
    """The record of a window: as it is at its end, or at maturity."""
    end = (day + 1) * DAY
    as_of = end if state == "provisional" else end + DAY + 1
    near = None if expected is None else Metric(expected, expected - 0.01, expected + 0.01)
    return WindowMetrics(
        "m", "v1", segment, day * DAY, end, 1 + (state != "provisional"), as_of, state, "binary",
        counts.predictions, counts.matched, 0, counts.predictions - counts.matched, counts.tp, counts.fp, counts.fn, counts.tn,
        counts.matched / max(1, counts.predictions), **_UNDEFINED, predicted_positive=counts.predicted_positive,
        mature=None if state == "provisional" else counts, nowcast_accuracy=near,
    )  # fmt: skip


def join_counts(as_of: int, number: int) -> JoinCounts:
    return JoinCounts("m", -1, number, as_of, *[number] * 17)  # type: ignore[arg-type] # all of them are numbers


def run(cell: Cell, seed: int, windows: int, good: int | None = None) -> list[tuple[int, Alert]]:
    """The alerts of one replicate, each with the day whose records brought it; from day ``good`` on the share is lower by the fall."""
    rng = np.random.default_rng(seed)
    stream = Stream(cell, rng)
    stage = Alerting(MemoryStore(), Models(cell.settings, stream.reference()), Deployments(Rollouts()))
    found: list[tuple[int, Alert]] = []
    for day in range(windows):
        worse = cell.fall if good is not None and day >= good else 0.0
        records = list(_day(day, stream, worse))
        batch = _batch(records, (day + 2) * DAY + 1)
        records_out = [each for output in stage.on_batch(batch).outputs for each in output.records]
        found += [(day, each) for each in records_out if isinstance(each, Alert)]
    return found


def _day(day: int, stream: Stream, worse: float) -> Iterator[Record]:
    counts = stream.window(day, worse)
    if stream.cell.nowcast:
        noise = 0.01 * stream.rng.standard_normal() + np.sqrt(0.09 / stream.cell.size) * stream.rng.standard_normal()
        yield metrics(day, "*", counts["*"], "provisional", float(SHARE - worse + noise))
    for segment, each in counts.items():
        yield metrics(day, segment, each, "mature")
    yield join_counts((day + 2) * DAY + 1, day + 1)


def _batch(records: list[Record], arrival_ms: int) -> Batch:
    count = len(records)
    return Batch(
        "metrics",
        0,
        np.arange(count),
        np.full(count, arrival_ms),
        [b""] * count,
        count - 1,
        arrival_ms,
        records=records,
    )


def opened(found: list[tuple[int, Alert]], early: bool = False) -> list[tuple[int, Alert]]:
    return [(day, alert) for day, alert in found if alert.state == "opened" and alert.early is early]


# -- tables -----------------------------------------------------------------------------------------------------------

C = 30
FALSE = {
    **{f"n {n}": Cell(n) for n in (50, 200, 1000, 5000)},
    **{f"n {n}, labels missing {m:.0%}": Cell(n, missing=m) for n in (50, 1000) for m in (0.5, 0.7, 0.9)},
    **{f"{s} segments of {n}": Cell(n, segments=s) for s, n in ((10, 50), (10, 500), (200, 50))},
    **{f"reference {r}, n {n}": Cell(n, reference=r) for r in (50, 500, 5000) for n in (50, 1000)},
    "200 segments, reference 500 each": Cell(50, segments=200, reference=500),
    **{f"varies by 2 points, n {n}": Cell(n, varying=0.02) for n in (200, 1000, 5000)},
    "varies, reference 5,000": Cell(1000, varying=0.02, reference=15_000),
    "weekly cycle of 5 points, n 500": Cell(500, cycle=0.05),
    **{f"proven, n {n}, varies": Cell(n, varying=0.02, mode="proven") for n in (200, 1000)},
    **{f"at the limit, n {n}": Cell(n, fall=0.02) for n in (50, 200, 1000)},
    **{f"at the limit, n {n}, varies by 2 points": Cell(n, fall=0.02, varying=0.02) for n in (200, 1000)},
    "labels missing by outcome, reference alike": Cell(500, missing=0.5, by_outcome="alike"),
}
"""Streams on which nothing is wrong."""
SHORT = ("n 200", "n 50, labels missing 90%", "10 segments of 50", "reference 50, n 50", "varies by 2 points, n 1000")
"""The cells of a test."""
OTHERWISE = {
    f"by outcome, n {n}": Cell(n, missing=m, by_outcome="otherwise") for n, m in ((200, 0.5), (1000, 0.5), (1000, 0.9))
}


def false_alarms(cells: dict[str, Cell], windows: int, seed: int = 1) -> list[tuple[str, int, float, int]]:
    """Of each cell: its name, false incidents, how many are allowed, and the Poisson 99.9 % bound of that."""
    rows = []
    for name, cell in cells.items():
        repeats = 1 if cell.segments > 50 else 3
        length = (windows // repeats) * (7 if cell.cycle else 1)
        count = sum(len(opened(run(cell, seed + i, length, 0))) for i in range(repeats))
        allowed = length * repeats / (7 * C if cell.cycle else C)
        rows.append((name, count, allowed, int(poisson.ppf(0.999, allowed))))
    return rows


def detection(cell: Cell, good: int = 30, windows: int = 400, repeats: int = 21) -> tuple[float, float]:
    """The median number of windows from a fall to the confirmed incident, and to the first of any kind."""
    delays: list[tuple[float, float]] = []
    for seed in range(repeats):
        found = run(replace(cell, nowcast=True), 100 + seed, windows, good)
        confirmed = _delay(opened(found), good)
        delays.append((confirmed, min(confirmed, _delay(opened(found, early=True), good))))
    confirmed_all, early_all = zip(*delays, strict=True)
    return float(np.median(confirmed_all)), float(np.median(early_all))


def _delay(alerts: list[tuple[int, Alert]], good: int) -> float:
    return next((day - good + 1.0 for day, _ in alerts if day >= good), np.inf)


def kinds(cell: Cell, windows: int, seed: int = 1) -> Counter[str]:
    """How many incidents of each kind open."""
    return Counter(alert.kind for _, alert in opened(run(cell, seed, windows)))


def tables(windows: int) -> list[Table]:
    """All cells."""
    false = Table("nothing is wrong", "false incidents", "allowed", "99.9 % bound", title=f"c = {C}")
    for name, count, allowed, bound in false_alarms(FALSE, windows):
        false.add_row(name, str(count), f"{allowed:.0f}", f"{bound}{'' if count <= bound else ' broken'}")
    biased = Table("labels thinned otherwise than the reference", "incidents by kind")
    for name, cell in OTHERWISE.items():
        biased.add_row(name, ", ".join(f"{kind} {count}" for kind, count in kinds(cell, 300).items()) or "none")
    falls = Table("fall", "n", "labels missing", "windows to the confirmed", "to the early incident")
    for fall in (0.02, 0.05, 0.1, 0.2):
        for size, missing in ((50, 0.0), (200, 0.0), (1000, 0.0), (1000, 0.5), (1000, 0.7), (1000, 0.9)):
            confirmed, early = detection(Cell(size, missing=missing, fall=fall))
            falls.add_row(f"{fall:.0%}", str(size), f"{missing:.0%}", _windows(confirmed), _windows(early))
    return [false, biased, falls]


def _windows(count: float) -> str:
    return "not in 370" if np.isinf(count) else f"{count:.0f}"
