"""What aggregates of a few whole numbers have in common."""

import struct
from collections.abc import Sequence
from typing import ClassVar, Self

from leadline.core.columnar.columns import Ints
from leadline.core.windows.aggregates.limits import first, outside
from leadline.records import WindowPartial


class WholeNumbers(tuple[int, ...]):
    """Whole numbers of 64 bits; ``names`` are their fields of `leadline.records.WindowPartial`, in order."""

    __slots__ = ()
    names: ClassVar[tuple[str, ...]]
    _packed: ClassVar[struct.Struct]

    def __init_subclass__(cls) -> None:
        cls._packed = struct.Struct(f"<{len(cls.names)}q")

    @classmethod
    def zero(cls) -> Self:
        return cls([0] * len(cls.names))

    @classmethod
    def columns(cls, counts: Ints) -> list[Self]:
        """The numbers of each window from a table: one row a name, one column a window."""
        return list(map(cls, counts.T.tolist()))

    @classmethod
    def merge(cls, groups: Sequence[Sequence[Self]]) -> list[Self]:
        return [cls(map(sum, zip(*group, strict=True))) for group in groups]

    def pack(self) -> bytes:
        return self._packed.pack(*self)

    @classmethod
    def unpack(cls, value: bytes, start: int) -> tuple[Self, int]:
        return cls(cls._packed.unpack_from(value, start)), start + cls._packed.size

    def fields(self) -> dict[str, int]:
        return dict(zip(self.names, self, strict=True))

    @classmethod
    def of(cls, record: WindowPartial) -> Self:
        return cls([getattr(record, name) for name in cls.names])

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        return first(outside(name, getattr(record, name)) for name in cls.names)
