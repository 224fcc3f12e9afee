"""The lane of steps with state: rounds of runs, each in one transaction.

A run is what one fetch brought of one source. For each run the processor decides (outputs and state changes, in memory), outputs and
changes are sent in one Kafka transaction, and when that is committed the state is kept on disk. The state holds the offset of the run, so
a run that is met again changes nothing; the group's committed offsets only follow. Each task has a transactional id of its own: whoever
takes the task over aborts what its former owner has not finished, and fences it, however long it slept.
"""

import asyncio
import math
import time
from contextlib import suppress
from typing import ClassVar

import structlog

from leadline.hosts.contract import Installation, Need
from leadline.hosts.footing import Footing
from leadline.hosts.health import StageState
from leadline.hosts.membership import Membership
from leadline.hosts.patience import KAFKA, Patience
from leadline.hosts.work import OpenTask
from leadline.kafka.errors import HOPELESS, KafkaError, is_lasting, said
from leadline.kafka.group import Source
from leadline.kafka.sender import TooLargeError
from leadline.kafka.stop import is_cancelled
from leadline.state.task import StateError
from leadline.topology import Step
from leadline.wire.run import Run

log = structlog.get_logger("leadline.lane")

COMMIT_EVERY_S = 0.5
TIME_EVERY_S = 0.5
WAIT_MS = 200
REST_S = 0.5
"""A lane that is not behind rests so long after a round: a run is a transaction, which costs as much as a thousand records."""
_TOO_LARGE = "what falls due"
STATE_AGAIN_S = 10.0
_STATE = "state"
_STANDING_S = 0.2


class StatefulLane:
    """Hosts one step with state on the partitions that its group gives to this worker; `run` until `stop`."""

    supports: ClassVar[frozenset[Need]] = frozenset(
        {Need.STATE, Need.TABLES, Need.SEVERAL_TOPICS, Need.GATHERING, Need.RAW, Need.ROUTES}
    )

    def __init__(self, step: Step, installation: Installation) -> None:
        self.step = step
        self._installation = installation
        self._footing = Footing(step, installation)
        self._stopping = asyncio.Event()
        self._patience = Patience(step.name, installation.health)
        self._committed_at = 0.0
        self._timed_at = 0.0

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done.

        It leaves the group and joins again when Kafka refuses something (a broker is away, another worker took a task over), and when a
        client ended by itself; ever later, where that does not pass by itself. A partition of which a batch cannot be read waits alone. It
        also joins again when its topics are other ones than before, and waits while they do not agree, or its state cannot be worked on.
        """
        async with self._footing.watched():
            await self._run()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._attend()
            except HOPELESS:
                raise
            except TooLargeError as error:  # and no record is the cause, which could become a dead letter
                await self._join_again(_TOO_LARGE, str(error), lasting=True)
            except StateError as error:
                await self._join_again(_STATE, str(error), lasting=True, at_most_s=STATE_AGAIN_S)
            except (KafkaError, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_cancelled():
                    raise
                await self._join_again(KAFKA, said(error), is_lasting(error))
        self._installation.health.is_now(self.step.name, StageState.STOPPED)

    async def _join_again(self, what: str, message: str, lasting: bool, at_most_s: float = math.inf) -> None:
        """Tell what failed, and wait until it may be tried again."""
        self._installation.health.joins_again(self.step.name, message)
        await self._wait(min(at_most_s, self._patience.failed(what, message, lasting)))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _attend(self) -> None:
        """Be a member of the group until stopped, or something fails, or its topics are others."""
        standing = self._footing.standing
        if standing is None:
            return await self._wait(_STANDING_S)
        member = Membership(self.step, self._installation, self._footing, standing, self._stopping)
        try:
            await member.consumer.start()
            while not self._stopping.is_set() and member.holds:
                await self._round(member)
            async with member.turn:
                await member.acknowledge()
        finally:
            await member.leave()

    async def _round(self, member: Membership) -> None:
        """Fetch once, and work on what came; then let time pass, and rest where the lane is not behind."""
        async with member.turn:
            await member.open_tasks()
            opened = member.opened
            wanted = await self._to_fetch(member)
        runs = await self._fetch(member, wanted)
        for run in sorted(runs, key=lambda run: self.step.reads.index(run.topic)):
            async with member.turn:
                await self._work(member, run, opened)
            await _let_clients_work()
        async with member.turn:
            left = await self._finish_round(member, idle=not runs) if member.is_at_work(opened) else 0
        count = sum(map(len, runs))
        self._installation.health.round(self.step.name, bool(count), left)
        if count and left <= 2 * count:  # the end of a transaction counts as a record
            await self._wait(REST_S)

    async def _to_fetch(self, member: Membership) -> list[Source]:
        """Partitions to fetch next: skip a source that is ahead in time of one that still has records.

        So a backlog of several topics is read nearly in the order in which its records came to be: an outcome that is read before its
        prediction costs more. Nothing waits for a source of which a batch was refused.
        """
        wanted: list[Source] = []
        for task in member.tasks.open.values():
            sources = member.sources_of(task)
            unread = [each for each in sources if not await self._is_read(member, each)] if len(sources) > 1 else []
            oldest = min((member.reached.get(source, 0) for source in unread), default=0)
            wanted += [source for source in sources if source not in unread or member.reached.get(source, 0) <= oldest]
        return wanted

    async def _is_read(self, member: Membership, source: Source) -> bool:
        """Whether nothing is left to read of a source, or it has to wait."""
        return self._patience.must_wait(self._name(source)) or await member.is_idle(source)

    async def _fetch(self, member: Membership, wanted: list[Source]) -> list[Run]:
        """What has come of these sources; one of which a batch was refused is asked again later."""
        if member.opened is not None:
            self._patience.keep({KAFKA, _TOO_LARGE, _STATE, *map(self._name, member.opened)})
        asked = [source for source in wanted if not self._patience.must_wait(self._name(source))]
        if wanted and not asked:
            await self._wait(WAIT_MS / 1000)
            return []
        runs, refused = await member.consumer.fetch(asked, WAIT_MS, self._installation.settings.run_records)
        for run in runs:
            self._patience.over(self._name(Source(run.topic, run.partition)))
        for source, why in refused.items():
            self._patience.failed(self._name(source), why, lasting=True)
        return runs

    def _name(self, source: Source) -> str:
        return f"{self._installation.topic_name(source.topic)}/{source.partition}"

    async def _work(self, member: Membership, run: Run, opened: set[Source] | None) -> None:
        """Work on a run until its end, or until the lane stops or somebody waits to take its tasks away."""
        source = Source(run.topic, run.partition)
        if not member.is_at_work(opened) or (task := member.tasks.task_of(source)) is None:
            return
        for part in task.parts(run, member.committed[source]):
            if self._stopping.is_set() or not member.is_at_work(opened):
                return
            await task.work(part)
            member.has_processed(part)
        member.has_processed(run)

    async def _finish_round(self, member: Membership, idle: bool) -> int:
        """Let time pass and start a commit, where either is due; returns how many records are left."""
        now = time.monotonic()
        if idle:
            await member.pass_markers()
        if idle or now - self._timed_at > TIME_EVERY_S:
            self._timed_at = now
            await self._let_time_pass(member)
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            self._committed_at = time.monotonic()
            member.start_commit()
        self._patience.calm(KAFKA)
        self._patience.calm(_TOO_LARGE)
        self._patience.calm(_STATE)
        return await member.left()

    async def _let_time_pass(self, member: Membership) -> None:
        """Let the clock's time pass for each task that has something due, in those of its topics that have nothing left to read."""
        if self._installation.settings.clock != "wall":
            return
        now_ms = int(time.time() * 1000)
        for task in member.tasks.open.values():
            if task.wake_at_ms is not None and task.wake_at_ms <= now_ms:
                await task.pass_time(now_ms, await self._idle_topics(member, task))

    async def _idle_topics(self, member: Membership, task: OpenTask) -> frozenset[str]:
        busy = {source.topic for source in member.sources_of(task) if not await member.is_idle(source)}
        return frozenset(self.step.reads) - busy


async def _let_clients_work() -> None:
    """Yield before the next run, so that the sender sends what this one brought and the fetcher asks for more. That takes three turns."""
    for _ in range(3):
        await asyncio.sleep(0)
