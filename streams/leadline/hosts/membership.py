"""A stateful lane as a member of its step's consumer group: rebalances and offsets."""

import asyncio

import structlog

from leadline.hosts.contract import Installation
from leadline.hosts.footing import Footing, Standing
from leadline.hosts.health import StageState
from leadline.hosts.tasks import Tasks
from leadline.hosts.work import OpenTask
from leadline.kafka.errors import KafkaError
from leadline.kafka.group import GroupConsumer, Source
from leadline.state.task import refuse_moved_keys
from leadline.topology import Step
from leadline.wire.origins import Origin
from leadline.wire.run import Run

log = structlog.get_logger("leadline.lane")


class Membership:
    """One membership in a group: what the group gives this worker, and how far this worker is. It ends with `leave`, and is not used again.

    It is of one ``standing`` of the topics: with the next one another membership begins (`holds`).

    - ``assigned``: the sources that the group gives to this worker; None from when it takes them away until it gives others.
    - ``opened``: the ``assigned`` whose tasks are open; None while there are none. Records are worked on while both are one object.
    - ``processed``, by source: the offset behind all that is in its task's state. It counts ends of transactions, which are in the log and
      never handed over.
    - ``committed``, by source: the offset that the group has. It follows ``processed``, and nothing is restored from it: what a state
      contains, the state itself says.
    - ``reached``, by source: the timestamp of the last record that was worked on (ms). It is no offset.

    ``turn`` is held by whoever works on a run or changes tasks. So a rebalance waits for the end of a run, and never for a whole round.
    """

    def __init__(
        self, step: Step, installation: Installation, footing: Footing, standing: Standing, stopping: asyncio.Event
    ) -> None:
        self.step = step
        self._footing = footing
        self._standing = standing
        self.tasks = Tasks(step, installation, standing)
        self.turn = asyncio.Lock()
        self.assigned: set[Source] | None = None
        self.opened: set[Source] | None = None
        self.processed: dict[Source, int] = {}
        self.committed: dict[Source, int] = {}
        self.reached: dict[Source, int] = {}
        self._health = installation.health
        self._stopping = stopping
        self._committing: asyncio.Task[None] | None = None
        self.consumer = GroupConsumer(
            installation.bootstrap,
            installation.group(step),
            {topic: installation.topic_name(topic) for topic in step.reads},
            installation.settings.session_timeout,
            self._on_assigned,
            self._on_revoked,
            one_member=step.gathers,
        )

    @property
    def holds(self) -> bool:
        """Whether the topics are still those that it began with."""
        return self._footing.standing is self._standing

    async def leave(self) -> None:
        """Leave the group, and close the tasks."""
        if self._committing is not None:
            self._committing.cancel()  # without a coordinator it is tried again for ever, even when the consumer is closed
        try:
            await self.consumer.stop()
        finally:
            await self._close_tasks()
            self._health.is_now(self.step.name, StageState.JOINING)

    # -- rebalance ----------------------------------------------------------------------------------------------------

    def _on_assigned(self, assigned: frozenset[Source]) -> None:
        """Leave it to the next round to open the tasks: heartbeats go on meanwhile."""
        self.assigned = set(assigned)

    async def _on_revoked(self) -> None:
        """Wait for the end of the run at hand, or of a restore, which is given up; commit what is done, and close the tasks."""
        self.assigned = None
        async with self.turn:
            await self.acknowledge()
            await self._close_tasks()
            self._health.is_now(self.step.name, StageState.JOINING)

    def is_at_work(self, opened: set[Source] | None) -> bool:
        """Whether the tasks that were open are so still, and nobody waits to take them away."""
        return opened is not None and self.assigned is opened and self.opened is opened

    async def open_tasks(self) -> None:
        """Open the tasks of an assignment that is new. Hold ``turn``."""
        assigned = self.assigned
        if assigned is None or assigned is self.opened:
            return
        await self._close_tasks()
        await self._footing.look()
        if not self.holds:
            return
        self._health.is_now(self.step.name, StageState.RESTORING, {self.tasks.partition_of(each) for each in assigned})
        committed = await self._committed()
        if not await self.tasks.open_for(assigned, lambda: self.assigned is assigned and not self._stopping.is_set()):
            return
        for source in assigned:
            offset, known = committed.get(source, (0, None))
            self.committed[source] = 0 if self._is_stale(source, known) else offset
            self.processed[source] = self._applied(source) + 1
            self.consumer.seek(source, self.processed[source])
        self.consumer.resume(assigned)
        self.opened = assigned
        self._health.is_now(self.step.name, StageState.RUNNING, self.tasks.open)
        log.info("assigned", step=self.step.name, partitions=sorted(self.tasks.open))

    async def _committed(self) -> dict[Source, tuple[int, Origin | None]]:
        """What the group has committed, and of which topics: of all sources, so that whoever has a part of them knows of moved keys."""
        sources = [Source(topic, n) for topic in self.step.reads for n in range(self._standing[topic].partitions)]
        found = {}
        for source, (offset, tag) in (await self.consumer.committed(sources)).items():
            known, now = Origin.read(tag), self._standing[source.topic]
            if known is not None and not now.is_other(known):
                refuse_moved_keys(self.step, source.topic, known, now)
            found[source] = offset, known
        return found

    def _is_stale(self, source: Source, known: Origin | None) -> bool:
        """Whether what the group has committed is of a topic that had this name before."""
        if known is not None:
            return self._standing[source.topic].is_other(known)
        return source.topic in self.tasks.open[self.tasks.partition_of(source)].hosted.remade

    def _applied(self, source: Source) -> int:
        hosted = self.tasks.open[self.tasks.partition_of(source)].hosted
        return hosted.applied.get(hosted.source(*source), -1)

    async def _close_tasks(self) -> None:
        self.opened = None
        for offsets in (self.processed, self.committed, self.reached):
            offsets.clear()
        await self.tasks.close()

    # -- sources ------------------------------------------------------------------------------------------------------

    def sources_of(self, task: OpenTask) -> list[Source]:
        """The sources that a task works on, in the order of its step's topics."""
        mine = [source for source in self.opened or () if self.tasks.task_of(source) is task]
        return sorted(mine, key=lambda source: (self.step.reads.index(source.topic), source.partition))

    async def is_idle(self, source: Source) -> bool:
        """Whether it is known that nothing is left to read of a source."""
        return self.consumer.is_known(source) and not await self.consumer.left(source)

    async def left(self) -> int:
        """Records that are known to be there, and not fetched yet."""
        return sum([await self.consumer.left(source) for source in self.opened or ()])

    # -- offsets ------------------------------------------------------------------------------------------------------

    def has_processed(self, run: Run) -> None:
        """All of a run is in its task's state."""
        source = Source(run.topic, run.partition)
        self.processed[source] = run.offsets[-1] + 1
        self.reached[source] = run.timestamps[-1]

    async def pass_markers(self) -> None:
        """Count the ends of transactions as processed; only where all that was fetched has been worked on."""
        for source in self.opened or ():
            if self.consumer.is_known(source):
                self.processed[source] = await self.consumer.position(source)

    def start_commit(self) -> None:
        """Commit beside the work; one commit at a time."""
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())

    async def acknowledge(self) -> None:
        """Commit all that is processed, and wait for it."""
        if self._committing is not None:
            await asyncio.wait([self._committing])
        await self._commit()

    async def _commit(self) -> None:
        processed = {source: max(offset, self.committed[source]) for source, offset in self.processed.items()}
        if processed == self.committed or not self.holds:
            return  # what was committed is never taken back: it shows where a changelog lost records
        try:
            tags = {topic: self._standing[topic].tag for topic in self.step.reads}
            await self.consumer.commit({source: (offset, tags[source.topic]) for source, offset in processed.items()})
            self.committed |= processed
        except KafkaError as error:
            log.warning("not committed", step=self.step.name, error=repr(error))
