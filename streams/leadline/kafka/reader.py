"""Reads one topic without a group: from the beginning, from an offset, or the newest records; to an end, or for ever."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from leadline.kafka import metadata
from leadline.kafka.columns import to_run
from leadline.kafka.connections import connection
from leadline.kafka.fetch import RefusedError, fetch
from leadline.kafka.private import by_batch
from leadline.kafka.stop import stop
from leadline.wire.run import Run

WAIT_MS = 500
FETCH_BYTES = 1 << 20
_STOP_S = 5.0

Offsets = Mapping[int, int]
"""By partition, the offset behind a record."""


class Reader:
    """Reads the committed records of a topic (of all its partitions, or of those named), as runs that say they are of ``topic``.

    A batch that cannot be read comes as one record without value. Use it as a context, or `start` and `stop` it; say where to begin; then
    take what comes. Before that it reads nothing.
    """

    def __init__(
        self,
        bootstrap: str,
        topic_name: str,
        topic: str = "",
        partitions: Iterable[int] = (),
        fetch_bytes: int = FETCH_BYTES,
    ) -> None:
        self.topic_name = topic_name
        self._topic = topic or topic_name
        self._assigned = [TopicPartition(topic_name, partition) for partition in partitions]
        self._consumer = AIOKafkaConsumer(
            **connection(bootstrap),
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=fetch_bytes,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect; raises NoTopicError."""
        try:
            await self._consumer.start()
            by_batch(self._consumer)
            self._assigned = self._assigned or await metadata.partitions(self._consumer, self.topic_name)
            self._consumer.assign(self._assigned)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connections; again is no error."""
        await stop(self._consumer, _STOP_S)

    @property
    def partitions(self) -> list[int]:
        """The partitions that it reads, once started."""
        return [tp.partition for tp in self._assigned]

    # -- where to begin -----------------------------------------------------------------------------------------------

    async def from_beginning(self) -> None:
        await self._consumer.seek_to_beginning(*self._assigned)

    async def from_newest(self, count: int) -> None:
        """Begin ``count`` offsets before the end of each partition; 0 is with what is still to come."""
        for partition, end in (await self.ends()).items():
            self.from_offset(partition, max(0, end - count))

    def from_offset(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self.topic_name, partition), offset)

    # -- how far it is ------------------------------------------------------------------------------------------------

    async def beginnings(self) -> dict[int, int]:
        """The offset of the oldest record of each partition."""
        return _by_partition(await self._consumer.beginning_offsets(self._assigned))

    async def ends(self) -> dict[int, int]:
        """The present end of each partition, before transactions that are open."""
        return _by_partition(await self._consumer.end_offsets(self._assigned))

    async def offsets_at(self, time_ms: int) -> dict[int, int]:
        """The offset of the first record of each partition that is not older than a time; where there is none, the end."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._assigned, time_ms))
        ends = await self.ends()
        return {tp.partition: ends[tp.partition] if at is None else at.offset for tp, at in found.items()}

    async def positions(self) -> dict[int, int]:
        """The offset of the next record of each partition; ends of transactions are passed over."""
        return {tp.partition: await self._consumer.position(tp) for tp in self._assigned}

    async def has_reached(self, ends: Offsets) -> bool:
        """Whether all before these offsets has been taken."""
        return is_behind(await self.positions(), ends)

    async def heard_ms(self) -> int | None:
        """When a broker said last that all has been taken, of the partition of which that is longest ago; None where there is more."""
        times = []
        for tp in self._assigned:
            end, at_ms = self._consumer.last_stable_offset(tp), self._consumer.last_poll_timestamp(tp)
            if end is None or at_ms is None or await self._consumer.position(tp) < end:
                return None
            times.append(int(at_ms))
        return min(times, default=None)

    # -- what comes ---------------------------------------------------------------------------------------------------

    async def take(self, timeout_ms: int = WAIT_MS) -> list[Run]:
        """What has come, or comes within the time: at most one run a partition.

        Raises KafkaError where nothing will come any more, and RefusedError where a batch is refused and nothing else has come.
        """
        fetched = await fetch(self._consumer, timeout_ms=timeout_ms)
        if fetched.refused and not fetched.batches:
            raise RefusedError(next(iter(fetched.refused.values())))
        return [to_run(self._topic, tp.partition, batches) for tp, batches in fetched.batches.items()]

    async def until(self, ends: Offsets) -> AsyncIterator[Run]:
        """All records before these offsets."""
        while not await self.has_reached(ends):
            for run in await self.take():
                if before := run.part(0, bisect_left(run.offsets, ends[run.partition])):
                    yield before

    async def follow(self) -> AsyncIterator[Run]:
        """All records, as they come, until cancelled."""
        while True:
            for run in await self.take():
                yield run


def is_behind(positions: Offsets, ends: Offsets) -> bool:
    """Whether each position is at its end, or behind it.

    >>> is_behind({0: 5, 1: 7}, {0: 5, 1: 6}), is_behind({0: 5, 1: 7}, {0: 6})
    (True, False)
    """
    return all(positions[partition] >= end for partition, end in ends.items())


def _by_partition(offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {tp.partition: offset for tp, offset in offsets.items()}
