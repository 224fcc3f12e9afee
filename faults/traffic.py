"""What comes in: requests, and outcomes that are early, late, doubled, corrected, taken back or never come; some of it impossible."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import Producer

from faults import bad
from leadline.kafka.sender import Sender
from leadline.records import Outcome, PredictionRequest
from leadline.wire.codec import value_of
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER, Headers

HORIZON_MS, WINDOW_MS, GRACE_MS = 600_000, 60_000, 60_000
NIGHT_MS = HORIZON_MS + WINDOW_MS + 3 * GRACE_MS
"""So long a pause that all before it is forgotten."""
CATEGORIES = ["a", "b", "ü"]
STATIONS = [f"station-{n}" for n in range(20)]
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
_SEGMENTS, _SEGMENT_BYTES = 3000, 900
_TICK_S = 0.2
_AWAY_S = 240.0
_HOUR_MS = 3_600_000
_AHEAD_MS = 24 * _HOUR_MS

Row = tuple[bytes, bytes | None, Headers]


@dataclass(slots=True)
class Odds:
    """How often an event is of an unusual kind. A fault may change them while events come."""

    poison: float = 0.0
    giant: float = 0.0
    newer_schema: float = 0.0
    odd_times: float = 0.0
    repeated: float = 0.05
    early: float = 0.05
    late: float = 0.05
    never: float = 0.05
    hot: float = 0.0
    segments: float = 0.0
    letter: float = 0.0
    fat: float = 0.0
    ahead: float = 0.0
    broken: float = 0.0


@dataclass(slots=True)
class Traffic:
    """Makes and publishes events by seed, with a night now and then, where ``nights`` may come.

    ``asked`` are the requests that are to be scored, ``refused`` counts the dead letters to come.
    """

    bootstrap: str
    prefix: str
    partitions: int
    rng: random.Random
    odds: Odds = field(default_factory=Odds)
    speed: float = 1.0
    codecs: tuple[str | None, ...] = (None,)
    nights: bool = True
    now_ms: int = 1_700_000_000_000
    sent: int = 0
    refused: int = 0
    asked: dict[str, PredictionRequest] = field(default_factory=dict)
    _awake: int = 0
    _before: int = 0
    _waiting: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def calm(self) -> None:
        """Be as usual again."""
        self.odds, self.speed, self.codecs, self.nights = Odds(), 1.0, (None,), True

    def sleep(self) -> None:
        """Nothing comes for a night: all before it expires, is sealed and forgotten. Outcomes that came early are of nobody then."""
        self.now_ms += NIGHT_MS
        self.sent += 20
        self._awake = 0

    def forget(self) -> None:
        """What came until now counts no more; as many events come again."""
        self.asked.clear()
        self.refused = 0
        self._before = self.sent

    async def feed(self, events: int, seconds: float, striking: Callable[[], bool]) -> None:
        """Publish so many events, a third at once and the rest over so many seconds, and on while the fault strikes.

        A night comes after each half of so many events.
        """
        each = events // 3
        while self.sent < self._before + events or striking():
            async with self._turn, AsyncExitStack() as stack:
                senders = {codec: await stack.enter_async_context(self._sender(codec)) for codec in CODECS}
                while (self.sent < self._before + events or striking()) and not self._waiting:
                    began = time.monotonic()
                    if self.nights and self._awake >= events // 2:
                        self.sleep()
                    await self._publish(senders, int(each * self.speed))
                    each = max(1, int(events * 2 / 3 * _TICK_S / seconds))
                    await asyncio.sleep(max(0.0, _TICK_S - (time.monotonic() - began)))
            await asyncio.sleep(0)  # who waits for a pause comes first

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is published until the context ends; then by new producers."""
        self._waiting += 1
        async with self._turn:
            self._waiting -= 1
            yield

    @asynccontextmanager
    async def _sender(self, codec: str | None) -> AsyncIterator[Sender]:
        """A producer that compresses so."""
        producer = await self._started(codec)
        try:
            yield Sender(producer, self.prefix, pass_on_arrival=True)
        finally:
            await producer.stop()

    async def _started(self, codec: str | None) -> AIOKafkaProducer:
        """The broker may be away just now: it is asked again for some minutes."""
        deadline = time.monotonic() + _AWAY_S
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, enable_idempotence=True, request_timeout_ms=240_000,
                max_batch_size=8 << 20, max_request_size=16 << 20, compression_type=codec,
            )  # fmt: skip
            try:
                await producer.start()
            except KafkaConnectionError:
                await producer.stop()
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)
            else:
                return producer

    def bomb(self, megabytes: int) -> None:
        """Publish a request and an outcome that unpack to so many megabytes of nothing."""
        producer = Producer({
            "bootstrap.servers": self.bootstrap, "compression.type": "zstd", "message.max.bytes": 1_000_000_000,
        })  # fmt: skip
        for topic in ("prediction-requests", "outcomes"):
            partition = self.rng.randrange(self.partitions)
            headers = [(ARRIVAL_HEADER, b"%d" % self.now_ms)]
            producer.produce(f"{self.prefix}.{topic}", bytes(megabytes << 20), b"bomb", partition, headers=headers)
            self.refused += 1
        if producer.flush(60):
            raise TimeoutError("the broker did not take a bomb within a minute")

    async def tell_time(self) -> None:
        """The end of the log: what time it is, on every partition."""
        self.now_ms += 1000
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            sender = Sender(producer, self.prefix, pass_on_arrival=True)
            for topic in ("predictions", "outcomes"):
                for partition in range(self.partitions):
                    await asyncio.gather(*await sender.send_clock(topic, partition, self.now_ms))

    async def _publish(self, senders: Mapping[str | None, Sender], events: int) -> None:
        sender = senders[self.rng.choice(self.codecs)]
        self._awake += events
        topics = ("prediction-requests", "outcomes")
        rows: dict[str, list[list[Row]]] = {topic: [[] for _ in range(self.partitions)] for topic in topics}
        for _ in range(events):
            self.now_ms += self.rng.randint(0, 4)
            topic, record = self._event()
            for key, value in self._copies(record):
                header = [(ARRIVAL_HEADER, b"%d" % self.now_ms)]
                rows[topic][partition_of(key, self.partitions)].append((key, value, header))
        sent = [
            future
            for topic, parts in rows.items()
            for partition, part in enumerate(parts)
            for future in await sender.send(f"{self.prefix}.{topic}", partition, part)
        ]
        await asyncio.gather(*sent)

    def _event(self) -> tuple[str, PredictionRequest | Outcome]:
        """Requests have dense numbers; an outcome is of one of the last 400, or of one to come."""
        rng, odds = self.rng, self.odds
        self.sent += 1
        number = self.sent // 2
        if self.sent % 2:
            return "prediction-requests", self._request(number)
        of = number - rng.randint(0, 400)
        if rng.random() < odds.early:
            of = number + rng.randint(1, 5)
        if rng.random() < odds.never:
            of = -number  # nobody ever asked
        if rng.random() < odds.hot:
            of = number - number % 20_000
        at_ms = self.now_ms + (HORIZON_MS + _HOUR_MS if rng.random() < odds.late else 0)
        outcome = rng.choice([0.0, 1.0] * 20 + [None])
        return "outcomes", Outcome(f"r{of}", outcome, at_ms)

    def _request(self, number: int) -> PredictionRequest:
        rng = self.rng
        at_ms = self.now_ms - rng.randint(0, 2000)
        if rng.random() < self.odds.odd_times:
            at_ms = rng.choice([-1, 1, 4_102_444_800_000, -30_000_000_000_000])
        kind = rng.choice(CATEGORIES)
        if rng.random() < self.odds.segments:
            kind = f"{rng.randrange(_SEGMENTS):04}".ljust(_SEGMENT_BYTES, "-")
        categories = {"station": rng.choice(STATIONS), "kind": kind}
        return PredictionRequest(
            request_id=f"r{number}",
            model="m",
            event_time=at_ms,
            features={"amount": rng.gauss(0, 1)},
            user_id="",
            categories=categories,
        )

    def _copies(self, record: PredictionRequest | Outcome) -> list[tuple[bytes, bytes]]:
        """What is published of an event: mostly itself, sometimes twice, sometimes something that cannot be used."""
        rng, odds = self.rng, self.odds
        key, value, luck = record.request_id.encode(), value_of(record), rng.random()
        for chance, instead in self._bad(record):
            if luck < chance:
                self.refused += 1
                return [instead(key, value)]
            luck -= chance
        copies = rng.choice([2, 3]) if rng.random() < odds.repeated else 1
        if isinstance(record, PredictionRequest):
            if record.event_time > self.now_ms + _AHEAD_MS:
                self.refused += copies
            else:
                self.asked[record.request_id] = record
        return [(key, value)] * copies

    def _bad(
        self, record: PredictionRequest | Outcome
    ) -> Iterator[tuple[float, Callable[[bytes, bytes], tuple[bytes, bytes]]]]:
        """The chance of each kind of record that cannot be used, and what is published then."""
        rng, odds, number = self.rng, self.odds, self.sent
        yield odds.poison, lambda _, value: (b"poison-%d" % number, bad.garbage(rng, value))
        yield odds.giant, lambda *_: (b"giant-%d" % number, b"{" * rng.choice([1_100_000, 1_900_000]))
        yield odds.newer_schema, lambda key, value: (key, b"\xc3\x01" + b"newer.v3" + value[10:])
        yield odds.letter, lambda *_: bad.larger_as_letter(rng, number)
        yield odds.ahead, lambda *_: bad.ahead(rng, record, self.now_ms)
        if isinstance(record, PredictionRequest):
            yield odds.fat, lambda *_: bad.fat(rng, record)
            yield odds.broken, lambda key, _: (key, value_of(replace(record, model="broken")))
