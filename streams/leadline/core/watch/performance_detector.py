"""Whether performance is worse than its limit, over all and by segment: one alarm at a time, and when it is over.

Windows come once each, in the order of time. The evidence of an open alarm stands still; what was seen before it is remembered until no
correction can come any more, so that a correction may take the alarm back.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.e_detector import grow, mean_evidence, spend, weighed
from leadline.core.watch.cusum import BACK_AT, Tally
from leadline.core.watch.yardstick import Yardstick

Floats = NDArray[np.float64]
MOST_RECENT = 4000
"""Counts of segments of judged windows that are remembered at most; the oldest go first."""

Counts = dict[str, list[float]]
"""By segment: the sum that is judged, and of how many rows."""
Windows = dict[str, Counts]
"""The windows of a block by start."""
Logs = dict[str, list[float]]
"""Evidence by segment, of those that have any."""


@dataclass(slots=True)
class Performance:
    """``payers``: the segments whose evidence opened the alarm; ``named``: those of them that would have by themselves.

    ``recent``: judged blocks that a correction may yet change, by start, with ``base``, the evidence before them. ``seen``: what the
    evidence of each segment rests on, and ``rests_on``, that of the last change of state.
    """

    log_m: Logs = field(default_factory=dict)
    log_back: Logs = field(default_factory=dict)
    payers: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    opened_at: int | None = None
    recent: dict[str, Windows] = field(default_factory=dict)
    base: Logs = field(default_factory=dict)
    seen: dict[str, Tally] = field(default_factory=dict)
    rests_on: dict[str, Tally] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def step(self, yard: Yardstick, log_c: float, start: int, windows: Windows) -> str | None:
        """Take in a block: opened, updated, resolved, or None where nothing changes."""
        counts = _summed(windows)
        if not self.is_open:
            self.recent[str(start)] = windows
            return self._look(yard, log_c, start, counts, "opened")
        if self._is_over(yard, start, counts):
            self._rest_on(self.payers)
            self.clear()
            return "resolved"
        if "*" in self.payers:
            return None
        others = {segment: found for segment, found in counts.items() if segment not in self.payers}
        return self._look(yard, log_c, start, others, "updated")

    def _look(self, yard: Yardstick, log_c: float, start: int, counts: Counts, state: str) -> str | None:
        grown = _grown(yard, self.log_m, counts)
        self._see(yard, start, counts, grown)
        total, parts = weighed(grown, yard.weights)
        if total < log_c:
            self.log_m = _logs(yard, grown)
            return None
        left, payers = spend(grown, yard.weights, log_c)
        self.log_m = _logs(yard, left)
        named = [each for each, part in zip(yard.segments, parts.tolist(), strict=True) if part >= log_c]
        before, new = list(self.named), [yard.segments[i] for i in payers]
        self._rest_on(new)
        self.payers = sorted({*self.payers, *new})
        self.named = [each for each in yard.segments if each in {*self.named, *named}]
        self.opened_at = start if self.opened_at is None else self.opened_at
        return state if state == "opened" or self.named != before else None

    def _see(self, yard: Yardstick, start: int, counts: Counts, grown: Floats) -> None:
        """Keep on what evidence rests that has left its floor."""
        known = {segment: row for segment, row in zip(yard.segments, grown, strict=True) if segment in counts}
        for segment, row in known.items():
            if counts[segment][1]:
                self.seen.setdefault(segment, Tally()).add(start, counts[segment])
            if row.max() <= 0:
                self.seen.pop(segment, None)

    def _rest_on(self, segments: list[str]) -> None:
        """The evidence of these segments changes the state, and is spent."""
        self.rests_on = {each: self.seen.pop(each) for each in segments if each in self.seen}

    def _is_over(self, yard: Yardstick, start: int, counts: Counts) -> bool:
        """Whether each segment that opened the alarm is back, with what this block says."""
        better = yard.better(*_columns(yard, counts))
        grown = grow(_dense(yard, self.log_back, better.shape[1]), better)
        self.log_back = _logs(yard, grown)
        self._see(yard, start, {each: counts[each] for each in self.payers if each in counts}, grown)
        evidence = dict(zip(yard.segments, mean_evidence(grown).tolist(), strict=True))
        return all(evidence.get(each, math.inf) >= BACK_AT for each in self.payers)

    def clear(self) -> None:
        """Start again from nothing."""
        self.log_m, self.log_back, self.payers, self.named, self.opened_at = {}, {}, [], [], None
        self.recent, self.base, self.seen = {}, {}, {}

    # -- corrections --------------------------------------------------------------------------------------------------

    def corrected(
        self, yard: Yardstick, log_c: float, block: int, window: int, changes: Mapping[str, list[float]]
    ) -> bool:
        """Take in other counts of a judged window; whether the alarm would not have opened with them."""
        held = self.recent.get(str(block), {}).get(str(window))
        if held is None:
            return False
        held.update(changes)
        return self.opened_at is not None and str(self.opened_at) in self.recent and not self._opens(yard, log_c)

    def _opens(self, yard: Yardstick, log_c: float) -> bool:
        """Whether what is remembered opens an alarm as it is now known."""
        log_m = self.base
        for start in sorted(map(int, self.recent)):
            grown = _grown(yard, log_m, _summed(self.recent[str(start)]))
            if weighed(grown, yard.weights)[0] >= log_c:
                return True
            log_m = _logs(yard, grown)
        return False

    def forget(self, yard: Yardstick, before: int) -> None:
        """Blocks that start before a time are final; and so are the oldest ones where too much is remembered."""
        while self.recent:
            first = min(map(int, self.recent))
            size = sum(len(counts) for windows in self.recent.values() for counts in windows.values())
            if first >= before and size <= MOST_RECENT:
                return
            self.base = _logs(yard, _grown(yard, self.base, _summed(self.recent.pop(str(first)))))


def _summed(windows: Windows) -> Counts:
    """The counts of a block."""
    sums: Counts = {}
    for counts in windows.values():
        for segment, (good, n) in counts.items():
            before = sums.get(segment, (0.0, 0.0))
            sums[segment] = [before[0] + good, before[1] + n]
    return sums


def _columns(yard: Yardstick, counts: Mapping[str, list[float]]) -> tuple[Floats, Floats]:
    """The sums and the numbers of rows, a row for each segment."""
    rows = np.array([counts.get(segment, (0.0, 0.0)) for segment in yard.segments], float)
    return rows[:, 0], rows[:, 1]


def _grown(yard: Yardstick, logs: Logs, counts: Mapping[str, list[float]]) -> Floats:
    worse = yard.worse(*_columns(yard, counts))
    return grow(_dense(yard, logs, worse.shape[1]), worse)


def _dense(yard: Yardstick, logs: Logs, columns: int) -> Floats:
    nothing = [0.0] * columns
    held = (logs.get(segment, nothing) for segment in yard.segments)
    return np.array([row if len(row) == columns else nothing for row in held], float)


def _logs(yard: Yardstick, log_m: Floats) -> Logs:
    """Evidence below 1 counts as 1 in the next window, and need not be kept."""
    held = np.maximum(log_m, 0.0)
    return {yard.segments[i]: held[i].tolist() for i in np.flatnonzero(held.any(axis=1)).tolist()}
