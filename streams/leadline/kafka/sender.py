"""Records to Kafka, in whole batches, every delivery checked."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count, repeat

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from leadline.core.processor import Output
from leadline.kafka.connections import reach
from leadline.wire.codec import WIRE, Wire, keys_of, routes_of
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER, Headers

Row = tuple[bytes | None, bytes | None, Headers]
Column = Sequence[bytes | None]

log = structlog.get_logger("leadline.sender")

BATCH_BYTES = 900_000
CHANGELOG_BYTES = 8 << 20
TRANSACTION_MS = 30_000
_STOP_S = 5.0
_ROW_BYTES = 16


class TooLargeError(Exception):
    """What has to be written as one batch does not fit into one."""


class Sender:
    """Sends rows as record batches that it builds itself; a batch is appended to the log as a whole or not at all."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str, pass_on_arrival: bool, wire: Wire = WIRE) -> None:
        self._producer = producer
        self.prefix = prefix
        self._pass_on_arrival = pass_on_arrival
        self._wire = wire

    async def close(self) -> None:
        """Let go of the producer; what is in flight is given up after some seconds."""
        try:
            await asyncio.wait_for(self._producer.stop(), timeout=_STOP_S)
        except (TimeoutError, KafkaError) as error:
            log.warning("a producer did not stop cleanly", error=repr(error))

    async def send(self, topic: str, partition: int, rows: Iterable[Row]) -> list[asyncio.Future[RecordMetadata]]:
        """Send rows to one partition; the futures are done when the broker has them."""
        return await self._send(topic, partition, *_columns(rows))

    async def _send(
        self, topic: str, partition: int, keys: Column, values: Column, headers: Sequence[Headers] | None
    ) -> list[asyncio.Future[RecordMetadata]]:
        sent = []
        while keys:
            builder = self._producer.create_batch()
            filled = _fill(builder, keys, values, headers, BATCH_BYTES)
            if filled == 0:
                raise TooLargeError(
                    f"{topic}/{partition}: a record of {len(values[0] or b'')} bytes is over the limit of {CHANGELOG_BYTES}"
                )
            sent.append(await self._producer.send_batch(builder, topic, partition=partition))
            keys, values, headers = keys[filled:], values[filled:], headers and headers[filled:]
        return sent

    async def send_letters(self, rows: Sequence[Row]) -> list[asyncio.Future[RecordMetadata]]:
        """Send dead letters; they keep the key that they had."""
        if not rows:
            return []
        topic = f"{self.prefix}.dead-letters"
        partitions = len(await self._producer.partitions_for(topic))
        routed: defaultdict[int, list[Row]] = defaultdict(list)
        for row in rows:
            routed[partition_of(row[0] or b"", partitions)].append(row)
        return [future for partition, part in routed.items() for future in await self.send(topic, partition, part)]

    async def send_clock(self, noun: str, partition: int, now_ms: int) -> list[asyncio.Future[RecordMetadata]]:
        """Send a record that says only what time it is; see `leadline.wire.run.ARRIVAL_HEADER`."""
        return await self.send(f"{self.prefix}.{noun}", partition, [(b"", None, [(ARRIVAL_HEADER, b"%d" % now_ms)])])

    def whole(self, changes: Mapping[bytes, bytes | None]) -> BatchBuilder:
        """State changes as one batch, so that a reader sees all or none of them. Raises TooLargeError."""
        builder = self._producer.create_batch()
        if _fill(builder, changes, changes.values(), None, 2 * CHANGELOG_BYTES) < len(changes):
            raise TooLargeError(f"{len(changes)} changes of state are over the limit of {CHANGELOG_BYTES} bytes")
        return builder

    async def send_whole(self, topic: str, partition: int, batch: BatchBuilder) -> asyncio.Future[RecordMetadata]:
        """Send what `whole` made."""
        future: asyncio.Future[RecordMetadata] = await self._producer.send_batch(batch, topic, partition=partition)
        return future

    async def send_run(
        self, outputs: Sequence[Output], letters: Sequence[Row], changelog: str, partition: int, changes: BatchBuilder
    ) -> int:
        """Send all that a run brought in one transaction; the changelog's offset behind the changes. Raises ProducerFenced."""
        async with self._producer.transaction():
            sent = [*await self.send_outputs(outputs), *await self.send_letters(letters)]
            told = await self.send_whole(changelog, partition, changes)
            await asyncio.gather(*sent, told)
        return int(told.result().offset) + int(changes.record_count())

    async def send_outputs(self, outputs: Sequence[Output]) -> list[asyncio.Future[RecordMetadata]]:
        """Encode and send what a processor put out."""
        sent: list[asyncio.Future[RecordMetadata]] = []
        for output in outputs:
            topic = self._wire.topic(self.prefix, output.topic)
            keys, values = keys_of(output), self._wire.encode(output)
            headers = arrival_headers(output) if self._pass_on_arrival else None
            if output.partition is not None:
                sent += await self._send(topic, output.partition, keys, values, headers)
                continue
            partitions = len(await self._producer.partitions_for(topic))
            routed: defaultdict[int, list[Row]] = defaultdict(list)
            rows = zip(keys, values, headers or [[]] * len(values), strict=True)
            for route, row in zip(routes_of(output), rows, strict=True):
                routed[partition_of(route, partitions)].append(row)
            for partition, part in routed.items():
                sent += await self.send(topic, partition, part)
        return sent


def new_producer(bootstrap: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    """A producer for a `Sender`; of those with one transactional id the one that starts last fences the others."""
    return AIOKafkaProducer(
        **reach(bootstrap),
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_MS,
        max_batch_size=CHANGELOG_BYTES,
        max_request_size=2 * CHANGELOG_BYTES,
        linger_ms=0,
        retry_backoff_ms=50,
    )


def arrival_headers(output: Output) -> list[Headers] | None:
    """When each row came to be, for whoever goes by the time of the records."""
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
    """Append rows until the batch is full or longer than ``limit``; how many are in it.

    It goes around the builder's own ``append``, which costs as much again as appending.
    """
    assert len(keys) == len(values)
    records, now_ms, filled = builder._builder, int(time.time() * 1000), 0
    may_be_long = headers is not None or _size(keys) + _size(values) > limit
    for told in map(records.append, count(), repeat(now_ms), keys, values, headers or repeat([])):
        if told is None:  # it does not fit in
            break
        filled += 1
        if may_be_long and records.size() > limit:
            break
    builder._relative_offset = filled
    return filled


def _size(column: Collection[bytes | None]) -> int:
    """Bytes of keys or of values, and what a record takes besides: lengths, times and offsets."""
    return sum(map(len, filter(None, column))) + _ROW_BYTES * len(column)
