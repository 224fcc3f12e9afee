"""Raw records, as a client hands them over and takes them."""

from dataclasses import dataclass

Headers = list[tuple[str, bytes]]

ARRIVAL_HEADER = "leadline-arrival-ms"
"""Arrival time of a record in epoch milliseconds, decimal digits; a null-valued record with it only moves the clock."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one fetch brought of one partition, column by column, in log order; ``topic`` is the noun without prefix."""

    topic: str
    partition: int
    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers | tuple[tuple[str, bytes], ...]]

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be used: its original bytes, where it stood and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
