"""Pairs of a champion and its challenger, drawn: what the join would say of them, window by window."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.records import PairCounts, PairPartial
from leadline.settings import ModelSettings

DAY = 86_400_000
Ints = NDArray[np.int64]
_CORRECTED_AFTER = 3
"""Days from the maturity of a window to its corrections."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of rollout: windows of so many pairs, and in what share of them the challenger, or the champion, alone is right.

    ``varying``: deviation of their difference from day to day. ``swing``: every second window the challenger is better by so much, in the
    others worse. ``late``: while a window is not due, labels are there only where the challenger is right. ``corrected``: of the pairs that
    it lost so many say the contrary until some days later. ``thinned``: from the middle on, pairs of every second window are drawn at this
    rate. ``missing``: the share of labels that never come where it lost, and where it won. ``then``: after so many windows both shares
    are others. ``segments``: shares of each, of as many pairs each.
    """

    pairs: int = 500
    better: float = 0.05
    worse: float = 0.05
    windows: int = 100
    varying: float = 0.0
    swing: float = 0.0
    late: bool = False
    corrected: float = 0.0
    thinned: float = 1.0
    missing: tuple[float, float] = (0.0, 0.0)
    then: tuple[int, float, float] | None = None
    segments: tuple[tuple[float, float], ...] = ()
    rollout: Mapping[str, object] = field(default_factory=dict)

    @property
    def settings(self) -> ModelSettings:
        """Windows of a day whose labels take a day; two days are a cycle where every second one is another."""
        alerts = {"cycle": 2 * DAY} if self.swing else {}
        given = {"name": "m", "window": DAY, "horizon": DAY, "grace": 0, "alerts": alerts, "rollout": self.rollout}
        return ModelSettings.model_validate(given)

    def shares(self, day: int, rng: np.random.Generator) -> list[tuple[float, float]]:
        """How often either alone is right, in each segment."""
        better, worse = (self.better, self.worse) if self.then is None or day < self.then[0] else self.then[1:]
        move = self.varying * rng.standard_normal() + (self.swing if day % 2 == 0 else -self.swing)
        return [_moved(*each, move) for each in self.segments or ((better, worse),)]

    def rate(self, day: int) -> float:
        return self.thinned if day % 2 and day >= self.windows // 2 else 1.0


def _moved(better: float, worse: float, by: float) -> tuple[float, float]:
    """Both shares, so that their difference is another and their sum the same where that can be."""
    both = max(better + worse, abs(better - worse + by))
    return max(0.0, both + better - worse + by) / 2, max(0.0, both - better + worse - by) / 2


@dataclass(frozen=True, slots=True)
class Day:
    """What is known at the end of a day: what the join has said since the day before, and the time."""

    partials: list[PairPartial]
    now: int


def drawn(cell: Cell, rng: np.random.Generator) -> Iterator[Day]:
    """A rollout, day by day. With each day a window becomes due."""
    windows: list[list[Ints]] = []
    for day in range(cell.windows + 1):
        partials: list[PairPartial] = []
        if day < cell.windows:
            windows.append([_window(cell, cell.rate(day), shares, rng) for shares in cell.shares(day, rng)])
            if cell.late:
                partials += _partials(cell, day, windows[day], due=False, corrected=False)
        if day:
            partials += _partials(cell, day - 1, windows[day - 1], due=True, corrected=False)
        if cell.corrected and day > _CORRECTED_AFTER:
            again = day - 1 - _CORRECTED_AFTER
            partials += _partials(cell, again, windows[again], due=True, corrected=True)
        if day:
            yield Day(partials, (day + 1) * DAY + 1)


def _window(cell: Cell, rate: float, shares: tuple[float, float], rng: np.random.Generator) -> Ints:
    """Pairs won, lost, and neither; of those won and lost, how many have no label; of those lost, how many say the contrary at first."""
    won, lost, same = rng.multinomial(round(cell.pairs * rate), [*shares, 1 - sum(shares)])
    gone = rng.binomial([lost, won], cell.missing)
    return np.array([won, lost, same, gone[1], gone[0], rng.binomial(lost - gone[0], cell.corrected)])


def _partials(cell: Cell, day: int, segments: list[Ints], due: bool, corrected: bool) -> list[PairPartial]:
    counts = [_counts(each, cell, due, corrected) for each in segments]
    mature = [_counts(each, cell, True, False) if due else None for each in segments]
    revision = day * 10 + due + corrected
    names = [f"s={i}" for i in range(len(segments))] if cell.segments else ["*"]
    rows = list(zip(names, counts, mature, strict=True))
    if cell.segments:
        rows.append(("*", _sum(counts), None if not due else _sum([each for each in mature if each])))
    return [
        PairPartial(
            "m", "v1", "v2", name, day * DAY, (day + 1) * DAY, 0, cell.rate(day), revision, day * DAY,
            "mature" if due else "provisional", "binary", now, then,
        )
        for name, now, then in rows
    ]  # fmt: skip


def _counts(window: Ints, cell: Cell, due: bool, corrected: bool) -> PairCounts:
    won, lost, same, won_gone, lost_gone, contrary = map(int, window)
    known_lost = lost - lost_gone - (0 if corrected else contrary)
    known_won = won - won_gone + (0 if corrected else contrary)
    if not due and cell.late:
        return PairCounts(0, 0, known_won, 0, same, known_lost + won_gone + lost_gone, 0, 0)
    gone = round(same * max(cell.missing))
    return PairCounts(same - gone, known_lost, known_won, 0, gone, won_gone + lost_gone, 0, 0)


def _sum(counts: list[PairCounts]) -> PairCounts:
    names = ("both", "first", "second", "neither", "alike", "unlike", "first_score_sum", "second_score_sum")
    return PairCounts(*(sum(getattr(each, name) for each in counts) for name in names))
