"""The batched lane: the consumer group, in this worker, of a stage with state.

A run is what one fetch brought of one partition. For each run: decide (outputs and state changes, in memory), send outputs and state
changes in one Kafka transaction, and when that is committed write the state to disk. The state holds the offset of the run, so a run that
is met again changes nothing. The group's committed offsets only follow. Each task has a transactional id of its own: who takes the task
over aborts what its former owner has not finished, and fences it, however long it slept.

A rebalance is waited for between runs, never within one: `_turn` is held by whoever changes tasks or works on a run.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.structs import TopicPartition

from leadline.core.models import Models
from leadline.core.processor import Effects
from leadline.core.tables import Table
from leadline.hosts.changelog import check_new, restore
from leadline.hosts.runs import read, refused
from leadline.kafka.connections import reach
from leadline.kafka.fetch import by_batch, fetch, to_run
from leadline.kafka.sender import Sender, TooLargeError, new_producer
from leadline.kafka.stop import is_cancelled, stop
from leadline.settings import Settings
from leadline.state.rocksdb import RocksStore, discard_stale
from leadline.state.task import NO_TABLES, HostedTask, state_path
from leadline.topology import Step
from leadline.wire.codec import WIRE, Wire
from leadline.wire.dead_letters import to_record
from leadline.wire.run import DeadLetter, Run

log = structlog.get_logger("leadline.lane")

COMMIT_EVERY_S = 0.5
TIME_EVERY_S = 0.5
STALE_S = 6 * 86_400
"""Shorter than the changelogs' delete.retention.ms."""
WAIT_MS = 200
REST_S = 0.5
"""A lane that is not behind rests so long after a round: a run is a transaction, which costs as much as a thousand records."""
JOIN_AGAIN_S = 1.0
RESTORE_MS = 86_400_000
"""So long a state may take to be restored: who asks for no records meanwhile loses its place in the group after this."""
_HOPELESS = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class Lane(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hosts one stage on the partitions that its group gives to this worker; `run` until `stop`."""

    def __init__(
        self,
        step: Step,
        settings: Settings,
        bootstrap: str,
        models: Models,
        wire: Wire = WIRE,
        tables: Mapping[str, Table] = NO_TABLES,
    ) -> None:
        self.step = step
        self._settings = settings
        self._bootstrap = bootstrap
        self._models = models
        self._tables = tables
        self._wire = wire
        self._nouns = {self._topic(noun): noun for noun in step.reads}
        self._tasks: dict[int, HostedTask] = {}
        self._senders: dict[int, Sender] = {}
        self._assigned: set[TopicPartition] | None = None
        self._opened: set[TopicPartition] | None = None
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._processed: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committed_at = 0.0
        self._committing: asyncio.Task[None] | None = None
        self._timed_at = 0.0
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def group(self) -> str:
        """Name of the consumer group."""
        return f"{self._settings.prefix}.{self.step.name}"

    @property
    def _changelog(self) -> str:
        return self._topic(f"{self.step.name}-changelog")

    @property
    def consumer(self) -> AIOKafkaConsumer:
        assert self._consumer is not None
        return self._consumer

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done.

        What Kafka refuses for now (a broker that is away, a task that another worker took over) makes it leave the group and join again; so
        does a client that ended by itself.
        """
        while not self._stopping.is_set():
            try:
                await self._attend()
            except _HOPELESS:
                raise
            except (KafkaError, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_cancelled():
                    raise
                log.warning("joining again", step=self.step.name, error=repr(error))
                await self._wait(JOIN_AGAIN_S)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _attend(self) -> None:
        """Be a member of the group until stopped, or something fails."""
        session_ms = self._settings.session_timeout
        self._consumer = AIOKafkaConsumer(
            **reach(self._bootstrap),
            group_id=self.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 10),
            max_poll_interval_ms=RESTORE_MS,
            max_partition_fetch_bytes=2 << 20,
            fetch_max_bytes=16 << 20,
            retry_backoff_ms=50,
            isolation_level="read_committed",
        )
        self._assigned = None
        self._consumer.subscribe([self._topic(noun) for noun in self.step.reads], listener=self)
        try:
            await self._consumer.start()
            by_batch(self._consumer)
            while not self._stopping.is_set():
                await self._round()
            async with self._turn:
                await self._acknowledge()
        finally:
            await self._leave()

    def _topic(self, noun: str) -> str:
        return self._wire.topic(self._settings.prefix, noun)

    # -- rebalance ----------------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002 - all go, eagerly
        """Finish the run at hand, or give up what is being restored; commit what is done, and let go of the tasks."""
        self._assigned = None
        async with self._turn:
            await self._acknowledge()
            await self._close_tasks()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Hold the new partitions until their state is here; the next round sees to it, while heartbeats go on."""
        if assigned:
            self.consumer.pause(*assigned)
        self._assigned = set(assigned)

    async def _open_tasks(self, assigned: set[TopicPartition]) -> None:
        partitions = sorted({tp.partition for tp in assigned})
        await asyncio.gather(*map(self._open_sender, partitions))
        for partition in partitions:
            task = self._tasks[partition] = HostedTask(
                self.step, partition, self._store(partition), self._models, self._tables
            )
            await restore(task, self._changelog, self._bootstrap, lambda: self._wanted(assigned))
            if not self._wanted(assigned):
                await self._close_tasks()
                return
            for tp in [tp for tp in assigned if tp.partition == partition]:
                self._committed[tp] = await self.consumer.committed(tp) or 0
                self._processed[tp] = task.applied.get(self._nouns[tp.topic], -1) + 1
                self.consumer.seek(tp, self._processed[tp])
        if assigned:
            self.consumer.resume(*assigned)
        self._opened = assigned
        log.info("assigned", step=self.step.name, partitions=partitions)

    def _wanted(self, assigned: set[TopicPartition]) -> bool:
        """Whether the tasks of these partitions are still to be opened."""
        return self._assigned is assigned and not self._stopping.is_set()

    async def _open_sender(self, partition: int) -> None:
        """First of all: from here on the former owner of a task changes nothing any more."""
        producer = new_producer(self._bootstrap, f"{self.group}.{partition}")
        pass_on_arrival = self._settings.clock == "records"
        self._senders[partition] = Sender(producer, self._settings.prefix, pass_on_arrival, self._wire)
        await producer.start()

    def _store(self, partition: int) -> RocksStore:
        path = state_path(self._settings.state, self._settings.prefix, self.step.name, partition)
        if discard_stale(path, time.time() - STALE_S):
            log.warning("state on this disk is too old, and read anew from the changelog", path=str(path))
        return RocksStore(path)

    async def _close_tasks(self) -> None:
        self._opened = None
        for task in self._tasks.values():
            task.store.close()
        senders = list(self._senders.values())
        for held in (self._tasks, self._senders, self._processed, self._reached, self._committed):
            held.clear()
        await asyncio.gather(*(sender.close() for sender in senders))

    async def _leave(self) -> None:
        if self._committing is not None:
            self._committing.cancel()  # without a coordinator it is tried again for ever, even when the consumer is closed
            self._committing = None
        try:
            await stop(self.consumer)
        finally:
            await self._close_tasks()

    # -- work ---------------------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        async with self._turn:
            assigned = self._assigned
            if assigned is not None and assigned is not self._opened:
                await self._close_tasks()
                await self._open_tasks(assigned)
            wanted = await self._not_ahead()
        most = self._settings.run_records
        fetched = await fetch(self.consumer, *wanted, timeout_ms=WAIT_MS, max_records=most)
        count, left = 0, 0
        for tp in sorted(fetched, key=lambda tp: self.step.reads.index(self._nouns[tp.topic])):
            run = to_run(self._nouns[tp.topic], tp.partition, fetched[tp])
            count += len(run)
            async with self._turn:
                if self._assigned is assigned and tp.partition in self._tasks:
                    await self._work(self._tasks[tp.partition], tp, run)
            await _let_clients_work()
        async with self._turn:
            if self._assigned is assigned:
                if not fetched:
                    await self._pass_markers()
                if not fetched or time.monotonic() - self._timed_at > TIME_EVERY_S:
                    await self._let_time_pass()
                if time.monotonic() - self._committed_at > COMMIT_EVERY_S and not self._is_committing:
                    self._committed_at = time.monotonic()
                    self._committing = asyncio.create_task(self._commit())
                left = sum([await self._left(tp) for tp in assigned or ()])
        if count and left <= 2 * count:  # the end of a transaction counts as a record
            await self._wait(REST_S)

    async def _not_ahead(self) -> list[TopicPartition]:
        """Of the sources of each task those that are not ahead, in time, of another one with records left to read.

        With a backlog in both, records so come nearly as they came to be; an outcome that overtakes its prediction costs more.
        """
        if len(self.step.reads) == 1:
            return [TopicPartition(self._topic(noun), number) for number in self._tasks for noun in self.step.reads]
        wanted = []
        for number in self._tasks:
            places = [TopicPartition(self._topic(noun), number) for noun in self.step.reads]
            unread = [tp for tp in places if not await self._is_idle(tp)]
            oldest = min((self._reached.get(tp, 0) for tp in unread), default=0)
            wanted += [tp for tp in places if tp not in unread or self._reached.get(tp, 0) <= oldest]
        return wanted

    async def _work(self, task: HostedTask, tp: TopicPartition, run: Run) -> None:
        unseen, most = task.unseen(run), self._settings.run_records
        check_new(task, self._changelog, unseen, self._committed[tp])
        for start in range(0, len(unseen), most):
            await self._run(task, unseen.part(start, start + most) if len(unseen) > most else unseen)
        self._processed[tp] = run.offsets[-1] + 1
        self._reached[tp] = run.timestamps[-1]

    async def _run(self, task: HostedTask, run: Run, caught_up: bool = False) -> None:
        """Work on a run; ``caught_up``: nothing is due before it. What does not fit into one transaction is done in parts."""
        batch, letters = read(run, self._settings, self._wire)
        effects = task.processor.on_batch(batch)
        letters += refused(run, batch, effects.rejects)
        task.apply(run.topic, run.offsets[-1])
        try:
            await self._finish(task, effects, letters)
        except TooLargeError:
            task.undo()
            if len(run) > 1:
                for part in (run.part(0, len(run) // 2), run.part(len(run) // 2, len(run))):
                    await self._run(task, part)
            elif caught_up:
                raise
            else:  # most of it is what was due before
                await self._pass_time(task, batch.arrival_max_ms - 1, frozenset({run.topic}))
                await self._run(task, run, caught_up=True)

    async def _pass_time(self, task: HostedTask, now_ms: int, idle: frozenset[str]) -> None:
        """Let time pass for the sources that have nothing left to read; in two steps, where too much is due at once."""
        try:
            await self._finish(task, task.processor.on_time(now_ms, idle), [])
        except TooLargeError:
            task.undo()
            wake_at_ms = task.processor.wake_at_ms
            if wake_at_ms is None or wake_at_ms >= now_ms:
                raise
            await self._pass_time(task, (wake_at_ms + now_ms) // 2, idle)
            await self._pass_time(task, now_ms, idle)

    async def _finish(self, task: HostedTask, effects: Effects, letters: list[DeadLetter]) -> None:
        """Outputs and the changelog, then the disk."""
        changes = task.store.changes()
        if not changes:
            return
        sender = self._senders[task.partition]
        rows = [to_record(letter, self._settings.prefix, self.step.name) for letter in letters]
        whole = sender.whole(changes)
        task.commit(await sender.send_run(effects.outputs, rows, self._changelog, task.partition, whole))

    async def _let_time_pass(self) -> None:
        """Tell the tasks what time it is; their sources that have nothing left to read follow it, though others may be busy."""
        self._timed_at = time.monotonic()
        if self._settings.clock != "wall":
            return
        now_ms = int(time.time() * 1000)
        for task in self._tasks.values():
            wake_at_ms = task.processor.wake_at_ms
            if wake_at_ms is not None and wake_at_ms <= now_ms:
                idle = frozenset(
                    [
                        noun
                        for noun in self.step.reads
                        if await self._is_idle(TopicPartition(self._topic(noun), task.partition))
                    ]
                )
                await self._pass_time(task, now_ms, idle)

    async def _pass_markers(self) -> None:
        """Count the ends of transactions as processed: they are in the log, and never handed over."""
        for task in self._tasks.values():
            for noun in self.step.reads:
                tp = TopicPartition(self._topic(noun), task.partition)
                if (
                    self.consumer.last_stable_offset(tp) is not None
                ):  # else the position may not be known, and waited for
                    self._processed[tp] = await self.consumer.position(tp)

    async def _is_idle(self, tp: TopicPartition) -> bool:
        return self.consumer.last_stable_offset(tp) is not None and not await self._left(tp)

    async def _left(self, tp: TopicPartition) -> int:
        """Records of a partition that are known to be there, and not read yet."""
        end = self.consumer.last_stable_offset(tp)
        return 0 if end is None else max(0, end - await self.consumer.position(tp))

    @property
    def _is_committing(self) -> bool:
        return self._committing is not None and not self._committing.done()

    async def _acknowledge(self) -> None:
        if self._committing is not None:
            await asyncio.wait([self._committing])
        await self._commit()

    async def _commit(self) -> None:
        """Tell the group how far this worker is, if it does not know."""
        if self._processed == self._committed:
            return
        processed = dict(self._processed)
        try:
            await self.consumer.commit(processed)
            self._committed |= processed
        except KafkaError as error:
            log.warning("not committed", step=self.step.name, error=repr(error))


async def _let_clients_work() -> None:
    """Before the next run is worked on, the sender sends what this one brought, and the fetcher asks for more: so many turns they need."""
    for _ in range(3):
        await asyncio.sleep(0)
