"""The stateless lane: the consumer group, in this worker, of a stage that keeps nothing. Somebody waits for what it makes.

It has a thread of its own, and librdkafka's clients: a request is read, worked on and handed to the producer within a millisecond, where
aiokafka's coroutines take three (docs/decisions/0009). Small runs go out at once. Larger ones have a producer that waits a moment: else
their first record would travel alone, and make its readers work for it alone.

What has been worked on is committed when it is at the broker; what was not committed is worked on again, by whoever has the partition
then, and comes out the same.
"""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from leadline.core.models import Models
from leadline.core.processor import Output, Processor
from leadline.core.tables import Table
from leadline.hosts.runs import read, refused
from leadline.hosts.stateful import COMMIT_EVERY_S, JOIN_AGAIN_S
from leadline.kafka.connections import reach_librdkafka
from leadline.kafka.sender import CHANGELOG_BYTES, arrival_headers
from leadline.lookups.features import FeaturesAwayError, FeatureView
from leadline.settings import Settings
from leadline.state.memory import MemoryStore
from leadline.state.task import NO_TABLES
from leadline.topology import Step, Task
from leadline.wire.codec import FEW_REQUESTS, WIRE, Wire, keys_of
from leadline.wire.dead_letters import to_record
from leadline.wire.run import Headers, Run
from leadline.wire.topics import BY_NAME

log = structlog.get_logger("leadline.stateless")

WAIT_S = 0.2
"""A lane that is stopped while nothing comes stops so late at most."""
ARRIVE_S = 5.0
"""So long a commit waits for what is under way to the broker."""
LEAVE_S = 10.0
TOGETHER_MS = 2
_BY_KEY = -1
_HOPELESS = {
    KafkaError._AUTHENTICATION,
    KafkaError._INVALID_ARG,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}


_PRODUCING = {
    "enable.idempotence": True,
    "partitioner": "murmur2",
    "message.max.bytes": 2 * CHANGELOG_BYTES,
    "queue.buffering.max.messages": 10_000,
    "queue.buffering.max.kbytes": 64 << 10,
    "delivery.report.only.error": True,
}


class StatelessLane:
    """Hosts one stage on the partitions that its group gives to this worker; `run` until `stop`."""

    def __init__(
        self,
        step: Step,
        settings: Settings,
        bootstrap: str,
        models: Models,
        view: FeatureView,
        wire: Wire = WIRE,
        tables: Mapping[str, Table] = NO_TABLES,
    ) -> None:
        self.step = step
        self.settings = settings
        self.bootstrap = bootstrap
        self.models = models
        self.tables = tables
        self.view = view
        self.wire = wire
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""
        self.stopping.set()

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done.

        What Kafka refuses for now (a broker that is away), and features that are needed and not to be had, make it leave the group and join
        again.
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
                if isinstance(error, KafkaException) and error.args[0].code() in _HOPELESS:
                    raise
                log.warning("joining again", step=self.step.name, error=repr(error))
                self.stopping.wait(JOIN_AGAIN_S)

    def _attend(self) -> None:
        """Be a member of the group until stopped, or something fails."""
        member = _Member(self)
        try:
            while not self.stopping.is_set():
                member.round()
        finally:
            member.leave()


class _Member:
    """One membership in the group. ``processed``, by partition: the offset behind what has been handed to the producer."""

    def __init__(self, lane: StatelessLane) -> None:
        self._lane = lane
        [noun] = lane.step.reads
        self._noun = noun
        self._topic = lane.wire.topic(lane.settings.prefix, noun)
        self._processors: dict[int, Processor] = {}
        self._processed: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committed_at = 0.0
        self._failed: list[KafkaError] = []
        reached = reach_librdkafka(lane.bootstrap) | {"error_cb": self._on_error}
        self._consumer = Consumer(reached | _consuming(lane) | {"on_commit": self._on_commit})
        producing = reached | _PRODUCING | {"on_delivery": self._on_delivery}
        self._producers = [Producer(producing | {"linger.ms": linger_ms}) for linger_ms in (0, TOGETHER_MS)]
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def round(self) -> None:
        """Work on what has come; where nothing has, wait a little. Raises KafkaException, FeaturesAwayError."""
        first = self._consumer.poll(WAIT_S)
        if first is not None:
            more = self._consumer.consume(self._lane.settings.run_records - 1, 0)
            self._take([first, *more])
        for producer in self._producers:
            producer.poll(0)
        self._check()
        if time.monotonic() - self._committed_at > COMMIT_EVERY_S:
            self._committed_at = time.monotonic()
            self._commit()

    def leave(self) -> None:
        """Commit what is done, let go of the partitions, and give up what is still under way."""
        closing = threading.Thread(target=self._close, daemon=True)  # with the broker away it may wait for ever
        closing.start()
        closing.join(LEAVE_S)
        if closing.is_alive():
            log.warning("left without goodbye", step=self._lane.step.name)
        while self._producers:  # they know this object, and it them: nobody else would end their threads
            producer = self._producers.pop()
            producer.purge()
            with suppress(KafkaException):
                producer.flush(WAIT_S)
            del producer

    def _close(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("left with an error", step=self._lane.step.name, error=repr(error))

    # -- group --------------------------------------------------------------------------------------------------------

    def _on_assign(self, _: Consumer, assigned: list[TopicPartition]) -> None:
        step, lane = self._lane.step, self._lane
        partitions = sorted(each.partition for each in assigned)
        tasks = [Task(number, MemoryStore(), lane.models, lane.tables) for number in partitions]
        self._processors = {task.partition: step.processor(task) for task in tasks}
        log.info("assigned", step=step.name, partitions=partitions)

    def _on_revoke(self, _: Consumer, __: list[TopicPartition]) -> None:
        try:
            self._commit()  # it goes out before the group is told
        finally:
            self._let_go()

    def _on_lost(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._let_go()

    def _let_go(self) -> None:
        for held in (self._processors, self._processed, self._committed):
            held.clear()

    def _commit(self) -> None:
        """Tell the group how far this worker is, if what it has made until now is at the broker."""
        if self._processed == self._committed or not self._has_arrived():
            return
        offsets = [TopicPartition(self._topic, number, offset) for number, offset in self._processed.items()]
        self._committed = dict(self._processed)
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], offsets)

    def _has_arrived(self) -> bool:
        """Whether all that was handed to the producers is at the broker; some of it is waited for."""
        until = time.monotonic() + ARRIVE_S
        under_way = [producer.flush(max(0.0, until - time.monotonic())) for producer in self._producers]
        return not any(under_way) and not self._failed

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None:
            self._committed = {}
            log.warning("not committed", step=self._lane.step.name, error=error.str())

    # -- failures -----------------------------------------------------------------------------------------------------

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def _on_error(self, error: KafkaError) -> None:
        """Most are for the client itself to mend: it tries again, for as long as it takes. What is fatal, its other methods raise.

        A connection that breaks while a password is shown is told as a wrong password, with a local error as its reason.
        """
        if error.code() in _HOPELESS and "Local:" not in error.str():
            self._failed.append(error)

    def _check(self) -> None:
        if self._failed:
            raise KafkaException(self._failed[0])

    # -- work ---------------------------------------------------------------------------------------------------------

    def _take(self, messages: list[Message]) -> None:
        """Work on what was read of the partitions that are held; raises KafkaException for an error among it.

        The end of a partition lies behind the ends of transactions, which are in the log, and never handed over.
        """
        others = [message for message, error in zip(messages, map(Message.error, messages), strict=True) if error]
        for message in others:
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
        for _, found in groupby(messages, _place if others else Message.partition):
            part = list(found)
            partition = part[0].partition()
            if partition not in self._processors:
                continue
            if part[0].error():
                self._processed[partition] = part[-1].offset()
            else:
                self._run(partition, part)

    def _run(self, partition: int, messages: list[Message]) -> None:
        lane = self._lane
        run = _to_run(self._noun, partition, messages, lane.settings.clock == "records")
        batch, letters = read(run, lane.settings, lane.wire)
        if lane.step.lookups and len(batch):
            batch = replace(batch, lookups=lane.view.fetch(batch))
        effects = self._processors[partition].on_batch(batch)
        letters += refused(run, batch, effects.rejects)
        at_once, together = self._producers
        producer = at_once if len(run) <= FEW_REQUESTS else together
        for output in effects.outputs:
            self._send(producer, output)
        for letter in letters:
            row = to_record(letter, lane.settings.prefix, lane.step.name)
            self._produce(producer, f"{lane.settings.prefix}.dead-letters", _BY_KEY, *row)
        self._processed[partition] = run.offsets[-1] + 1

    def _send(self, producer: Producer, output: Output) -> None:
        assert output.partition is not None or BY_NAME[output.topic].route is None
        topic = self._lane.wire.topic(self._lane.settings.prefix, output.topic)
        keys, values = keys_of(output), self._lane.wire.encode(output)
        headers = arrival_headers(output) if self._lane.settings.clock == "records" else None
        partition = _BY_KEY if output.partition is None else output.partition
        if headers is None:
            self._produce_all(producer, topic, partition, keys, values)
        else:
            for row in zip(keys, values, headers, strict=True):
                self._produce(producer, topic, partition, *row)

    def _produce_all(
        self, producer: Producer, topic: str, partition: int, keys: list[bytes], values: list[bytes]
    ) -> None:
        """Hand over records without headers; where too much is under way, wait until it is less. Raises KafkaException."""
        rows: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
        while producer.produce_batch(topic, rows, partition=partition) < len(rows):
            rows = [row for row in rows if "_error" in row]
            errors = [row.pop("_error") for row in rows]
            self._failed += [error for error in errors if error.code() != KafkaError._QUEUE_FULL]
            self._wait_for_room(producer)

    def _produce(
        self, producer: Producer, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Hand over one record with headers."""
        while True:
            try:
                producer.produce(topic, value, key, partition, headers=headers)
            except BufferError:
                self._wait_for_room(producer)
            else:
                return

    def _wait_for_room(self, producer: Producer) -> None:
        """Until a producer has sent some of what it holds. Raises KafkaException, also where the lane is to stop and nothing moves."""
        moved = producer.poll(WAIT_S)
        self._check()
        if not moved and self._lane.stopping.is_set():
            raise KafkaException(KafkaError(KafkaError._QUEUE_FULL))


def _consuming(lane: StatelessLane) -> dict[str, Any]:
    session_ms = lane.settings.session_timeout
    return {
        "group.id": f"{lane.settings.prefix}.{lane.step.name}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": session_ms,
        "max.poll.interval.ms": max(300_000, session_ms),
        "heartbeat.interval.ms": max(100, session_ms // 10),
        "check.crcs": True,
        "max.partition.fetch.bytes": 1 << 20,
        "fetch.max.bytes": 4 << 20,
        "queued.max.messages.kbytes": 4 << 10,
        "queued.min.messages": lane.settings.run_records,
        "fetch.queue.backoff.ms": 10,
    }


def _place(message: Message) -> tuple[int, bool]:
    """What belongs together: records of one partition, or its end."""
    return message.partition(), message.error() is None


def _to_run(noun: str, partition: int, messages: Sequence[Message], with_headers: bool) -> Run:
    return Run(
        noun,
        partition,
        list(map(Message.offset, messages)),
        [time for _, time in map(Message.timestamp, messages)],
        list(map(Message.key, messages)),
        list(map(Message.value, messages)),
        [_headers(message) for message in messages] if with_headers else [()] * len(messages),
    )


def _headers(message: Message) -> Headers:
    """None where a name is not UTF-8. The client then returns a list and an error at once: only `map` looks for both."""
    try:
        [found] = map(Message.headers, [message])
    except (SystemError, UnicodeDecodeError):
        return []
    return list(found or [])
