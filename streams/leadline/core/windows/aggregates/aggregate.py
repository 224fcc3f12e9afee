"""What every aggregate can do."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

from leadline.core.windows.aggregates.changes import Changes
from leadline.records import WindowPartial


class Aggregate(Protocol):
    """One number of one window, or some that are counted together. It never changes; counts may be negative, which takes back."""

    @classmethod
    def zero(cls) -> Self:
        """The number of a window in which nothing has happened."""
        ...

    @classmethod
    def fold(cls, changes: Changes) -> list[Self]:
        """The number of each window, from what changed in all of them."""
        ...

    @classmethod
    def merge(cls, groups: Sequence[Sequence[Self]]) -> list[Self]:
        """The sum of each group; a group has one member or more."""
        ...

    def pack(self) -> bytes:
        """The number as bytes."""
        ...

    @classmethod
    def unpack(cls, value: bytes, start: int) -> tuple[Self, int]:
        """Read what `pack` wrote, from ``start``; also returns where it ends."""
        ...

    def fields(self) -> dict[str, Any]:
        """The number under its names in `leadline.records.WindowPartial`."""
        ...

    @classmethod
    def of(cls, record: WindowPartial) -> Self:
        """The number from the fields of a record."""
        ...

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        """Which of the number's fields has a value that it can never have; None: all are possible."""
        ...

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        """Which of the number's fields contradict each other, or others of the record; None: they agree. All are in range."""
        ...
