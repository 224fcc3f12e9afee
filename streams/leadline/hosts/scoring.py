"""The lane of a step that keeps nothing, and whose output somebody waits for.

It has a thread of its own, and librdkafka's clients: a request is read, worked on and handed to a producer within a millisecond, where
aiokafka's coroutines take three (docs/decisions/0009). What has been worked on is committed once its outputs are at the broker. What was
not committed is worked on again by whoever has the partition then, and comes out the same.
"""

import asyncio
import threading
import time
from dataclasses import replace
from typing import ClassVar

import structlog

from leadline.core.processor import Effects, Output, Processor
from leadline.hosts.contract import Installation, Need
from leadline.hosts.decoding import decode_run, refused_records
from leadline.hosts.footing import Footing, Standing
from leadline.hosts.health import StageState
from leadline.hosts.patience import KAFKA, Patience
from leadline.hosts.settling import Settling
from leadline.hosts.watching import Watch, WatchedModels
from leadline.kafka.errors import KafkaError, said
from leadline.kafka.errors import is_lasting as is_lasting_error
from leadline.kafka.failures import Failures, KafkaException, is_hopeless, is_lasting
from leadline.kafka.quick_consumer import QuickConsumer
from leadline.kafka.quick_producers import QuickProducers
from leadline.kafka.second_reading import read_from
from leadline.kafka.sender import arrival_headers
from leadline.lookups.features import FeaturesAwayError, FeatureView
from leadline.state.memory import MemoryStore
from leadline.topology import Step, Task
from leadline.wire.codec import FEW_REQUESTS, keys_of
from leadline.wire.dead_letters import to_record
from leadline.wire.limits import RUN_BYTES
from leadline.wire.run import DeadLetter, Run
from leadline.wire.topics import DEAD_LETTERS

log = structlog.get_logger("leadline.scoring")

COMMIT_EVERY_S = 0.5
TELL_EVERY_S = 1.0
_FEATURES = "features"
WAIT_S = 0.2
"""A lane that is stopped while nothing comes stops so late at most."""
ARRIVE_S = 5.0
"""So long a commit waits for what is under way to the broker."""
LEAVE_S = 10.0
HELD_BYTES = 32 << 20
"""A commit comes sooner where requests of so many bytes are held until all that came of them is at the broker."""


class ScoringLane:
    """Hosts one step without state on the partitions that its group gives to this worker; `run` until `stop`."""

    supports: ClassVar[frozenset[Need]] = frozenset({Need.LOOKUPS, Need.TABLES})

    def __init__(self, step: Step, installation: Installation, view: FeatureView) -> None:
        self.step = step
        self.installation = installation
        self.view = view
        self.patience = Patience(step.name, installation.health)
        self.footing = Footing(step, installation)
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""
        self.stopping.set()

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done.

        It leaves the group and joins again when Kafka refuses something (a broker is away), when features are needed and cannot be had, and
        when its topics are other ones than before; ever later, where that does not pass by itself. It waits while its topics do not agree.
        A partition of which a batch cannot be read waits alone.
        """
        async with self.footing.watched():
            working = asyncio.ensure_future(asyncio.to_thread(self._work))
            try:
                await asyncio.shield(working)
            finally:
                self.stop()
                await asyncio.wait([working])

    def _work(self) -> None:
        while not self.stopping.is_set():
            try:
                self._attend()
            except FeaturesAwayError as error:
                self.installation.health.joins_again(self.step.name, str(error))
                self.stopping.wait(self.patience.failed(_FEATURES, str(error), lasting=False))
            except KafkaException as error:
                if is_hopeless(error):
                    raise
                self.installation.health.joins_again(self.step.name, str(error))
                self.stopping.wait(self.patience.failed(KAFKA, str(error), is_lasting(error)))
        self.installation.health.is_now(self.step.name, StageState.STOPPED)

    def _attend(self) -> None:
        """Be a member of the group until stopped, or something fails, or its topics are others."""
        standing = self.footing.standing
        if standing is None:
            self.stopping.wait(WAIT_S)
            return
        member = self._member(standing)
        try:
            while not self.stopping.is_set() and self.footing.standing is standing:
                member.round()
        finally:
            member.leave()

    def _member(self, standing: Standing) -> "Member":
        return Member(self, standing, Watch())


class Member:
    """One membership in the group; both are offsets by partition.

    - ``processed``: the offset behind what has been handed to the producers, and behind ends of transactions.
    - ``committed``: the offset that the group was given last; empty after a commit that failed.
    """

    def __init__(self, lane: ScoringLane, standing: Standing, watch: Watch) -> None:
        self._lane = lane
        self._watch = watch
        self._step = lane.step
        self._installation = installation = lane.installation
        self._processed: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committed_at = 0.0
        self._told_at = 0.0
        self._processors: dict[int, Processor] = {}
        self._is_assigned = False
        self._failures = Failures()
        [topic] = lane.step.reads
        self._topic_name = installation.topic_name(topic)
        self._consumer = QuickConsumer(
            installation.bootstrap,
            installation.group(lane.step),
            self._topic_name,
            topic,
            standing[topic],
            session_ms=installation.settings.session_timeout,
            most=installation.settings.run_records,
            with_headers=installation.settings.clock == "records",
            failures=self._failures,
            listener=self,
        )
        self._producers = QuickProducers(installation.bootstrap, self._failures, lane.stopping.is_set)
        self._settling = Settling(lane.step, installation, self._producers)

    def round(self) -> None:
        """Work on what has come; where nothing has, wait a little. Raises KafkaException, FeaturesAwayError."""
        moved = False
        for run, end in self._consumer.fetch(WAIT_S):
            if run.partition in self._processors:
                moved = moved or len(run) > 0
                self._work_to(run.partition, [run], end)
        self._read_otherwise()
        self._producers.poll()
        self._failures.check()
        if self._failures.too_large:
            self._settling.settle()
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S or self._settling.size > HELD_BYTES:
            self._committed_at = time.monotonic()
            self._commit()
        if self._is_assigned:
            self._lane.patience.calm(KAFKA)
            self._lane.patience.calm(_FEATURES)
        self._tell(moved)

    def _tell(self, moved: bool) -> None:
        """Say how far it is: each time it worked on something, and now and then while nothing comes."""
        if moved or time.monotonic() - self._told_at > TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._installation.health.round(self._step.name, moved, self._consumer.left(self._processed))

    def _read_otherwise(self) -> None:
        """Read by the reader of all other stages what librdkafka cannot read, or may not; and tell of what nobody can read for now."""
        for partition, offset in list(self._consumer.unread.items()):
            where = f"{self._topic_name}/{partition}"
            if partition not in self._processors or self._lane.patience.must_wait(where):
                continue
            try:
                runs, end = read_from(
                    self._installation.bootstrap, self._topic_name, self._step.reads[0], partition, offset
                )
            except (KafkaError, TimeoutError) as error:
                self._lane.patience.failed(where, said(error), is_lasting_error(error))
            else:
                self._lane.patience.over(where)
                self._work_to(partition, runs, end)
                self._consumer.go_on(partition, end)

    def _work_to(self, partition: int, runs: list[Run], end: int) -> None:
        """Work on runs of a partition, behind which the offset is ``end``."""
        for run in runs:
            for part in run.parts(self._installation.settings.run_records, RUN_BYTES):
                self._work(part)
                self._settling.has_sent(part)
        self._processed[partition] = end

    def leave(self) -> None:
        """Commit what is done, give the partitions back, and give up what is still under way."""
        if not self._consumer.close(LEAVE_S):
            log.warning("left without goodbye", step=self._step.name)
        self._producers.abandon()

    # -- group --------------------------------------------------------------------------------------------------------

    def on_assigned(self, partitions: list[int]) -> None:
        tables = self._installation.tables.of(self._step)
        models = WatchedModels(self._installation.models, self._watch)
        self._processors = {
            partition: self._step.processor(Task(partition, MemoryStore(), models, tables)) for partition in partitions
        }
        self._is_assigned = True
        self._installation.health.is_now(self._step.name, StageState.RUNNING, partitions)
        log.info("assigned", step=self._step.name, partitions=partitions)

    def on_revoked(self) -> None:
        try:
            self._commit()  # it goes out before the group hears that the partitions are free
        finally:
            self.on_lost()

    def on_lost(self) -> None:
        self._is_assigned = False
        self._lane.patience.keep({KAFKA, _FEATURES})
        self._installation.health.is_now(self._step.name, StageState.JOINING)
        self._processors.clear()
        self._processed.clear()
        self._committed.clear()

    def _commit(self) -> None:
        """Commit all that is processed, if what came of it is at the broker."""
        if self._processed == self._committed or not self._producers.has_arrived(ARRIVE_S):
            return
        self._settling.has_arrived()
        self._committed = dict(self._processed)
        self._consumer.commit(self._committed)

    def on_not_committed(self, reason: str) -> None:
        self._committed = {}
        log.warning("not committed", step=self._step.name, error=reason)

    # -- work ---------------------------------------------------------------------------------------------------------

    def _decide(self, run: Run) -> tuple[Effects, list[DeadLetter]]:
        """The effects of a run, and its dead letters."""
        settings, health = self._installation.settings, self._installation.health
        batch, letters = decode_run(run, settings, self._installation.wire, self._step)
        if self._step.lookups and len(batch):
            batch = replace(batch, lookups=self._lane.view.fetch(batch))
        effects = self._processors[run.partition].on_batch(batch)
        health.unknown(effects.unknown)
        health.scored(effects.asked, effects.refused)
        health.called(effects.calls, self._watch.taken())
        return effects, letters + refused_records(run, batch, effects.rejects)

    def _work(self, run: Run) -> None:
        settings = self._installation.settings
        effects, letters = self._decide(run)
        # of two producers one may be sooner: where records tell the time, what stands behind a later one may be forgotten by then
        at_once = len(run) <= FEW_REQUESTS and settings.clock == "wall"
        for output in effects.outputs:
            self._send(output, at_once)
        for letter in letters:
            key, value, headers = to_record(letter, settings.prefix, self._step.name)
            self._producers.send(self._installation.topic_name(DEAD_LETTERS), None, [key], [value], [headers], at_once)

    def _send(self, output: Output, at_once: bool) -> None:
        installation = self._installation
        headers = arrival_headers(output) if installation.settings.clock == "records" else None
        values = installation.wire.encode(output)
        topic_name = installation.topic_name(output.topic)
        self._producers.send(topic_name, output.partition, keys_of(output), values, headers, at_once)
