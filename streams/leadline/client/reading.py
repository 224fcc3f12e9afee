"""Reads a topic of Leadline as typed records, from any moment on, alone or as one of a group."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from leadline.kafka.connections import connection
from leadline.kafka.metadata import check_topics, partitions
from leadline.kafka.schemas import learn_while_others_work
from leadline.kafka.stop import stop
from leadline.records import Record
from leadline.wire.conversion import moment
from leadline.wire.single import read
from leadline.wire.topics import BY_NAME

R = TypeVar("R", bound=Record, covariant=True)
NOW: Final = "now"
"""From what is still to come."""
ORIGIN: Final = "origin"
"""From the oldest record that is kept."""
Since = str | datetime
"""`NOW`, `ORIGIN`, or a moment with a zone."""
_log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        self._handed = _Handed()
        self._taking = asyncio.Lock()
        self._taken: Any = None
        self._consumer = AIOKafkaConsumer(
            **connection(bootstrap),
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=group is not None and not by_hand,
            auto_offset_reset="latest" if group is not None and since == NOW else "earliest",
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._begin()
        except BaseException:
            await stop(self._consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop(self._consumer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received[R]:
        """The next record, once there is one; who gives up waiting loses none. Raises StopAsyncIteration once it is closed."""
        async with self._taking:
            while True:
                if self._taken is None:
                    self._taken = await self._consumer.__anext__()
                await learn_while_others_work([self._taken.value])
                each, self._taken = self._taken, None
                self._handed.behind[TopicPartition(each.topic, each.partition)] = each.offset + 1
                found = self._read(each)
                if found is not None:
                    return found

    async def commit(self) -> None:
        """Whoever goes on in this group's name begins behind what has been handed out so far.

        What was handed out of a partition that another one of the group has by now is not committed: it comes again there.
        """
        behind = dict(self._handed.behind)
        if not behind:
            return
        try:
            await self._consumer.commit(behind)
        except (CommitFailedError, IllegalStateError) as error:
            _log.warning("not committed, the group shares its partitions anew: %r", error)

    async def _begin(self) -> None:
        if self._group is not None:
            await check_topics(self._consumer, [self._name])
            self._consumer.subscribe([self._name], listener=self._handed)
            return
        assigned = await partitions(self._consumer, self._name)
        self._consumer.assign(assigned)
        if isinstance(self._since, datetime):
            at_ms = max(0, moment(self._since))  # to Kafka a time before 1970 is none
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
        return Received(record, self._topic, each.partition, each.offset, _time(each.timestamp))  # type: ignore[arg-type]


class _Handed(ConsumerRebalanceListener):  # type: ignore[misc]
    """The offsets behind what was handed out, of the partitions that this one of the group still has."""

    def __init__(self) -> None:
        self.behind: dict[TopicPartition, int] = {}

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        for each in revoked:
            self.behind.pop(each, None)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing was handed out of them yet."""


def checked_topic(name: str) -> str:
    """The name of a topic that has records. Raises ValueError where there is none."""
    if name not in BY_NAME or not BY_NAME[name].records:
        raise ValueError(f"there is no topic {name!r}: choose from {', '.join(sorted(BY_NAME))}")
    return name


def _time(ms: int) -> datetime:
    """A time of the log, which a producer may have made up.

    >>> _time(-1).isoformat(), _time(2**62).year, _time(-(2**62)).year
    ('1969-12-31T23:59:59.999000+00:00', 9999, 1)
    """
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if ms > 0 else datetime.min.replace(tzinfo=UTC)
