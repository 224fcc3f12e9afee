"""Reads a topic of Leadline as typed records, from any moment on, alone or as one of a group."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from leadline.kafka.connections import connection
from leadline.kafka.metadata import check_topics, partitions
from leadline.kafka.schemas import learn_while_others_work
from leadline.records import Record
from leadline.wire.single import read

R = TypeVar("R", bound=Record, covariant=True)
NOW: Final = "now"
"""From what is still to come."""
ORIGIN: Final = "origin"
"""From the oldest record that is kept."""
Since = str | datetime
"""`NOW`, `ORIGIN`, or a moment with a zone."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received(Generic[R]):
    """A record, and where it is in the log; ``time`` is that of the log."""

    record: R
    topic: str
    partition: int
    offset: int
    time: datetime


class Records(Generic[R]):
    """The committed records of one topic, in the order of each partition; use it as a context, and iterate over it.

    Records that cannot be read are passed over, logged and counted in ``unreadable``. With a ``group`` partitions are shared with others of
    its name, and who begins again goes on behind what was committed: by itself, or with ``by_hand`` by `commit` alone.
    """

    def __init__(self, bootstrap: str, prefix: str, topic: str, since: Since, group: str | None, by_hand: bool) -> None:
        if isinstance(since, datetime) and (group is not None or since.tzinfo is None):
            raise ValueError("a moment needs a zone, and no group: a group goes on where it was")
        if not isinstance(since, datetime) and since not in (NOW, ORIGIN):
            raise ValueError(f"since is {since!r}: give NOW, ORIGIN or a moment with a zone")
        if by_hand and group is None:
            raise ValueError("who commits by hand needs a group")
        self.unreadable = 0
        self._topic, self._since, self._group = topic, since, group
        self._name = f"{prefix}.{topic}"
        self._handed: dict[TopicPartition, int] = {}
        self._consumer = AIOKafkaConsumer(
            **connection(bootstrap),
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=group is not None and not by_hand,
            auto_offset_reset="earliest" if since == ORIGIN else "latest",
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._begin()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def __aiter__(self) -> AsyncIterator[Received[R]]:
        async for each in self._consumer:
            await learn_while_others_work([each.value])
            found = self._read(each)
            self._handed[TopicPartition(each.topic, each.partition)] = each.offset + 1
            if found is not None:
                yield found

    async def commit(self) -> None:
        """Whoever goes on in this group's name begins behind what has been handed out so far."""
        if self._handed:
            await self._consumer.commit(dict(self._handed))

    async def _begin(self) -> None:
        if self._group is not None:
            await check_topics(self._consumer, [self._name])
            self._consumer.subscribe([self._name])
            return
        assigned = await partitions(self._consumer, self._name)
        self._consumer.assign(assigned)
        if isinstance(self._since, datetime):
            at_ms = int(self._since.timestamp() * 1000)
            found = await self._consumer.offsets_for_times(dict.fromkeys(assigned, at_ms))
            ends = await self._consumer.end_offsets(assigned)
            for each, at in found.items():
                self._consumer.seek(each, ends[each] if at is None else at.offset)
        elif self._since == ORIGIN:
            await self._consumer.seek_to_beginning()
        else:
            await self._consumer.seek_to_end()
        for each in assigned:
            await self._consumer.position(each)

    def _read(self, each: Any) -> Received[R] | None:
        if each.value is None:
            return None
        try:
            record = read(self._topic, each.value)
        except ValueError as error:
            self.unreadable += 1
            _log.warning("%s %s/%s cannot be read: %s", each.topic, each.partition, each.offset, error)
            return None
        time = datetime.fromtimestamp(each.timestamp / 1000, UTC)
        return Received(record, self._topic, each.partition, each.offset, time)  # type: ignore[arg-type]
