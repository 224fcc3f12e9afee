"""Real servers behind bad networks, workers as processes, and what a fault can do to them."""

import asyncio
import os
import random
import resource
import shutil
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import redis.asyncio as redis
from aiokafka import AIOKafkaProducer

from faults import logs, topics
from faults.clocks import skewed
from faults.proxy import Proxy
from faults.topics import PARTITIONS
from faults.traffic import STATIONS, Traffic
from faults.trainers import RECIPES, Trainers, files_of
from faults.versions import Versions
from leadline.embedded import EmbeddedKafka, EmbeddedRedis
from leadline.embedded.child import free_ports
from leadline.embedded.workers import WORKER, Workers
from leadline.kafka import cluster
from leadline.lookups.features import put_features
from leadline.records import Assignment, Rollout
from leadline.settings import load_settings
from leadline.topology import step
from leadline.wire.codec import key_of, value_of

STEPS = ("scoring", "join", "performance")
_JOINS_S = 60.0
_LEAD_S = 4.0
"""Of our time, of which the traffic's is many times as fast."""
_ROOT = Path(__file__).parents[1]
WIND = {station: float(n) for n, station in enumerate(STATIONS)}


class World:
    """Everything that a fault may strike; all of it is below ``folder``.

    The workers reach Kafka and Redis through proxies, the harness goes straight to them. ``joined``: what the log of a worker says when it
    has tasks.
    """

    joined = '"assigned"'
    replication = 1

    def __init__(self, folder: Path, seed: int, workers: int = 2) -> None:
        self.folder, self.rng = folder, random.Random(seed)  # noqa: S311 - a simulation of bad luck
        self.prefix = f"leadline-faults-{uuid.uuid4().hex[:8]}"
        self.held = False
        self.former_outcomes: list[dict[str, Any]] = []
        self.trainers: Trainers | None = None
        self.versions = Versions(folder / "models", self.rng)
        self.assigned = [Assignment("v1", 0, {}, "", 1.0, "")]
        self._count, self._stack = workers, ExitStack()
        (self._redis_network,) = free_ports(0)
        self.redis = EmbeddedRedis(folder / "redis")
        self._servers: list[AbstractContextManager[Any]] = [self.redis]
        self.traffic = self._make_kafka(folder, seed)

    def _make_kafka(self, folder: Path, seed: int) -> Traffic:
        direct, proxied, network = free_ports(0, 0, 0)
        listeners = {
            "listeners": f"PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{proxied},CONTROLLER://127.0.0.1:{{controller}}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{network}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        self.kafka = EmbeddedKafka(load_settings(), folder / "kafka", direct, properties=listeners)
        self.network = Proxy(network, proxied, seed)
        self._servers += [self.kafka, self.network]
        return Traffic(f"127.0.0.1:{direct}", self.prefix, PARTITIONS, self.rng)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for server in self._servers:
                stack.enter_context(server)
            self.redis_network = stack.enter_context(Proxy(self._redis_network, self.redis.port, 0))
            asyncio.run(self._prepare())
            self.workers = self._start(self._count, "workers")
            stack.callback(self.workers.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bootstrap(self) -> str:
        return self.kafka.bootstrap

    @property
    def for_workers(self) -> str:
        """The way of the workers to Kafka."""
        return f"127.0.0.1:{self.network.port}"

    @property
    def models(self) -> Path:
        return self.versions.folder

    async def _prepare(self) -> None:
        self.versions.add("v1")
        await self._make_topics()
        await self.fill_redis()

    async def _make_topics(self) -> None:
        await topics.make(self.bootstrap, self.prefix, self.replication)
        await self.promote("v1")

    def _start(self, count: int, name: str, more: Mapping[str, str] = {}) -> Workers:
        folder = self.folder / name
        return self._workers(count, STEPS, self._environment(more), folder)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP": self.for_workers, "REDIS_URL": self.redis.url.replace(f":{self.redis.port}/", f":{self._redis_network}/"),
            "LEADLINE_PREFIX": self.prefix, "LEADLINE_CLOCK": "records", "LEADLINE_MODELS": str(self.models), "PYTHONPATH": str(_ROOT),
            "LEADLINE_RUN_RECORDS": os.environ.get("LEADLINE_RUN_RECORDS", "500"), **more,
        }  # fmt: skip

    @staticmethod
    def _workers(
        count: int, steps: Sequence[str], environment: Mapping[str, str], folder: Path, command: Sequence[str] = WORKER
    ) -> Workers:
        """They may die as often as they like: a fault may keep them from the broker."""
        return Workers(
            count, steps, environment, folder / "state", folder / "logs", lambda _: None, command, patience=10**9
        )

    def tend(self) -> None:
        """Start workers again that have died, unless a fault keeps them dead."""
        if not self.held:
            self.workers.tend()
            if self.trainers is not None:
                self.trainers.workers.tend()

    async def with_trainers(self) -> Trainers:
        """Two trainers from now on; they train by a recipe that takes some seconds."""
        if self.trainers is None:
            self.trainers = await asyncio.to_thread(self._start_trainers)
        return self.trainers

    def _start_trainers(self) -> Trainers:
        recipes, folder = self.folder / "recipes", self.folder / "trainers"
        recipes.mkdir()
        (recipes / "fault_recipes.py").write_text(RECIPES, "utf-8")
        environment = self._environment({"PYTHONPATH": str(recipes), "LEADLINE_HEALTH": "none"})
        command = (sys.executable, "-P", "-m", "leadline", "trainer")
        workers = self._workers(2, (), environment, folder, command)
        self._stack.callback(workers.stop)
        return Trainers(self, workers, files_of(self, "v1"))

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Nothing comes, and all that came is worked on, until the context ends."""
        async with self.traffic.paused():
            while await self.left():  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0.3)
            yield

    @asynccontextmanager
    async def away(self, wanted: bool) -> AsyncIterator[None]:
        """All workers are dead until the context ends, where that is wanted."""
        self.held = wanted
        for pid in self.workers.pids if wanted else ():
            self.kill(pid)
        yield
        self.held = False

    async def left(self) -> int:
        """Records that no group has worked on; raises KafkaError."""
        return sum([sum((await cluster.lag(self.bootstrap, self.prefix, step(name))).values()) for name in STEPS])

    async def wait_for_log(self, text: str, seconds: float) -> None:
        """Until a worker has said so; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not any(text in log.read_text("utf-8", "replace") for log in self._worker_logs()):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    def _worker_logs(self) -> list[Path]:
        return list(self.folder.glob("workers/logs/*.log"))

    # -- topics --------------------------------------------------------------------------------------------------------

    async def remake(self, names: Sequence[str]) -> None:
        """Delete topics and make them anew; what was in them counts no more, but outcomes whose predictions stay."""
        if "predictions" in names:
            self.forget()
        else:
            self.former_outcomes += await self.outcomes()
        await topics.delete(self.bootstrap, self.prefix, names)
        await self._make_topics()

    async def outcomes(self) -> list[dict[str, Any]]:
        """The outcomes that are there, without those that became dead letters."""
        letters = await logs.letters(self.bootstrap, self.prefix)
        rows = await logs.rows(self.bootstrap, self.prefix, "outcomes")
        return [row for row in rows if ("outcomes", *row["position"]) not in letters]

    def forget(self) -> None:
        """What came until now counts no more."""
        self.traffic.forget()
        self.former_outcomes.clear()

    # -- workers -------------------------------------------------------------------------------------------------------

    def victim(self) -> int:
        """The pid of one of the workers."""
        return self.rng.choice(self.workers.pids)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    async def sleep(self, pid: int, seconds: float) -> None:
        """A process stands still for a while."""
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def wipe(self, pid: int) -> None:
        """Delete the state of a worker that is dead."""
        shutil.rmtree(self._state(pid), ignore_errors=True)

    def damage(self, pid: int) -> None:
        """Write garbage into some files of the state of a worker that is dead, or cut them."""
        for pattern in self.rng.sample(["CURRENT", "MANIFEST-*", "*.sst"], 2):
            for path in self._state(pid).rglob(pattern):
                data = path.read_bytes()
                at = self.rng.randrange(len(data) + 1)
                path.write_bytes(self.rng.choice([data[:at], data[:at] + self.rng.randbytes(64) + data[at + 64 :]]))

    def fill_disk(self, pid: int) -> None:
        """From now on a process can make no file longer than 4 KiB, as if the disk were full."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def _state(self, pid: int) -> Path:
        return self.folder / "workers" / "state" / str(self.workers.pids.index(pid))

    async def another(self, seconds: float, clock_s: int = 0) -> None:
        """A worker more, for some seconds from its first task on, whose clock is so many seconds ahead; it leaves by SIGTERM."""
        name = f"more-{uuid.uuid4().hex[:4]}"
        more = await asyncio.to_thread(self._start, 1, name, skewed(clock_s) if clock_s else {})
        log, deadline = self.folder / name / "logs" / "worker-0.log", time.monotonic() + _JOINS_S
        while self.joined not in log.read_text("utf-8", "replace") and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(more.stop)

    # -- servers -------------------------------------------------------------------------------------------------------

    async def restart_broker(self, away_s: float) -> None:
        """Kill the broker; after some time it comes back, on the same port and the same disk."""
        assert self.kafka.pid is not None
        os.kill(self.kafka.pid, signal.SIGKILL)
        while self.kafka.pid is not None:  # noqa: ASYNC110 - its port and its disk are not free before
            await asyncio.sleep(0.05)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.kafka.start)

    async def begin_anew(self) -> None:
        """Kill the broker, and delete its disk; another cluster comes up on its port."""
        assert self.kafka.pid is not None
        os.kill(self.kafka.pid, signal.SIGKILL)
        while self.kafka.pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        shutil.rmtree(self.folder / "kafka" / "data")
        self.forget()
        await asyncio.to_thread(self.kafka.start)
        await self._make_topics()

    async def restart_redis(self, away_s: float) -> None:
        """Kill Redis; it comes back with what it had."""
        assert self.redis.pid is not None
        os.kill(self.redis.pid, signal.SIGKILL)
        while self.redis.pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(self.redis.start)
        await self.fill_redis()

    async def fill_redis(self) -> None:
        """Write all rows of the view."""
        async with redis.from_url(self.redis.url) as client:
            for station, wind in WIND.items():
                await put_features(client, self.prefix, "weather", station, {"wind": wind}, self.traffic.now_ms)

    # -- who answers ---------------------------------------------------------------------------------------------------

    async def assign(self, champion: str, share: float, challenger: str = "", wait: bool = True) -> None:
        """Say who answers what arrives from some seconds on, and wait until then. No night comes meanwhile."""
        others = {challenger or ("v2" if champion == "v1" else "v1"): share} if share else {}
        self.traffic.nights = False
        before_ms = self.traffic.now_ms
        await asyncio.sleep(1)
        lead_ms = int(_LEAD_S * max(1000, self.traffic.now_ms - before_ms))
        at_ms = max(self.traffic.now_ms + lead_ms, self.assigned[0].effective_at + 1)
        made = Assignment(champion, at_ms, others, f"salt {len(self.assigned)}", 1.0, "switches")
        rollout = Rollout(
            "m", champion, self.traffic.now_ms, "faults", "a fault wants it", shares=others, salt=made.salt,
            rollout_id=made.rollout_id, effective_at=at_ms, earlier=list(self.assigned),
        )  # fmt: skip
        self.assigned.insert(0, made)
        await self._roll_out(rollout)
        while wait and self.traffic.now_ms < at_ms:  # noqa: ASYNC110 - the traffic's time goes on by itself
            await asyncio.sleep(0.1)

    async def promote(self, version: str) -> None:
        """Say on the topic of rollouts which version answers."""
        await self._roll_out(Rollout("m", version, self.traffic.now_ms, "faults", "a fault wants it"))

    async def _roll_out(self, rollout: Rollout) -> None:
        topic = f"{self.prefix}.rollouts"
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            await producer.send_and_wait(topic, value_of(rollout), key=key_of("rollouts", rollout), partition=0)
