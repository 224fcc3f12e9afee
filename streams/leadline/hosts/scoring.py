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

from leadline.core.processor import Output, Processor
from leadline.hosts.contract import Installation, Need
from leadline.hosts.decoding import decode_run, refused_records
from leadline.hosts.settling import Settling
from leadline.kafka.failures import Failures, KafkaException, is_hopeless
from leadline.kafka.quick_consumer import QuickConsumer
from leadline.kafka.quick_producers import QuickProducers
from leadline.kafka.sender import arrival_headers
from leadline.lookups.features import FeaturesAwayError, FeatureView
from leadline.state.memory import MemoryStore
from leadline.topology import Step, Task
from leadline.wire.codec import FEW_REQUESTS, keys_of
from leadline.wire.dead_letters import to_record
from leadline.wire.run import Run
from leadline.wire.topics import DEAD_LETTERS

log = structlog.get_logger("leadline.scoring")

COMMIT_EVERY_S = 0.5
JOIN_AGAIN_S = 1.0
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
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""
        self.stopping.set()

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done.

        It leaves the group and joins again when Kafka refuses something for now (a broker is away), and when features are needed and
        cannot be had.
        """
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
            except (KafkaException, FeaturesAwayError) as error:
                if isinstance(error, KafkaException) and is_hopeless(error):
                    raise
                log.warning("joining again", step=self.step.name, error=repr(error))
                self.stopping.wait(JOIN_AGAIN_S)

    def _attend(self) -> None:
        """Be a member of the group until stopped, or something fails."""
        member = Member(self)
        try:
            while not self.stopping.is_set():
                member.round()
        finally:
            member.leave()


class Member:
    """One membership in the group; both are offsets by partition.

    - ``processed``: the offset behind what has been handed to the producers, and behind ends of transactions.
    - ``committed``: the offset that the group was given last; empty after a commit that failed.
    """

    def __init__(self, lane: ScoringLane) -> None:
        self._lane = lane
        self._step = lane.step
        self._installation = installation = lane.installation
        self._processed: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committed_at = 0.0
        self._processors: dict[int, Processor] = {}
        self._failures = Failures()
        [topic] = lane.step.reads
        self._consumer = QuickConsumer(
            installation.bootstrap,
            installation.group(lane.step),
            installation.topic_name(topic),
            topic,
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
        for run, end in self._consumer.fetch(WAIT_S):
            if run.partition in self._processors:
                if len(run):
                    self._work(run)
                    self._settling.has_sent(run)
                self._processed[run.partition] = end
        self._producers.poll()
        self._failures.check()
        if self._failures.too_large:
            self._settling.settle()
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S or self._settling.size > HELD_BYTES:
            self._committed_at = time.monotonic()
            self._commit()

    def leave(self) -> None:
        """Commit what is done, give the partitions back, and give up what is still under way."""
        if not self._consumer.close(LEAVE_S):
            log.warning("left without goodbye", step=self._step.name)
        self._producers.abandon()

    # -- group --------------------------------------------------------------------------------------------------------

    def on_assigned(self, partitions: list[int]) -> None:
        tables = self._installation.tables.of(self._step)
        models = self._installation.models
        self._processors = {
            partition: self._step.processor(Task(partition, MemoryStore(), models, tables)) for partition in partitions
        }
        log.info("assigned", step=self._step.name, partitions=partitions)

    def on_revoked(self) -> None:
        try:
            self._commit()  # it goes out before the group hears that the partitions are free
        finally:
            self.on_lost()

    def on_lost(self) -> None:
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

    def _work(self, run: Run) -> None:
        settings, wire = self._installation.settings, self._installation.wire
        batch, letters = decode_run(run, settings, wire)
        if self._step.lookups and len(batch):
            batch = replace(batch, lookups=self._lane.view.fetch(batch))
        effects = self._processors[run.partition].on_batch(batch)
        letters += refused_records(run, batch, effects.rejects)
        at_once = len(run) <= FEW_REQUESTS
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
