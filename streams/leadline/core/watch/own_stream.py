"""A reference's own windows as a stream that may be watched: as they were, or drawn from, with a fall, and with fewer labels."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from leadline.core.reference import ReferenceProfile, SegmentReference
from leadline.core.watch.waiting import Block, Window
from leadline.core.watch.yardstick import UNIT
from leadline.settings import ModelSettings

Floats = NDArray[np.float64]
LEAST_SHARE = 0.5
"""A block with less than this of the median block's rows is one that the reference cuts: it is not drawn."""


class Chance(Protocol):
    """Where draws come from: a generator of numpy is one."""

    def integers(self, low: int, high: int) -> Any: ...

    def binomial(self, n: Any, p: Any) -> Any: ...


class Change(NamedTuple):
    """What is done to drawn windows: so many fewer are right (of a loss: so much larger it is), and so many of the labels come."""

    fall: float = 0.0
    labels: float = 1.0


class OwnStream(NamedTuple):
    """``table`` has for each window of ``starts`` and each segment its rows and sums, as `SegmentReference.windows` has them.

    ``parts``: the places of segments that add up to ``*``; empty where there are none. ``blocks``: the windows that are judged together.
    """

    settings: ModelSettings
    segments: list[str]
    starts: list[int]
    table: Floats
    parts: list[int]
    blocks: list[list[int]]

    @classmethod
    def of(cls, profile: ReferenceProfile, settings: ModelSettings) -> Self | None:
        """The stream of a reference; None where it has no windows of its own."""
        whole = [each for each in profile.segments if each.segment == "*" and each.windows]
        if not whole or not profile.window:
            return None
        own = whole + [each for each in profile.segments if each.segment != "*"]
        starts = [int(row[0]) for row in whole[0].windows]
        table = np.stack([_rows(each, starts) for each in own], axis=1)
        segments, size = [each.segment for each in own], settings.alerts.cycle or settings.window
        blocks: dict[int, list[int]] = {}
        for i, start in enumerate(starts):
            blocks.setdefault(start // size, []).append(i)
        return cls(settings, segments, starts, table, _parts(segments, table), list(blocks.values()))

    @property
    def size(self) -> int:
        """The length of a block."""
        return self.settings.alerts.cycle or self.settings.window

    @property
    def share(self) -> float:
        """How many of all rows were answered right."""
        _, labelled, right = self.table[:, 0, :3].sum(axis=0)
        return float(right / labelled) if labelled else 0.0

    def as_it_was(self) -> Iterator[Block]:
        """All blocks, in the order of time."""
        for windows in self.blocks:
            start = self.starts[windows[0]] // self.size * self.size
            yield self._block(start, [self.table[i] for i in windows])

    def drawn(self, chance: Chance, count: int, change: Change) -> Iterator[Block]:
        """So many blocks, each one of the reference's own that chance names, and changed."""
        rows = np.array([self.table[windows, 0, 0].sum() for windows in self.blocks])
        known = np.flatnonzero(rows >= LEAST_SHARE * np.median(rows)).tolist()
        for number in range(count):
            windows = self.blocks[known[int(chance.integers(0, len(known)))]]
            yield self._block(number * self.size, [self._changed(self.table[i], chance, change) for i in windows])

    def _changed(self, table: Floats, chance: Chance, change: Change) -> Floats:
        if self.settings.task == "regression":
            return _larger(table, chance, change)
        found = _fewer(table, chance, change, self.share)
        if self.parts:
            found[0] = found[self.parts].sum(axis=0)
        return found

    def _block(self, start: int, tables: list[Floats]) -> Block:
        size, window = self.settings.window, self._window
        windows = [(start + i * size, window(start + (i + 1) * size, table)) for i, table in enumerate(tables)]
        return Block(start, start + self.size, windows)

    def _window(self, end: int, table: Floats) -> Window:
        """As alerting has it of a mature window. Which answers were positive is not known of it, and not asked for."""
        rows = {name: _counts(row.tolist()) for name, row in zip(self.segments, table, strict=True) if row[0] > 0}
        return Window(end, dict(rows))


def _counts(row: list[float]) -> list[int] | None:
    """A revision, and the values of `MatureCounts`; ``row``: rows, labelled ones, then their sums."""
    predictions, matched, *sums = row
    right = round(sums[0]) if len(sums) == 1 else 0
    errors = [round(each / UNIT) for each in sums] if len(sums) > 1 else [0, 0]
    wrong = round(matched) - right if len(sums) == 1 else 0
    return [1, round(predictions), round(matched), 0, 0, 0, wrong, right, *errors]


def _rows(segment: SegmentReference, starts: list[int]) -> Floats:
    """Rows, labelled rows (all of them) and sums of a segment in each of these windows."""
    held = {int(start): [rows, rows, *sums] for start, rows, *sums in segment.windows}
    width = max((len(row) for row in held.values()), default=3)
    return np.array([held.get(start, [0.0] * width) for start in starts])


def _parts(segments: list[str], table: Floats) -> list[int]:
    """The segments of one category, where they add up to all rows of each window."""
    names: dict[str, list[int]] = {}
    for i, segment in enumerate(segments[1:], 1):
        names.setdefault(segment.partition("=")[0] if "=" in segment else "", []).append(i)
    whole = [places for places in names.values() if np.array_equal(table[:, places].sum(axis=1), table[:, 0])]
    return whole[0] if whole else []


def _fewer(table: Floats, chance: Chance, change: Change, share: float) -> Floats:
    """Each right answer turns wrong, and each label is missing, by chance; on average ``fall`` fewer of all rows are right."""
    predictions, matched, right = table.T.astype(np.int64)
    still = chance.binomial(right, 1 - min(1.0, change.fall / share)) if share and change.fall else right
    if change.labels < 1:
        wrong = chance.binomial(matched - still, change.labels)
        still = chance.binomial(still, change.labels)
        matched = still + wrong
    return np.stack([predictions, matched, still], axis=1).astype(np.float64)


def _larger(table: Floats, chance: Chance, change: Change) -> Floats:
    """All errors are larger by the same factor. Of the rows that are left each has the mean errors of its window."""
    found = table.copy()
    if change.labels < 1:
        found[:, 1] = chance.binomial(table[:, 1].astype(np.int64), change.labels)
    left = found[:, 1] / np.maximum(table[:, 1], 1)
    found[:, 2] *= left * (1 + change.fall)
    found[:, 3] *= left * (1 + change.fall) ** 2
    return found
