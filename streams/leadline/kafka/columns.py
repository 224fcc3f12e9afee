"""From a fetched record batch to columns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from leadline.wire.run import Run

_STAMPED_BY_BROKER = 1


class _Unreadable(NamedTuple):
    """A record that aiokafka cannot parse; it has no value, and so ends as a dead letter."""

    offset: int
    timestamp: int
    key: None = None
    value: None = None
    headers: tuple[()] = ()


class Columns:
    """All records of one record batch from offset ``start`` on; ``offset`` is that of the last."""

    def __init__(self, batch: Any, start: int) -> None:
        records: list[Any] = []
        try:
            records.extend(batch)
        except UnicodeDecodeError:  # the name of a header; the rest of this producer's batch cannot be read
            first = records[-1].offset + 1 if records else batch.base_offset
            records += [_Unreadable(offset, batch.max_timestamp) for offset in range(first, batch.next_offset)]
        if start > batch.base_offset:
            records = [record for record in records if record.offset >= start]
        self.offset = batch.next_offset - 1
        self.offsets = _offsets(records)
        self.timestamps = (
            [batch.max_timestamp] * len(records)
            if batch.timestamp_type == _STAMPED_BY_BROKER
            else [record.timestamp for record in records]
        )
        self.keys = [record.key for record in records]
        self.values = [record.value for record in records]
        self.headers = [record.headers for record in records]


def _offsets(records: list[Any]) -> list[int]:
    """The offsets of some records; compaction may have left gaps."""
    if not records or records[-1].offset - records[0].offset != len(records) - 1:
        return [record.offset for record in records]
    return list(range(records[0].offset, records[-1].offset + 1))


def to_run(topic: str, partition: int, fetched: Sequence[Columns]) -> Run:
    """The fetched record batches of one partition as one run."""
    run = Run(topic, partition, [], [], [], [], [])
    for each in fetched:
        run.extend(each.offsets, each.timestamps, each.keys, each.values, each.headers)
    return run
