"""Dead letters on the cluster: read, and their records sent again to where they were."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from leadline.kafka.cluster import read_runs, sizes
from leadline.kafka.reader import Reader
from leadline.kafka.sender import Row, TooLargeError, open_sender
from leadline.wire.letters import REPLAYED_HEADER, RETURNABLE, Letter, Origin, Seen, Wanted, letters_of
from leadline.wire.limits import BATCH_BYTES
from leadline.wire.partitions import partition_of
from leadline.wire.run import Run
from leadline.wire.topics import DEAD_LETTERS

_AT_ONCE = 500
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, TooLargeError)

Returned = Callable[[Letter, str | None], None]
"""Told of each letter whose record was sent again, or (with the reason) was not taken."""


async def letters(bootstrap: str, prefix: str, wanted: Wanted) -> AsyncIterator[Letter]:
    """The letters that are there now, and that somebody wants."""
    async for run in read_runs(bootstrap, f"{prefix}.{DEAD_LETTERS}"):
        for letter in letters_of(run, prefix):
            if letter in wanted:
                yield letter


async def letter_at(bootstrap: str, prefix: str, partition: int, offset: int) -> Letter | None:
    """One letter; None where there is none."""
    name = f"{prefix}.{DEAD_LETTERS}"
    end = (await sizes(bootstrap, [name])).get((name, partition), 0)
    if offset >= end:
        return None
    async with Reader(bootstrap, name, partitions=[partition]) as reader:
        if offset < (await reader.beginnings())[partition]:
            return None
        reader.from_offset(partition, offset)
        async for run in reader.until({partition: offset + 1}):
            for letter in letters_of(run, prefix):
                if letter.offset == offset:
                    return letter
    return None


async def look(bootstrap: str, prefix: str, asked: Iterable[Letter]) -> Seen:
    """What the topics hold of the records of these letters, from the oldest one on."""
    seen, asked = Seen(), list(asked)
    by_place = {letter.at: letter for letter in asked}
    for topic, of in _by_topic(asked).items():
        async for run in _records(bootstrap, prefix, topic, of, to_end=True):
            for i in _worth_a_look(run, of):
                origin, tags = Origin(topic, run.partition, run.offsets[i]), _tags(run.headers[i])
                key, value = run.keys[i], run.values[i]
                seen.returned.update(tag for tag in tags if tag in by_place and by_place[tag].is_of(key, value))
                letter = of.get(origin)
                if letter is not None and letter.is_of(key, value):
                    seen.there.add(origin)
                    if tags:
                        seen.again.add(origin)
    return seen


async def send_back(bootstrap: str, prefix: str, chosen: Sequence[Letter], seen: Seen, told: Returned) -> None:
    """Send the records of these letters again: as they are in their topic where they are still there, else as the letters hold them."""
    for topic, of in _by_topic(chosen).items():
        way = _Way(bootstrap, f"{prefix}.{topic}", told)
        await way.open()
        there = {origin: letter for origin, letter in of.items() if origin in seen.there}
        async for run in _records(bootstrap, prefix, topic, there, to_end=False):
            for i in _worth_a_look(run, there):
                letter = there.get(Origin(topic, run.partition, run.offsets[i]))
                if letter is not None and letter.is_of(run.keys[i], run.values[i]):
                    await way.send(letter, run.keys[i], run.values[i], run.headers[i])
        gone = {letter.at for origin, letter in of.items() if origin not in there}
        if gone:
            async for letter in letters(bootstrap, prefix, Wanted(topic=topic)):
                if letter.at in gone:
                    await way.send(letter, letter.key, letter.value, ())
        await way.flush()


class _Way:
    """To one topic. Records go to the partition where they were, in batches of which the broker takes all or nothing."""

    def __init__(self, bootstrap: str, topic_name: str, told: Returned) -> None:
        self._bootstrap, self._topic_name, self._told = bootstrap, topic_name, told
        self._partitions = 0
        self._waiting: defaultdict[int, list[tuple[Letter, Row]]] = defaultdict(list)

    async def open(self) -> None:
        self._partitions = len(await sizes(self._bootstrap, [self._topic_name]))

    async def send(self, letter: Letter, key: bytes | None, value: bytes | None, headers: Iterable[Any]) -> None:
        """Send a record, now or with the next ones."""
        assert letter.origin is not None
        was = letter.origin.partition
        partition = was if was < self._partitions else partition_of(key or b"", self._partitions)
        row = key, value, [*headers, (REPLAYED_HEADER, letter.at.encode())]
        self._waiting[partition].append((letter, row))
        rows = self._waiting[partition]
        if len(rows) >= _AT_ONCE or sum(map(_size, rows)) > BATCH_BYTES:
            del self._waiting[partition]
            last = rows.pop() if rows[1:] and sum(map(_size, rows)) > BATCH_BYTES else None
            await self._together(partition, rows)
            if last is not None:
                self._waiting[partition].append(last)

    async def flush(self) -> None:
        """Send what waits."""
        for partition, rows in self._waiting.items():
            await self._together(partition, rows)
        self._waiting.clear()

    async def _together(self, partition: int, rows: list[tuple[Letter, Row]]) -> None:
        """Send as one batch; where that is too large, each record alone."""
        try:
            async with open_sender(self._bootstrap, "") as sender:
                await sender.send_and_wait(self._topic_name, partition, [row for _, row in rows])
        except _TOO_LARGE:
            if not rows[1:]:
                return self._told(rows[0][0], f"{self._topic_name} takes no record so large")
            for each in rows:
                await self._together(partition, [each])
            return None
        for letter, _ in rows:
            self._told(letter, None)
        return None


def _by_topic(asked: Iterable[Letter]) -> dict[str, dict[Origin, Letter]]:
    """The letters whose records may go back, by topic and origin."""
    found: defaultdict[str, dict[Origin, Letter]] = defaultdict(dict)
    for letter in asked:
        if letter.origin is not None and letter.origin.topic in RETURNABLE:
            found[letter.origin.topic][letter.origin] = letter
    return found


async def _records(
    bootstrap: str, prefix: str, topic: str, of: Mapping[Origin, Letter], to_end: bool
) -> AsyncIterator[Run]:
    """The records of a topic from the first origin of each partition on, to the last one or to the end."""
    name = f"{prefix}.{topic}"
    known = {partition for _, partition in await sizes(bootstrap, [name])}
    offsets: defaultdict[int, list[int]] = defaultdict(list)
    for origin in of:
        if origin.partition in known:
            offsets[origin.partition].append(origin.offset)
    if not offsets:
        return
    async with Reader(bootstrap, name, topic, partitions=sorted(offsets)) as reader:
        beginnings, ends = await reader.beginnings(), await reader.ends()
        for partition, own in offsets.items():
            reader.from_offset(partition, min(max(min(own), beginnings[partition]), ends[partition]))
        until = (
            ends if to_end else {partition: min(max(own) + 1, ends[partition]) for partition, own in offsets.items()}
        )
        async for run in reader.until(until):
            yield run


def _worth_a_look(run: Run, of: Mapping[Origin, Letter]) -> list[int]:
    """Which records of a run are those of letters, or have headers."""
    return [
        i
        for i, (offset, headers) in enumerate(zip(run.offsets, run.headers, strict=True))
        if headers or Origin(run.topic, run.partition, offset) in of
    ]


def _tags(headers: Iterable[Any]) -> list[str]:
    return [(value or b"").decode(errors="replace") for name, value in headers if name == REPLAYED_HEADER]


def _size(each: tuple[Letter, Row]) -> int:
    key, value, headers = each[1]
    return len(key or b"") + len(value or b"") + sum(len(name) + len(said or b"") for name, said in headers) + 64
