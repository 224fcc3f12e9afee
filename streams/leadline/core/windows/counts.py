"""All numbers of one window together."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from leadline.core.windows.aggregates.aggregate import Aggregate
from leadline.core.windows.aggregates.changes import Changes
from leadline.core.windows.aggregates.confusion import Confusion
from leadline.core.windows.aggregates.limits import first
from leadline.core.windows.aggregates.mature import Mature
from leadline.core.windows.aggregates.outcomes_by_score import OutcomesByScore
from leadline.core.windows.aggregates.predictions_by_score import PredictionsByScore
from leadline.core.windows.aggregates.sums import Sums
from leadline.core.windows.aggregates.tallies import Tallies
from leadline.records import WindowPartial


class WindowCounts(NamedTuple):
    """The counts of one window, which add, take back and merge exactly. One line for each aggregate: all else asks these.

    Windows tumble by event time, aligned to the epoch, ``[start, start + size)``.
    """

    tallies: Tallies = Tallies.zero()
    confusion: Confusion = Confusion.zero()
    sums: Sums = Sums.zero()
    outcomes: OutcomesByScore = OutcomesByScore.zero()
    scores: PredictionsByScore = PredictionsByScore.zero()
    mature: Mature = Mature.zero()

    @classmethod
    def fold(cls, changes: Changes) -> list["WindowCounts"]:
        """The counts of each window, from what changed in all of them."""
        return _each_window([kind.fold(changes) for kind in _KINDS])

    @classmethod
    def merge(cls, groups: Sequence[Sequence["WindowCounts"]]) -> list["WindowCounts"]:
        """The sum of each group; a group has one member or more, and a member alone stays as it is."""
        several = [group for group in groups if len(group) > 1]
        if not several:
            return [group[0] for group in groups]
        columns = [[[counts[i] for counts in group] for group in several] for i in range(len(_KINDS))]
        sums = iter(_each_window([kind.merge(column) for kind, column in zip(_KINDS, columns, strict=True)]))
        return [next(sums) if len(group) > 1 else group[0] for group in groups]

    def pack(self) -> bytes:
        """The counts as bytes; `unpack` reads them."""
        return b"".join([each.pack() for each in self])

    @classmethod
    def unpack(cls, value: bytes, start: int = 0) -> "WindowCounts":
        """Read what `pack` wrote, from ``start``.

        >>> counts = WindowCounts(Tallies([3, 2, 1, 0]))
        >>> WindowCounts.unpack(b"head" + counts.pack(), 4).tallies
        (3, 2, 1, 0)
        """
        parts: list[Any] = []
        for kind in _KINDS:
            part, start = kind.unpack(value, start)
            parts.append(part)
        return cls(*parts)

    def fields(self) -> dict[str, Any]:
        """The counts under their names in `leadline.records.WindowPartial`."""
        named: dict[str, Any] = {}
        for each in self:
            named |= each.fields()
        return named

    @classmethod
    def of(cls, record: WindowPartial) -> "WindowCounts":
        """The counts that a record holds."""
        parts: list[Any] = [kind.of(record) for kind in _KINDS]
        return cls(*parts)


_KINDS: list[type[Aggregate]] = [type(each) for each in WindowCounts()]


def _each_window(columns: Iterable[list[Any]]) -> list[WindowCounts]:
    return [WindowCounts(*parts) for parts in zip(*columns, strict=True)]


def out_of_range(record: WindowPartial) -> str | None:
    """Which count of a record has a value that it can never have; None: all are possible."""
    return first(kind.out_of_range(record) for kind in _KINDS)


def disagreement(record: WindowPartial) -> str | None:
    """Which counts of a record contradict each other; None: they agree. All are in range."""
    return first(kind.disagreement(record) for kind in _KINDS)
