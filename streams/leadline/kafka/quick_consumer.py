"""librdkafka's consumer, for a lane that somebody waits for: a member of a group that reads one topic (docs/decisions/0009).

It is used from one thread, whose calls also run its callbacks.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from leadline.kafka.connections import librdkafka_connection
from leadline.kafka.failures import Failures, is_unread
from leadline.wire.limits import BATCH_UNPACKED_BYTES
from leadline.wire.origins import Origin
from leadline.wire.run import Headers, Run

log = structlog.get_logger("leadline.quick")

_COMMITTED_S = 10.0


class Listener(Protocol):
    """Hears of the partitions that a group gives to a member, and takes from it."""

    def on_assigned(self, partitions: list[int]) -> None: ...

    def on_revoked(self) -> None:
        """The group is about to take all partitions away."""

    def on_lost(self) -> None:
        """The group has taken all partitions away."""

    def on_not_committed(self, reason: str) -> None: ...


class QuickConsumer:
    """A member of a group that reads one topic, as runs of ``topic``. ``with_headers``: else no run has any.

    ``origin`` says which topic it is. An offset that was committed of another one, which had its name before, is not begun at.
    ``unread``, by partition: the offset of a batch that librdkafka cannot read, or may not because it unpacks to too much.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        topic_name: str,
        topic: str,
        origin: Origin,
        session_ms: int,
        most: int,
        with_headers: bool,
        failures: Failures,
        listener: Listener,
    ) -> None:
        self._topic_name = topic_name
        self._topic = topic
        self._origin = origin
        self._most = most
        self._with_headers = with_headers
        self._listener = listener
        self.unread: dict[int, int] = {}
        options = {"error_cb": failures.on_error, "on_commit": self._on_commit}
        self._consumer = Consumer(librdkafka_connection(bootstrap) | _consuming(group, session_ms, most) | options)
        self._consumer.subscribe(
            [topic_name],
            on_assign=self._on_assign,
            on_revoke=lambda *_: listener.on_revoked(),
            on_lost=lambda *_: listener.on_lost(),
        )

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        committed = consumer.committed(assigned, timeout=_COMMITTED_S)
        stale = [each for each in committed if self._origin.is_other(Origin.read(each.metadata or ""))]
        for each in stale:
            each.offset = OFFSET_BEGINNING
        if stale:
            log.warning(
                "a topic was made anew: it is read from its beginning", topic=self._topic, partitions=len(stale)
            )
        self.unread.clear()
        self._listener.on_assigned(sorted(each.partition for each in assigned))
        consumer.assign(committed)

    def fetch(self, wait_s: float) -> Iterator[tuple[Run, int]]:
        """What has come, or the first that comes within the time: runs, each with the offset behind it. Raises KafkaException.

        A run without records says that its partition has nothing left: its end lies behind the ends of transactions, which are in the log
        and never handed over. What librdkafka cannot read, `unread` names; nothing of that partition comes before `go_on`.
        """
        first = self._consumer.poll(wait_s)
        if first is None:
            return
        messages = [first, *self._consumer.consume(self._most - 1, 0)]
        errors = list(filter(None, map(Message.error, messages)))
        for _, found in groupby(messages, _partition_or_error if errors else Message.partition):
            part = list(found)
            partition, error = part[0].partition(), part[0].error()
            if partition in self.unread:
                continue  # librdkafka goes on behind what it cannot read
            if error is None:
                yield self._run(partition, part), part[-1].offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                yield self._run(partition, []), part[-1].offset()
            elif is_unread(error):
                self.unread[partition] = part[0].offset()
                self._consumer.pause([TopicPartition(self._topic_name, partition)])
            else:
                raise KafkaException(error)

    def go_on(self, partition: int, offset: int) -> None:
        """Hand over records of a partition again, from this offset on. Raises KafkaException."""
        del self.unread[partition]
        self._consumer.resume([TopicPartition(self._topic_name, partition)])
        self._consumer.seek(TopicPartition(self._topic_name, partition, offset))

    def rest(self) -> dict[int, int]:
        """Fetch nothing more; the present end of each partition. Raises KafkaException."""
        assigned = self._consumer.assignment()
        self._consumer.pause(assigned)
        ends = ((each, self._consumer.get_watermark_offsets(each, _COMMITTED_S)) for each in assigned)
        return {each.partition: end[1] for each, end in ends if end is not None}

    def wake(self, offsets: Mapping[int, int]) -> None:
        """Fetch again, from these offsets on. Raises KafkaException."""
        self._consumer.resume(self._consumer.assignment())
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(self._topic_name, partition, offset))

    def _run(self, partition: int, messages: Sequence[Message]) -> Run:
        return Run(
            self._topic,
            partition,
            list(map(Message.offset, messages)),
            [time_ms for _, time_ms in map(Message.timestamp, messages)],
            list(map(Message.key, messages)),
            list(map(Message.value, messages)),
            [_headers(message) for message in messages] if self._with_headers else [()] * len(messages),
        )

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Start to commit an offset for each partition."""
        beside = self._origin.tag
        asked = [TopicPartition(self._topic_name, partition, offset, beside) for partition, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=asked, asynchronous=True)
        except KafkaException as error:
            self._listener.on_not_committed(error.args[0].str())

    def left(self, processed: Mapping[int, int]) -> int | None:
        """Records behind these offsets, as far as the client knows the ends of their partitions; it asks nobody. None: of none it does."""
        ends = [
            (offset, self._consumer.get_watermark_offsets(TopicPartition(self._topic_name, partition), cached=True)[1])
            for partition, offset in processed.items()
        ]
        known = [max(0, end - offset) for offset, end in ends if end >= 0]
        return sum(known) if known else None

    def close(self, within_s: float) -> bool:
        """Leave the group; False where that is not done in time, as when the broker is away."""
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(within_s)
        return not closing.is_alive()

    def _close(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            log.warning("left with an error", topic=self._topic, error=repr(error))

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None:
            self._listener.on_not_committed(error.str())


def _consuming(group: str, session_ms: int, most: int) -> dict[str, Any]:
    return {
        "group.id": group,
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
        "receive.message.max.bytes": BATCH_UNPACKED_BYTES,  # zstd also unpacks to no more
        "queued.max.messages.kbytes": 4 << 10,
        "queued.min.messages": most,
        "fetch.queue.backoff.ms": 10,
    }


def _partition_or_error(message: Message) -> tuple[int, int]:
    """The same for what belongs together: records of one partition, its end, or an error."""
    error = message.error()
    return message.partition(), 0 if error is None else error.code()


def _headers(message: Message) -> Headers:
    """The headers of a record; none where a name is not UTF-8. The client then returns a list and sets an error: `map` sees both."""
    try:
        [found] = map(Message.headers, [message])
    except (SystemError, UnicodeDecodeError):
        return []
    return list(found or [])
