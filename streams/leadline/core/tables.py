"""Tables: compacted topics that a stage needs whole, whatever partition of its own topics it works on."""

from collections.abc import Iterable

from leadline.core.processor import Batch
from leadline.records import Record

HISTORY = 100
"""So many records of a key are remembered; the oldest go first."""


class Table:
    """What a compacted topic says of each key: the newest record, and those before it.

    A host reads the topic and calls `apply`; processors only ask. They may ask from other threads: what is held for a key is replaced
    whole, never changed.
    """

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[tuple[int, Record], ...]] = {}
        self._spoilt: set[bytes] = set()

    def apply(self, batch: Batch, left_out: Iterable[tuple[bytes, int]] = ()) -> None:
        """Take in records in the order of their log. ``left_out``: key and offset of those of the same run that cannot be used."""
        newest = dict(zip(batch.keys, batch.offsets.tolist(), strict=True))
        spoilt = {key for key, offset in left_out if offset > newest.get(key, -1)}
        self._spoilt = (self._spoilt - newest.keys()) | spoilt
        for key, arrival_ms, record in zip(batch.keys, batch.arrival_ms.tolist(), batch.records, strict=True):
            self._held[key] = (*self._held.get(key, ()), (arrival_ms, record))[-HISTORY:]

    def become(self, other: "Table") -> None:
        """Hold what another table holds: the topic was made anew, and that one has read it."""
        self._held, self._spoilt = other._held, other._spoilt

    def lacks(self, key: bytes) -> bool:
        """Whether the topic has lost what it said of a key: there is nothing, or what came last cannot be used. Then a compaction takes the
        records before it, and who reads the topic after that knows nothing.
        """
        return key not in self._held or key in self._spoilt

    def forget(self, key: bytes) -> None:
        """Nothing is known any more of a key, unless a record came after the one that takes it away."""
        if key in self._spoilt:
            self._spoilt.discard(key)
            self._held.pop(key, None)

    def all_keys(self) -> list[bytes]:
        """Of which there is a record."""
        return sorted(self._held)

    def newest(self, key: bytes) -> Record | None:
        """The newest record of a key."""
        held = self._held.get(key)
        return held[-1][1] if held else None

    def newest_first(self, key: bytes, before_ms: int | None = None) -> list[Record]:
        """The records of a key, the newest first: all (None), or those that arrived before a time.

        Not those that arrived at that very time: some of them may still be on their way to whoever decides at it.
        """
        held = reversed(self._held.get(key, ()))
        return [record for arrival_ms, record in held if before_ms is None or arrival_ms < before_ms]
