"""Raw records, as a client of Kafka hands them over."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Headers = list[tuple[str, bytes]]

ARRIVAL_HEADER = "leadline-arrival-ms"
"""The header with the arrival time of a record: epoch milliseconds as decimal digits.

A record with this header and without value only says what time it is. The header counts only where the records are the clock: elsewhere
any producer could seal everybody's windows with it.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one fetch brought of one partition, column by column, in log order; ``topic`` is its name without prefix.

    ``unreadable``: a whole batch that cannot be read is one record, with neither key nor value; by its offset, what is wrong.
    """

    topic: str
    partition: int
    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers | tuple[tuple[str, bytes], ...]]
    unreadable: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)

    def extend(
        self,
        offsets: list[int],
        timestamps: list[int],
        keys: list[bytes | None],
        values: list[bytes | None],
        headers: list[Any],
    ) -> None:
        """Add the records that follow."""
        self.offsets.extend(offsets)
        self.timestamps.extend(timestamps)
        self.keys.extend(keys)
        self.values.extend(values)
        self.headers.extend(headers)

    def after(self, offset: int) -> "Run":
        """The records after ``offset``.

        >>> Run("outcomes", 0, [3, 4], [0, 0], [b"a", b"b"], [None, None], [(), ()]).after(3).keys
        [b'b']
        """
        return self.part(bisect_right(self.offsets, offset), len(self))

    def without_headers(self) -> "Run":
        """The same records without their headers."""
        return replace(self, headers=[()] * len(self))

    def parts(self, most: int, most_bytes: int) -> Iterator["Run"]:
        """The run in parts of so many records, and of so many bytes of keys and values; a part has one record at least.

        >>> run = Run("outcomes", 0, [3, 4, 5], [0] * 3, [b"k"] * 3, [b"12", b"345", None], [()] * 3)
        >>> [part.offsets for part in run.parts(2, 100)], [part.offsets for part in run.parts(9, 4)]
        ([[3, 4], [5]], [[3], [4], [5]])
        """
        sizes = [len(key or b"") + len(value or b"") for key, value in zip(self.keys, self.values, strict=True)]
        if len(sizes) <= most and sum(sizes) <= most_bytes:
            yield from [self] if sizes else []
            return
        start = size = 0
        for at, each in enumerate(sizes):
            if at > start and (at - start == most or size + each > most_bytes):
                yield self.part(start, at)
                start, size = at, 0
            size += each
        yield self.part(start, len(self))

    def part(self, start: int, stop: int) -> "Run":
        """The records from the ``start``-th to before the ``stop``-th."""
        cut = slice(start, stop)
        return replace(
            self,
            offsets=self.offsets[cut],
            timestamps=self.timestamps[cut],
            keys=self.keys[cut],
            values=self.values[cut],
            headers=self.headers[cut],
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be used: its original bytes, its topic, partition and offset, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
