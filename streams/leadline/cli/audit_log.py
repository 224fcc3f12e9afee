"""The entries of the audit: from the topic, or from an export."""

from collections.abc import AsyncIterator
from pathlib import Path

from leadline.core.release.chain import NO_ENTRY, EntryError, from_json
from leadline.records import AuditEntry, Record
from leadline.settings import SettingsError

Item = AuditEntry | str
"""An entry, or why what stands in its place is none."""


async def logged(bootstrap: str, prefix: str) -> AsyncIterator[Item]:
    """All that is in the topic now. Raises NoTopicError, KafkaError."""
    from leadline.kafka.cluster import read_all
    from leadline.wire.codec import read

    async for record in read_all(bootstrap, f"{prefix}.audit"):
        try:
            entry = read("audit", record.value)
        except ValueError as error:
            yield f"{NO_ENTRY} (offset {record.offset} of its topic: {error})"
            continue
        assert isinstance(entry, AuditEntry)
        yield entry


async def exported(path: Path) -> AsyncIterator[Item]:
    """All that is in an export. Raises SettingsError."""
    try:
        with path.open("rb") as lines:
            for line in lines:
                yield _entry(line)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None


def _entry(line: bytes) -> Item:
    try:
        return from_json(line)
    except EntryError as error:
        return str(error)


def decision(entry: AuditEntry) -> Record | None:
    """The record of an entry; None where it is not in the entry, or cannot be read."""
    from leadline.kafka.schemas import learn
    from leadline.wire.codec import read
    from leadline.wire.topics import FEW

    if entry.value is None or entry.topic not in FEW:
        return None
    learn([entry.value])  # the chain has the bytes of the log, whatever their form
    try:
        return read(entry.topic, entry.value)
    except ValueError:
        return None
