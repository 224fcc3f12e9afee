"""A member of a consumer group: what the group gives it, what it fetches, what it commits."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from leadline.kafka.assignors import OneMemberAssignor
from leadline.kafka.columns import to_run
from leadline.kafka.connections import connection
from leadline.kafka.fetch import fetch
from leadline.kafka.private import by_batch, committed
from leadline.kafka.schemas import learnt
from leadline.kafka.stop import stop
from leadline.wire.run import Run

_FETCH_BYTES, _PARTITION_BYTES = 16 << 20, 2 << 20
_BUSY_MS = 86_400_000
"""So long a member may fetch nothing, such as while it restores state; after this it loses its partitions."""


class Source(NamedTuple):
    """One partition of a topic that a step reads; ``topic`` is without prefix."""

    topic: str
    partition: int


class Taken(NamedTuple):
    """Runs, and why there is nothing more of some sources: a batch of theirs is refused for now."""

    runs: list[Run]
    refused: dict[Source, str]


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """A consumer of ``topic_names`` (the full name of each topic) that shares their partitions with the other members of its group.

    ``on_assigned`` gets the sources that the group gives to this member; they are paused until `resume`. Before the group takes them away
    it waits for ``on_revoked``. ``one_member``: one member gets all partitions.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topic_names: Mapping[str, str],
        session_ms: int,
        on_assigned: Callable[[frozenset[Source]], None],
        on_revoked: Callable[[], Awaitable[None]],
        one_member: bool = False,
    ) -> None:
        self._names = dict(topic_names)
        self._topics = {name: topic for topic, name in self._names.items()}
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._held: set[TopicPartition] = set()
        self._consumer = AIOKafkaConsumer(
            **connection(bootstrap),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[OneMemberAssignor if one_member else RangePartitionAssignor],
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 10),
            max_poll_interval_ms=_BUSY_MS,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            retry_backoff_ms=50,
            isolation_level="read_committed",
        )

    async def start(self) -> None:
        """Join the group."""
        self._consumer.subscribe(list(self._topics), listener=self)
        await self._consumer.start()
        by_batch(self._consumer)

    async def stop(self) -> None:
        """Leave the group."""
        await stop(self._consumer)

    # -- rebalance ----------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - all go, eagerly
        await self._on_revoked()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._held.clear()
        if assigned:
            self._consumer.pause(*assigned)
        self._on_assigned(frozenset(Source(self._topics[tp.topic], tp.partition) for tp in assigned))

    # -- records ------------------------------------------------------------------------------------------------------

    async def fetch(self, sources: Iterable[Source], timeout_ms: int, max_records: int) -> Taken:
        """What has come of these sources (none named: of all), or comes within the time; one run a source.

        Nothing is fetched of a refused source until it is named again: what is then read is what the broker has then.
        """
        asked = list(map(self._tp, sources))
        self._consumer.resume(*self._held.intersection(asked))
        self._held.difference_update(asked)
        fetched = await fetch(self._consumer, *asked, timeout_ms=timeout_ms, max_records=max_records)
        self._consumer.pause(*fetched.refused)
        self._held.update(fetched.refused)
        runs = [to_run(self._topics[tp.topic], tp.partition, batches) for tp, batches in fetched.batches.items()]
        return Taken(
            await learnt(runs),
            {Source(self._topics[tp.topic], tp.partition): why for tp, why in fetched.refused.items()},
        )

    def resume(self, sources: Iterable[Source]) -> None:
        """Hand over records of these sources from now on."""
        resumed = list(map(self._tp, sources))
        if resumed:
            self._consumer.resume(*resumed)

    def seek(self, source: Source, offset: int) -> None:
        self._consumer.seek(self._tp(source), offset)

    # -- offsets ------------------------------------------------------------------------------------------------------

    def is_known(self, source: Source) -> bool:
        """Whether the end of a source is known, and so its position, which nobody then has to wait for."""
        return self._consumer.last_stable_offset(self._tp(source)) is not None

    async def position(self, source: Source) -> int:
        """The offset of the next record to fetch."""
        return int(await self._consumer.position(self._tp(source)))

    async def left(self, source: Source) -> int:
        """Records of a source that are known to be there, and not fetched yet."""
        end = self._consumer.last_stable_offset(self._tp(source))
        return 0 if end is None else max(0, end - await self.position(source))

    async def committed(self, sources: Iterable[Source]) -> dict[Source, tuple[int, str]]:
        """The offset that the group has of each source, and what was committed beside it; 0 and nothing where it has none."""
        by_tp = {self._tp(source): source for source in sources}
        found = await committed(self._consumer, list(by_tp))
        return {source: found.get(tp, (0, "")) for tp, source in by_tp.items()}

    async def commit(self, offsets: Mapping[Source, tuple[int, str]]) -> None:
        """Commit an offset of each source, and a text beside it."""
        await self._consumer.commit({self._tp(source): OffsetAndMetadata(*each) for source, each in offsets.items()})

    def _tp(self, source: Source) -> TopicPartition:
        return TopicPartition(self._names[source.topic], source.partition)
