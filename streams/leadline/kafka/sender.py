"""Records to Kafka, in whole batches, every delivery checked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from leadline.core.processor import Output
from leadline.kafka.connections import connection
from leadline.kafka.private import fill
from leadline.records import Record
from leadline.wire.cloud_events import headers_of
from leadline.wire.codec import WIRE, Wire, keys_of, routes_of
from leadline.wire.limits import BATCH_BYTES, CHANGELOG_BYTES
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER, Headers
from leadline.wire.topics import DEAD_LETTERS

Row = tuple[bytes | None, bytes | None, Headers]
Column = Sequence[bytes | None]
Delivery = asyncio.Future[RecordMetadata]

log = structlog.get_logger("leadline.sender")

TRANSACTION_MS = 30_000
_STOP_S = 5.0
_ROW_BYTES = 16


STATE, OUTPUT, LETTER = "state-too-large", "output-too-large", "letter-too-large"
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class TooLargeError(Exception):
    """What has to be written does not fit; ``reason`` says of what it was too much. ``refused``: it was the broker that said so."""

    def __init__(self, reason: str, detail: str, refused: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.refused = refused


class Sender:
    """Sends rows as record batches that it builds itself; a batch is appended to the log as a whole or not at all.

    The futures of its methods are done when the broker has what was sent. Where one of several batches is too large for its topic,
    `TooLargeError` says so.
    """

    def __init__(self, producer: AIOKafkaProducer, prefix: str, pass_on_arrival: bool, wire: Wire = WIRE) -> None:
        self._producer = producer
        self.prefix = prefix
        self._pass_on_arrival = pass_on_arrival
        self._wire = wire

    async def start(self) -> None:
        """Connect; with a transactional id this fences whoever had it before."""
        await self._producer.start()

    async def close(self) -> None:
        """Close the producer; what is in flight is abandoned after some seconds."""
        try:
            await asyncio.wait_for(self._producer.stop(), timeout=_STOP_S)
        except (TimeoutError, KafkaError) as error:
            log.warning("a producer did not stop cleanly", error=repr(error))

    async def replace(self, producer: AIOKafkaProducer) -> None:
        """Go on with a new producer of the same transactional id. The batches of the old one are numbered, and one that the broker
        refused leaves a gap: it takes no further ones.
        """
        await self.close()
        self._producer = producer
        await self.start()

    # -- rows ---------------------------------------------------------------------------------------------------------

    async def send(self, topic_name: str, partition: int, rows: Iterable[Row]) -> list[Delivery]:
        """Send rows to one partition."""
        return await self._send(topic_name, partition, *_columns(rows))

    async def send_and_wait(self, topic_name: str, partition: int, rows: Iterable[Row]) -> None:
        """Send rows to one partition, and wait until the broker has them."""
        await asyncio.gather(*await self.send(topic_name, partition, rows))

    async def send_clock(self, topic: str, partition: int, now_ms: int) -> list[Delivery]:
        """Send a record that only says what time it is; see `leadline.wire.run.ARRIVAL_HEADER`."""
        return await self.send(f"{self.prefix}.{topic}", partition, [(b"", None, [(ARRIVAL_HEADER, b"%d" % now_ms)])])

    async def send_letters(self, rows: Sequence[Row]) -> list[Delivery]:
        """Send dead letters; they keep the key that they had."""
        if not rows:
            return []
        return await self._send_routed(f"{self.prefix}.{DEAD_LETTERS}", [row[0] or b"" for row in rows], rows)

    async def send_outputs(self, outputs: Sequence[Output]) -> list[Delivery]:
        """Encode and send what a processor put out."""
        sent: list[Delivery] = []
        for output in outputs:
            topic_name = self._wire.topic(self.prefix, output.topic)
            keys, values = keys_of(output), self._wire.encode(output)
            headers = self._headers(output)
            if output.partition is not None:
                sent += await self._send(topic_name, output.partition, keys, values, headers)
            else:
                rows = zip(keys, values, headers or [[]] * len(values), strict=True)
                sent += await self._send_routed(topic_name, routes_of(output), rows)
        return sent

    def _headers(self, output: Output) -> list[Headers] | None:
        """Of each record: when it came to be, where the records are the clock; and which event it is, where it is a decision."""
        arrived = arrival_headers(output) if self._pass_on_arrival else None
        events = headers_of(output, self.prefix, self._wire.content_type)
        if arrived is None or events is None:
            return arrived or events
        return [[*first, *more] for first, more in zip(arrived, events, strict=True)]

    async def _send_routed(self, topic_name: str, routes: Iterable[bytes], rows: Iterable[Row]) -> list[Delivery]:
        """Send each row to the partition of its route."""
        count = len(await self._producer.partitions_for(topic_name))
        parts: defaultdict[int, list[Row]] = defaultdict(list)
        for route, row in zip(routes, rows, strict=True):
            parts[partition_of(route, count)].append(row)
        return [each for partition, part in parts.items() for each in await self.send(topic_name, partition, part)]

    async def _send(
        self, topic_name: str, partition: int, keys: Column, values: Column, headers: Sequence[Headers] | None
    ) -> list[Delivery]:
        sent = []
        while keys:
            builder = self._producer.create_batch()
            filled = _fill(builder, keys, values, headers, BATCH_BYTES)
            if filled == 0:
                raise TooLargeError(OUTPUT, f"{topic_name} takes no record of {len(values[0] or b'')} bytes")
            sent.append(await self._producer.send_batch(builder, topic_name, partition=partition))
            keys, values, headers = keys[filled:], values[filled:], headers and headers[filled:]
        return sent

    # -- transactions -------------------------------------------------------------------------------------------------

    def whole(self, changes: Mapping[bytes, bytes | None]) -> BatchBuilder:
        """State changes as one batch, so that a reader sees all or none of them. Raises TooLargeError."""
        builder = self._producer.create_batch()
        if _fill(builder, changes, changes.values(), None, 2 * CHANGELOG_BYTES) < len(changes):
            raise TooLargeError(STATE, f"{len(changes)} changes of state are over the limit of {CHANGELOG_BYTES} bytes")
        return builder

    async def send_run(
        self, outputs: Sequence[Output], letters: Sequence[Row], changelog: str, partition: int, changes: BatchBuilder
    ) -> int:
        """Send all that a run brought in one transaction; the changelog's offset behind the changes.

        Raises ProducerFenced, and TooLargeError where a topic takes none of that size.
        """
        async with self._producer.transaction():
            sent = await self.send_outputs(outputs)
            told = await self.send_letters(letters)
            changed = await self._producer.send_batch(changes, changelog, partition=partition)
            names = ", ".join(dict.fromkeys(output.topic for output in outputs))
            await _all_arrived({(OUTPUT, names): sent, (LETTER, DEAD_LETTERS): told, (STATE, changelog): [changed]})
        return int(changed.result().offset) + int(changes.record_count())

    async def send_together(
        self, outputs: Sequence[Output], group: str, offsets: Mapping[tuple[str, int], int]
    ) -> None:
        """Send outputs, and commit offsets of a group by (topic name, partition), in one transaction. Raises ProducerFenced."""
        async with self._producer.transaction():
            sent = await self.send_outputs(outputs)
            names = ", ".join(dict.fromkeys(output.topic for output in outputs))
            await _all_arrived({(OUTPUT, names): sent})
            if offsets:
                taken = {TopicPartition(*of): offset for of, offset in offsets.items()}
                await self._producer.send_offsets_to_transaction(taken, group)


async def _all_arrived(deliveries: Mapping[tuple[str, str], Sequence[Delivery]]) -> None:
    """Wait for all, by what they are of and their topics. Raise what went wrong; first what is too large, since it makes others fail."""
    found = {of: await asyncio.gather(*each, return_exceptions=True) for of, each in deliveries.items()}
    for (reason, names), results in found.items():
        if any(isinstance(result, _TOO_LARGE) for result in results):
            raise TooLargeError(reason, f"{names} takes none so large: raise its max.message.bytes", refused=True)
    for error in (result for results in found.values() for result in results if isinstance(result, BaseException)):
        raise error


@asynccontextmanager
async def open_sender(
    bootstrap: str, prefix: str, pass_on_arrival: bool = False, wire: Wire = WIRE
) -> AsyncIterator[Sender]:
    """A sender without transactions."""
    sender = Sender(new_producer(bootstrap), prefix, pass_on_arrival, wire)
    try:
        await sender.start()
        yield sender
    finally:
        await sender.close()


async def publish(bootstrap: str, prefix: str, topic: str, record: Record, wire: Wire = WIRE) -> None:
    """Write one record under its own key, and wait until the broker has it."""
    async with open_sender(bootstrap, prefix, wire=wire) as sender:
        await asyncio.gather(*await sender.send_outputs([Output(topic, records=[record])]))


def new_producer(bootstrap: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    """A producer for a `Sender`. Of producers with the same transactional id, the one that starts last fences the others."""
    return AIOKafkaProducer(
        **connection(bootstrap),
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_MS,
        max_batch_size=CHANGELOG_BYTES,
        max_request_size=2 * CHANGELOG_BYTES,
        linger_ms=0,
        retry_backoff_ms=50,
    )


def arrival_headers(output: Output) -> list[Headers] | None:
    """The arrival time of each row as a header, for hosts whose clock is the records'."""
    if output.arrival_ms is None:
        return None
    return [[(ARRIVAL_HEADER, b"%d" % arrival_ms)] for arrival_ms in output.arrival_ms.tolist()]


def _columns(rows: Iterable[Row]) -> tuple[list[bytes | None], list[bytes | None], list[Headers] | None]:
    keys, values, headers = [list(column) for column in zip(*rows, strict=True)] or ([], [], [])
    return keys, values, headers if any(headers) else None


def _fill(
    builder: BatchBuilder,
    keys: Collection[bytes | None],
    values: Collection[bytes | None],
    headers: Sequence[Headers] | None,
    limit: int,
) -> int:
    """Append rows until the batch is full or longer than ``limit``; how many are in it."""
    fits = headers is None and _size(keys) + _size(values) <= limit
    return fill(builder, keys, values, headers, None if fits else limit)


def _size(column: Collection[bytes | None]) -> int:
    """Bytes of a column of keys or values, with what a record takes besides: lengths, times and offsets."""
    return sum(map(len, filter(None, column))) + _ROW_BYTES * len(column)
