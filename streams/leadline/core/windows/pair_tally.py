"""The counts of pairs of one window: `leadline.records.PairCounts`, now and at maturity."""

import json
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.windows.aggregates.limits import first, outside
from leadline.core.windows.aggregates.sums import LIMIT, total
from leadline.core.windows.loss_grid import GRID, ONE, difference, neighbours
from leadline.records import PairCounts

BOTH, FIRST, SECOND, NEITHER, ALIKE, UNLIKE = range(6)
_SUMS = 6
_NAMES = tuple(each.name for each in fields(PairCounts))[:-2]
_FEW = len(_NAMES)


class Pairs(NamedTuple):
    """Pairs that came to be (``sign`` 1) or are taken back (-1), as columns; of each version what `Side` says.

    ``window``: the index of the window of each. ``mature``: as ``sign``, in the counts at maturity. ``bound``: of losses; NaN where errors
    have none, and of binary models.
    """

    window: Ints
    sign: Ints
    mature: Ints
    bound: Floats
    first: "Side"
    second: "Side"


class Side(NamedTuple):
    """What one version said: its score, its label (-1: regression), its outcome (NaN: none), and whether that is a yes."""

    score: Floats
    label: Ints
    outcome: Floats
    positive: Ints


class PairTally(NamedTuple):
    """Numbers of one window in the order of `PairCounts`, now and as the log held them at maturity; ``known``: that has come.

    The tallies of losses are left out where there are none.
    """

    known: bool = False
    now: tuple[int, ...] = (0,) * _FEW
    mature: tuple[int, ...] = (0,) * _FEW

    @classmethod
    def fold(cls, size: int, pairs: Pairs) -> list["PairTally"]:
        """The numbers of each of ``size`` windows."""
        cells = _cells(pairs)
        both = _numbers(size, pairs, cells, pairs.sign), _numbers(size, pairs, cells, pairs.mature)
        return [cls(False, *each) for each in zip(*both, strict=True)]

    @classmethod
    def merge(cls, group: Sequence["PairTally"]) -> "PairTally":
        """The sum; what is known at maturity stays as it is, whatever is added."""
        mature = [each.mature for each in group if each.known] or [each.mature for each in group]
        return cls(any(each.known for each in group), _sum([each.now for each in group]), _sum(mature))

    def at_maturity(self) -> "PairTally":
        """The counts at maturity are known from now on."""
        return self._replace(known=True)

    def counts(self) -> tuple[PairCounts, PairCounts | None]:
        """The records: of now, and of maturity."""
        return _counts(self.now), _counts(self.mature) if self.known else None

    def pack(self) -> bytes:
        """The tally as bytes; `unpack` reads them.

        >>> tally = PairTally(True, tuple(range(8)))
        >>> PairTally.unpack(tally.pack()) == tally
        True
        """
        return json.dumps(self).encode()

    @classmethod
    def unpack(cls, value: bytes) -> "PairTally":
        """Read what `pack` wrote."""
        known, now, mature = json.loads(value)
        return cls(known, tuple(now), tuple(mature))


def _counts(numbers: tuple[int, ...]) -> PairCounts:
    losses = list(numbers[_FEW:]) if any(numbers[_FEW:]) else []
    named = dict(zip(_NAMES, numbers, strict=False))
    return PairCounts(**named, lower=losses[: len(GRID)], upper=losses[len(GRID) :])


def _sum(numbers: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return numbers[0] if len(numbers) == 1 else tuple(map(sum, zip_longest(*numbers, fillvalue=0)))


def _cells(pairs: Pairs) -> Ints:
    """What came of each pair."""
    first, second = pairs.first, pairs.second
    right = [(side.label < 0) | (side.label == side.positive) for side in (first, second)]
    labeled = np.select([right[0] & right[1], right[0], right[1]], [BOTH, FIRST, SECOND], NEITHER)
    alike = np.where(first.label < 0, first.score == second.score, first.label == second.label)
    return np.where(_labeled(pairs), labeled, np.where(alike, ALIKE, UNLIKE))


def _labeled(pairs: Pairs) -> NDArray[np.bool_]:
    return ~np.isnan(pairs.first.outcome) & ~np.isnan(pairs.second.outcome)


def _numbers(size: int, pairs: Pairs, cells: Ints, times: Ints) -> list[tuple[int, ...]]:
    """The numbers of each window; each pair counts so many times."""
    counts = np.zeros((_SUMS, size), np.int64)
    np.add.at(counts, (cells, pairs.window), times)
    sums = [total(side.score, pairs.window, times, size) for side in (pairs.first, pairs.second)]
    losses = _losses(size, pairs, times)
    columns: list[Any] = [*counts.tolist(), *sums, *losses]
    return list(zip(*columns, strict=True))


def _losses(size: int, pairs: Pairs, times: Ints) -> list[list[int]]:
    """The two tallies of loss differences; none where no pair has a bound."""
    rows = np.flatnonzero(_labeled(pairs) & (pairs.bound > 0))
    if not len(rows):
        return []
    window, own, bound = pairs.window[rows], times[rows], pairs.bound[rows]
    errors = [side.score[rows] - side.outcome[rows] for side in (pairs.first, pairs.second)]
    below, *above = neighbours(difference(errors[0], errors[1], bound))
    tallies = np.zeros((2, len(GRID), size), np.int64)
    for tally, share in zip(tallies, above, strict=True):
        np.add.at(tally, (below, window), (ONE - share) * own)
        np.add.at(tally, (below + 1, window), share * own)
    return [points for tally in tallies.tolist() for points in tally]


def out_of_range(counts: PairCounts) -> str | None:
    """Which count has a value that it can never have; None: all are possible."""
    sums = counts.first_score_sum, counts.second_score_sum
    wide = "a sum of scores has more than 16 bytes" if max(map(abs, sums)) >= LIMIT else None
    numbers = [(name, getattr(counts, name)) for name in _NAMES[:_SUMS]]
    numbers += [("a point of a tally", point) for point in (*counts.lower, *counts.upper)]
    return first([*(outside(*number) for number in numbers), wide])


def disagreement(counts: PairCounts) -> str | None:
    """Which counts contradict each other; None: they agree. All are in range."""
    for name, tally in (("lower", counts.lower), ("upper", counts.upper)):
        if tally and (len(tally) != len(GRID) or sum(tally) != ONE * counts.both):
            return f"{name} has not {len(GRID)} points that add up to {ONE} times {counts.both}"
    return None if bool(counts.lower) == bool(counts.upper) else "of lower and upper one is empty"
