"""The trainer: takes retrain requests, one at a time, and says on ``trainings`` what becomes of each.

It is a member of a group that shares the partitions of the requests. It writes by one transactional producer a partition, so who takes a
partition over fences whoever had it, and a candidate is told once. No offset says which requests are done: the records of ``trainings`` do.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from leadline.core.release.rollouts.assignments import champion_since
from leadline.core.release.trainings import CANCELLED, FAILED, PROGRESS, STARTED, SUCCEEDED, Open
from leadline.core.scoring.routing import Deployments
from leadline.errors import LeadlineError
from leadline.foreign_text import shown
from leadline.hosts.contract import Installation
from leadline.hosts.health import StageState
from leadline.hosts.patience import KAFKA, Patience
from leadline.hosts.trainer.partition import COMMANDS, NAME, REQUESTS, Partition
from leadline.hosts.trainer.rows import log_now
from leadline.hosts.trainer.work import Standing, Work
from leadline.kafka.errors import HOPELESS, KafkaError, is_lasting, said
from leadline.kafka.group import GroupConsumer, Source
from leadline.kafka.sender import TooLargeError
from leadline.records import Candidate, Record, Training
from leadline.wire.run import Run

log = structlog.get_logger("leadline.trainer")

_WAIT_MS, _MOST = 500, 1000
_TELL_S, _BEAT_S = 5.0, 60.0
"""Progress is told no more often, where it changes, and no less often."""
_CHARS = 1000


class Trainer:
    """A trainer called ``name``. ``deployments``: who answers, by a table that is followed."""

    def __init__(self, name: str, installation: Installation, deployments: Deployments) -> None:
        self._name = name
        self._installation = installation
        self._deployments = deployments
        self._held: dict[int, Partition] = {}
        self._given: frozenset[Source] | None = None
        self._work: Work | None = None
        self._told = ("", 0.0)
        self._turn = asyncio.Lock()
        self._patience = Patience(NAME, installation.health)

    async def run(self) -> None:
        """Train until cancelled. Raises what trying again does not mend."""
        try:
            while True:
                try:
                    await self._member()
                except HOPELESS:
                    raise
                except KafkaError as error:
                    await asyncio.sleep(self._patience.failed(KAFKA, said(error), is_lasting(error)))
        finally:
            await self._drop_work()

    # -- membership ---------------------------------------------------------------------------------------------------

    async def _member(self) -> None:
        """One membership in the group. A training goes on through the next one where the partition comes back."""
        consumer = self._consumer()
        self._installation.health.is_now(NAME, StageState.JOINING)
        await consumer.start()
        try:
            while True:
                async with self._turn:
                    await self._open(consumer)
                runs = (await consumer.fetch([], _WAIT_MS, _MOST)).runs
                async with self._turn:
                    await self._round(consumer, runs)
        finally:
            await consumer.stop()
            await self._revoked()

    async def _round(self, consumer: GroupConsumer, runs: Sequence[Run]) -> None:
        for run in sorted(runs, key=lambda each: each.topic == COMMANDS):
            if run.partition in self._held:
                await self._held[run.partition].hear(run, self._name)
        if self._held and self._given is None and await self._caught_up(consumer):
            for partition in self._held.values():
                await partition.repeat()
            await self._go_on()
            self._patience.calm(KAFKA)
        self._installation.health.round(NAME, moved=self._work is not None)

    def _consumer(self) -> GroupConsumer:
        settings = self._installation.settings
        names = {topic: self._installation.topic_name(topic) for topic in (REQUESTS, COMMANDS)}
        group = f"{settings.prefix}.{NAME}"
        return GroupConsumer(
            self._installation.bootstrap, group, names, settings.session_timeout, self._assigned, self._revoked
        )

    def _assigned(self, sources: frozenset[Source]) -> None:
        self._given = sources

    async def _revoked(self) -> None:
        """Wait for the end of the round at hand, and let the partitions go; a training that runs waits whether its own comes back."""
        async with self._turn:
            await self._close()

    async def _close(self) -> None:
        held, self._held = self._held, {}
        for each in held.values():
            await each.close()

    async def _open(self, consumer: GroupConsumer) -> None:
        """Read what is known of the partitions that were given."""
        given = self._given
        if given is None:
            return
        await self._close()
        numbers = sorted({source.partition for source in given})
        for number in numbers:
            self._held[number] = partition = Partition(number, self._installation)
            await partition.open()
            consumer.seek(Source(REQUESTS, number), partition.requests_end)
        if self._given is not given:
            return
        consumer.resume(given)
        self._given = None
        if self._work is not None and self._partition_of(self._work) is None:
            await self._drop_work()
        self._installation.health.is_now(NAME, StageState.RUNNING, numbers)

    async def _caught_up(self, consumer: GroupConsumer) -> bool:
        """Whether all requests and commands that are there have been heard: a request may have been cancelled."""
        sources = [Source(topic, number) for topic in (REQUESTS, COMMANDS) for number in self._held]
        return all(map(consumer.is_known, sources)) and not any([await consumer.left(each) for each in sources])

    # -- trainings ----------------------------------------------------------------------------------------------------

    def _partition_of(self, work: Work) -> Partition | None:
        """Where a training that runs is still the newest attempt at its request, and has not ended; None: nowhere."""
        retrain_id = work.asked.request.retrain_id
        held = self._held.values()
        return next((each for each in held if retrain_id in each.trainings.under_way(self._name)), None)

    async def _go_on(self) -> None:
        """Begin a training, tell how it goes on, or end it."""
        if self._work is None:
            await self._begin()
            return
        partition = self._partition_of(self._work)
        if partition is None:
            log.info("a training was ended", retrain_id=self._work.asked.request.retrain_id)
            await self._drop_work()
        elif self._work.has_ended:
            work, self._work = self._work, None
            await self._say_ends(partition, work)
        else:
            await self._tell(partition, self._work)

    async def _begin(self) -> None:
        for partition in self._held.values():
            asked = partition.trainings.next()
            if asked is not None:
                standing = await self._standing(partition, asked)
                ended = self._ended_before(asked, standing)
                if ended is not None:
                    await partition.say([ended], standing.now_ms)
                    return
                log.info(
                    "a training begins",
                    model=asked.request.model,
                    retrain_id=asked.request.retrain_id,
                    attempt=asked.attempt,
                )
                await partition.say([self._record(asked, standing, STARTED, asked.request.cause)], standing.now_ms)
                self._work = Work(self._installation, asked, standing)
                self._told = (self._work.said, time.monotonic())
                return

    def _ended_before(self, asked: Open, standing: Standing) -> Training | None:
        """How a request ends that is not begun; None where it is."""
        champion, version = standing.champion, asked.request.model_version
        if asked.has_failed:
            return self._record(asked, standing, FAILED, _GIVEN_UP)
        if asked.last is None and champion not in (None, version):
            return self._record(asked, standing, CANCELLED, f"{version} got worse, and {champion} answers now")
        return None

    async def _standing(self, partition: Partition, asked: Open) -> Standing:
        model, last = asked.request.model, asked.last
        log = await log_now(self._installation)
        if last is not None and last.cut:
            log = replace(log, end=dict(last.cut), topic_ids=dict(last.topic_ids) or log.topic_ids)
        rollout = self._deployments.newest(model)
        candidates = partition.since(model, champion_since(rollout) if rollout is not None else -1)
        champion = rollout.champion if rollout is not None else None
        by_records = self._installation.settings.clock == "records"
        now_ms = asked.request.event_time if by_records else int(time.time() * 1000)
        return Standing(log, champion, candidates + 1, now_ms)

    async def _say_ends(self, partition: Partition, work: Work) -> None:
        now_ms = work.standing.now_ms
        try:
            await partition.say(await self._ends(work), now_ms)
        except TooLargeError as error:
            await partition.say([self._record(work.asked, work.standing, FAILED, str(error))], now_ms)

    async def _ends(self, work: Work) -> list[Record]:
        """The last records of a request."""
        asked, standing = work.asked, work.standing
        try:
            made, verdict = await work.result()
        except KafkaError:
            raise
        except Exception as error:  # noqa: BLE001 - a recipe, a check or a library may raise anything
            log.warning("a training failed", model=asked.request.model, error=_line(error))
            return [self._record(asked, standing, FAILED, _line(error))]
        request = asked.request
        message = f"{made.version} is a candidate: {verdict.reason}"
        ended = self._record(asked, standing, SUCCEEDED, message, made.version)
        parent = standing.champion or ""
        candidate = Candidate(
            request.model, made.version, parent, request.retrain_id, made.receipt, NAME, made.metrics, standing.now_ms
        )
        log.info("a training succeeded", model=request.model, version=made.version)
        return [ended, candidate, verdict]

    async def _tell(self, partition: Partition, work: Work) -> None:
        message, at = self._told
        since = time.monotonic() - at
        if since > _BEAT_S or (since > _TELL_S and work.said != message):
            self._told = (work.said, time.monotonic())
            await partition.say([self._record(work.asked, work.standing, PROGRESS, work.said)], work.standing.now_ms)

    def _record(self, asked: Open, standing: Standing, state: str, message: str, version: str = "") -> Training:
        request = asked.request
        cut, ids, text = dict(standing.log.end), dict(standing.log.topic_ids), shown(message, _CHARS)
        return Training(
            request.retrain_id,
            request.model,
            state,
            asked.attempt,
            cut,
            text,
            version,
            self._name,
            standing.now_ms,
            ids,
        )

    async def _drop_work(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            await work.end()


_GIVEN_UP = (
    "trainers ended in the middle of it again and again: look at their logs, and at training.memory of model.toml"
)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, LeadlineError) and text else f"{type(error).__name__}: {text or 'without a word'}"
