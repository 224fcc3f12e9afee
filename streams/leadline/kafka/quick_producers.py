"""librdkafka's producers, for a lane that somebody waits for (docs/decisions/0009).

They are used from one thread, whose calls also run their callbacks.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from leadline.kafka.connections import librdkafka_connection
from leadline.kafka.failures import Failures, Sent
from leadline.wire.limits import CHANGELOG_BYTES
from leadline.wire.run import Headers

_WAIT_S = 0.2
_TOGETHER_MS = 2
BY_KEY = -1
_PRODUCING = {
    "enable.idempotence": True,
    "partitioner": "murmur2",
    "message.max.bytes": 2 * CHANGELOG_BYTES,
    "queue.buffering.max.messages": 10_000,
    "queue.buffering.max.kbytes": 64 << 10,
    "delivery.report.only.error": True,
}


class QuickProducers:
    """Two producers: one sends at once; the other waits a moment, so that the first record of many does not travel alone.

    Records stand in the log in the order in which one of them was given them; between the two there is no order.
    """

    def __init__(self, bootstrap: str, failures: Failures, is_stopping: Callable[[], bool]) -> None:
        self._failures = failures
        self._is_stopping = is_stopping
        callbacks = {"error_cb": failures.on_error, "on_delivery": failures.on_delivery}
        options = librdkafka_connection(bootstrap) | _PRODUCING | callbacks
        self._producers = [Producer(options | {"linger.ms": linger_ms}) for linger_ms in (0, _TOGETHER_MS)]

    def send(
        self,
        topic_name: str,
        partition: int | None,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers] | None,
        at_once: bool,
    ) -> None:
        """Hand over records for a partition, or (None) for those of their keys.

        Waits while too much is under way; raises KafkaException, also where the lane is to stop and nothing moves.
        """
        producer, number = self._producers[not at_once], BY_KEY if partition is None else partition
        if headers is None:
            self._send_all(producer, topic_name, number, keys, values)
        else:
            for row in zip(keys, values, headers, strict=True):
                self._send_one(producer, topic_name, number, *row)

    def poll(self) -> None:
        """Run the callbacks of what has been delivered, or not."""
        for producer in self._producers:
            producer.poll(0)

    def has_arrived(self, within_s: float) -> bool:
        """Whether all that was handed over is at the broker; waits for some of it."""
        until = time.monotonic() + within_s
        under_way = [producer.flush(max(0.0, until - time.monotonic())) for producer in self._producers]
        return not any(under_way) and not self._failures and not self._failures.too_large

    def refused(self, within_s: float) -> list[Sent]:
        """Take the records that came in a batch too large for its topic, when nothing is under way. Raises KafkaException."""
        until = time.monotonic() + within_s
        while sum(producer.flush(_WAIT_S) for producer in self._producers):
            self._failures.check()
            if time.monotonic() > until or self._is_stopping():
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        self._failures.check()
        taken, self._failures.too_large = self._failures.too_large, []
        return taken

    def send_again(self, records: Sequence[Sent], within_s: float) -> list[Sent]:
        """Send records in batches of their own, and wait for them; those that still were in one too large for its topic."""
        for record in records:
            self._send_one(self._producers[-1], *record)
        return self.refused(within_s)

    def abandon(self) -> None:
        """Give up what is under way. A producer's thread ends with the last reference to it."""
        while self._producers:
            producer = self._producers.pop()
            producer.purge()
            with suppress(KafkaException):
                producer.flush(_WAIT_S)
            del producer

    def _send_all(
        self, producer: Producer, topic_name: str, number: int, keys: Sequence[bytes | None], values: Sequence[Any]
    ) -> None:
        rows: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
        while producer.produce_batch(topic_name, rows, partition=number) < len(rows):
            failed = [(row.pop("_error"), row) for row in rows if "_error" in row]
            for error, row in failed:
                if error.code() != KafkaError._QUEUE_FULL:
                    self._failures.add(error, Sent(topic_name, number, row["key"], row["value"], None))
            rows = [row for error, row in failed if error.code() == KafkaError._QUEUE_FULL]
            self._wait_for_room(producer)

    def _send_one(
        self,
        producer: Producer,
        topic_name: str,
        number: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
    ) -> None:
        while True:
            try:
                producer.produce(topic_name, value, key, number, headers=headers)
            except BufferError:
                self._wait_for_room(producer)
            except KafkaException as error:
                return self._failures.add(error.args[0], Sent(topic_name, number, key, value, headers))
            else:
                return None

    def _wait_for_room(self, producer: Producer) -> None:
        moved = producer.poll(_WAIT_S)
        self._failures.check()
        if not moved and self._is_stopping():
            raise KafkaException(KafkaError(KafkaError._QUEUE_FULL))
