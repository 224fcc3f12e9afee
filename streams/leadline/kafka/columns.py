"""From a fetched record batch to columns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from leadline.kafka import lenient
from leadline.kafka.unpacking import TooMuchError
from leadline.wire.limits import BATCH_RECORDS
from leadline.wire.run import Run

_STAMPED_BY_BROKER = 1


class _Unreadable(NamedTuple):
    """The last record of a batch that cannot be read; without value it ends as a dead letter."""

    offset: int
    timestamp: int
    key: None = None
    value: None = None
    headers: tuple[()] = ()


class Columns:
    """All records of one record batch from offset ``start`` on; ``offset`` is that of the last.

    ``packed`` are the bytes of the batch. One that cannot be read is one record, its last; ``unreadable`` says of its offset what is wrong.
    """

    def __init__(self, batch: Any, start: int, packed: bytes | memoryview) -> None:
        base = getattr(batch, "base_offset", start)  # batches of before Kafka 0.11 have none, nor a type of timestamps
        records, self.unreadable = _read(batch, base, packed)
        if start > base:
            records = [record for record in records if record.offset >= start]
        self.offset = batch.next_offset - 1
        self.offsets = _offsets(records)
        self.timestamps = (
            [batch.max_timestamp] * len(records)
            if getattr(batch, "timestamp_type", None) == _STAMPED_BY_BROKER
            else [record.timestamp for record in records]
        )
        self.keys = [record.key for record in records]
        self.values = [record.value for record in records]
        self.headers = [record.headers for record in records]


def _read(batch: Any, base: int, packed: bytes | memoryview) -> tuple[list[Any], dict[int, str]]:
    """The records of a batch, and what is wrong with it, by its last offset. Its checksum holds: what cannot be read now never can."""
    records: list[Any] = []
    try:
        _check_size(batch.next_offset - base)
        try:
            records.extend(batch)
        except UnicodeDecodeError:  # the name of a header
            return list(lenient.records(packed)), {}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - each codec has errors of its own
        last = batch.next_offset - 1
        said = f"the batch of offsets {base} to {last} cannot be read: {error or type(error).__name__}"
        return [_Unreadable(last, getattr(batch, "max_timestamp", -1))], {last: said}
    return records, {}


def _check_size(count: int) -> None:
    if count > BATCH_RECORDS:
        raise TooMuchError(f"it has more than {BATCH_RECORDS} records")


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
        run.unreadable.update(each.unreadable)
    return run
