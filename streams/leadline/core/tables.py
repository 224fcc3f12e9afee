"""Tables: compacted topics that a stage needs whole, whatever partition of its own topics it works on."""

from leadline.core.processor import Batch
from leadline.records import Record

HISTORY = 100
"""So many records of a key are remembered; the oldest go first."""


class Table:
    """What a compacted topic says of each key: the newest record, and those before it.

    A host reads the topic and calls `apply`; the processors that share the table only ask it.
    """

    def __init__(self) -> None:
        self._records: dict[bytes, list[tuple[int, Record]]] = {}

    def apply(self, batch: Batch) -> None:
        """Take in records in the order of their log."""
        for key, arrival_ms, record in zip(batch.keys, batch.arrival_ms.tolist(), batch.records, strict=True):
            held = self._records.setdefault(key, [])
            held.append((arrival_ms, record))
            del held[:-HISTORY]

    def newest_first(self, key: bytes, arrived_by_ms: int | None = None) -> list[Record]:
        """The records of a key that had arrived by a time (None: all), the newest first."""
        held = self._records.get(key, [])
        return [record for arrival_ms, record in reversed(held) if arrived_by_ms is None or arrival_ms <= arrived_by_ms]
