"""A real broker, workers as processes, and a steady stream of predictions and outcomes into them."""

import asyncio
import os
import random
import shutil
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaProducer

from leadline.agents.admin import apply_topics
from leadline.agents.sender import Sender, partition_of
from leadline.embedded import EmbeddedKafka
from leadline.embedded.workers import Workers
from leadline.records import Outcome, Prediction
from leadline.settings import load_settings
from leadline.wire.codec import key_of, value_of
from leadline.wire.run import ARRIVAL_HEADER, Headers

STEPS = ("join", "performance")
TOPICS = ("predictions", "outcomes", "labeled-predictions", "window-partials", "metrics", "dead-letters", "rollouts")
PARTITIONS = 4
HORIZON_MS, WINDOW_MS = 600_000, 60_000
_TICK_S = 0.2

Row = tuple[bytes, bytes | None, Headers]


class World:
    """Everything that a fault may strike; all of it is below ``folder``."""

    def __init__(self, folder: Path, seed: int, workers: int = 2) -> None:
        self.folder, self.rng = folder, random.Random(seed)  # noqa: S311 - a simulation of bad luck
        self.kafka = EmbeddedKafka(load_settings(), folder / "kafka")
        self.prefix = f"leadline-faults-{uuid.uuid4().hex[:8]}"
        self.sent = 0
        self.now_ms = 1_700_000_000_000
        self.poison = 0.0
        self.poisoned = 0
        self._count = workers

    def __enter__(self) -> "World":
        self.kafka.start()
        models = self.folder / "models" / "m"
        models.mkdir(parents=True)
        text = f'name = "m"\nhorizon = {HORIZON_MS}\nwindow = {WINDOW_MS}\ngrace = "never"\n'
        (models / "model.toml").write_text(text, "utf-8")
        asyncio.run(apply_topics(self.bootstrap, self.prefix, PARTITIONS, 1, None, STEPS, TOPICS))
        self.workers = self._start(self._count, "workers")
        return self

    def __exit__(self, *_: object) -> None:
        self.workers.stop()
        self.kafka.stop()

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap

    def _start(self, count: int, name: str) -> Workers:
        environment = {
            "KAFKA_BOOTSTRAP": self.bootstrap, "LEADLINE_PREFIX": self.prefix, "LEADLINE_CLOCK": "records",
            "LEADLINE_MODELS": str(self.folder / "models"), "LEADLINE_RUN_RECORDS": "500",
        }  # fmt: skip
        folder = self.folder / name
        return Workers(count, STEPS, environment, folder / "state", folder / "logs", lambda _: None)

    # -- what a fault can do -------------------------------------------------------------------------------------------

    def victim(self) -> int:
        """The pid of one of the workers."""
        return self.rng.choice(self.workers.pids)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def stop(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)

    def go_on(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)

    def wipe(self, pid: int) -> None:
        """Delete the state of a worker that is dead."""
        shutil.rmtree(self.folder / "workers" / "state" / str(self.workers.pids.index(pid)), ignore_errors=True)

    def damage(self, pid: int) -> None:
        """Write garbage into some files of the state of a worker that is dead."""
        state = self.folder / "workers" / "state" / str(self.workers.pids.index(pid))
        for pattern in ("CURRENT", "MANIFEST-*"):
            for path in state.rglob(pattern):
                path.write_bytes(self.rng.randbytes(64))

    async def another(self, seconds: float) -> None:
        """A worker more, for some seconds; it leaves by SIGTERM."""
        more = await asyncio.to_thread(self._start, 1, f"more-{uuid.uuid4().hex[:4]}")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(more.stop)

    async def restart_broker(self, away_s: float) -> None:
        """Kill the broker; after some time it comes back, on the same port and the same disk."""
        assert self.kafka.pid is not None
        os.kill(self.kafka.pid, signal.SIGKILL)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.kafka.start)

    # -- what comes in -------------------------------------------------------------------------------------------------

    async def feed(self, events: int, seconds: float, striking: Callable[[], bool]) -> None:
        """Publish so many events, a third at once and the rest over so many seconds, and on while the fault strikes."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, enable_idempotence=True, request_timeout_ms=240_000,
            max_batch_size=2 << 20, max_request_size=8 << 20,
        )  # fmt: skip
        await producer.start()
        try:
            sender = Sender(producer, self.prefix, pass_on_arrival=True)
            await self._publish(sender, events // 3)
            each = max(1, int(events * 2 / 3 * _TICK_S / seconds))
            while self.sent < events or striking():
                began = time.monotonic()
                await self._publish(sender, each)
                await asyncio.sleep(max(0.0, _TICK_S - (time.monotonic() - began)))
        finally:
            await producer.stop()

    async def tell_time(self) -> None:
        """The end of the log: what time it is, on every partition."""
        self.now_ms += 1000
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            sender = Sender(producer, self.prefix, pass_on_arrival=True)
            for noun in ("predictions", "outcomes"):
                for partition in range(PARTITIONS):
                    await asyncio.gather(*await sender.send_clock(noun, partition, self.now_ms))

    async def _publish(self, sender: Sender, events: int) -> None:
        rows: dict[str, list[list[Row]]] = {n: [[] for _ in range(PARTITIONS)] for n in ("predictions", "outcomes")}
        for _ in range(events):
            noun, record = self._event()
            self.now_ms += self.rng.randint(0, 4)
            key, value = key_of(record), value_of(record)
            if self.rng.random() < self.poison:
                key, value = b"poison-%d" % self.sent, self._garbage(value)
                self.poisoned += 1
            header = [(ARRIVAL_HEADER, b"%d" % self.now_ms)]
            rows[noun][partition_of(key, PARTITIONS)].append((key, value, header))
        sent = [
            future
            for noun, parts in rows.items()
            for partition, part in enumerate(parts)
            for future in await sender.send(f"{self.prefix}.{noun}", partition, part)
        ]
        await asyncio.gather(*sent)

    def _event(self) -> tuple[str, Prediction | Outcome]:
        """Requests have dense numbers; predictions repeat sometimes, outcomes are early, late, doubled, corrected or taken back."""
        rng = self.rng
        self.sent += 1
        number = self.sent // 2
        if self.sent % 2:
            number -= rng.choice([0] * 20 + [rng.randint(1, 50)])
            score = rng.choice([rng.random()] * 20 + [0.0, 1.0])
            time_ms = self.now_ms - rng.randint(0, 2000)
            segments = [rng.choice(["a", "b", "ü"])]
            return "predictions", Prediction(
                f"r{max(0, number)}",
                "m",
                "v1",
                "champion",
                "",
                time_ms,
                time_ms,
                score,
                int(score >= 0.5),
                [],
                "",
                segments,
                None,
            )
        outcome = rng.choice([0.0, 1.0] * 20 + [None])
        at_ms = self.now_ms - rng.choice([0] * 20 + [-HORIZON_MS - 10_000, 5000])
        return "outcomes", Outcome(f"r{max(0, number - rng.randint(-5, 400))}", outcome, at_ms)

    def _garbage(self, value: bytes) -> bytes:
        rng = self.rng
        return rng.choice(
            [
                value[: rng.randrange(1, len(value))],
                rng.randbytes(rng.randint(1, 200)),
                b"\xc3\x01" + rng.randbytes(50),
                b"{" * 1_200_000,
            ]
        )
