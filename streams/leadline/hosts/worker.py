"""The worker: a Faust application whose one service is the lanes.

Faust gives the process its life: start and stop order, signals, a supervisor's view of crashes, settings and sensors. Its own consumer
and web server stay off (docs/decisions/0001): the lanes have consumers of their own.
"""

import asyncio
import gc
import sys
from collections.abc import Sequence

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from faust.app.base import BootStrategy
from mode import Service

from leadline.core.models import Models
from leadline.core.scoring.routing import Deployments, loaded_routes
from leadline.core.tables import Table
from leadline.hosts.rollouts import RolloutFollower
from leadline.hosts.scoring import StatelessLane
from leadline.hosts.stateful import Lane
from leadline.kafka.cluster import check_topics
from leadline.kafka.connections import reach, unencrypted
from leadline.learning.cached import CachedModels
from leadline.lookups.features import FeatureView
from leadline.settings import Settings
from leadline.topology import Step
from leadline.wire.codec import WIRE, Wire

__all__ = ["Lanes", "tune_collector", "worker"]
log = structlog.get_logger("leadline.worker")

HAND_OVER_S = 0.1
"""A thread gives the interpreter up where it waits, or is in Arrow or RocksDB: some times in a run. More often costs caches."""

FINISH_S = 8.0
"""So long a worker that is to stop waits for its lanes; with the broker away they may never finish. Containers are given ten seconds."""


class _OnlyServices(BootStrategy):
    enable_kafka = False
    enable_web = False


class _App(faust.App):
    BootStrategy = _OnlyServices


class Lanes(Service):
    """Runs a lane for each step; if one fails all stop, and the process with them."""

    def __init__(self, steps: Sequence[Step], settings: Settings, bootstrap: str, models: Models, wire: Wire) -> None:
        super().__init__()
        self._steps = steps
        self._settings = settings
        self._bootstrap = bootstrap
        self._models = models
        self._tables = {"rollouts": Table()}
        self._wire = wire
        self._lanes: list[Lane | StatelessLane] = []
        self._running: list[asyncio.Task[None]] = []

    @Service.task
    async def _work(self) -> None:
        settings = self._settings
        follower = RolloutFollower(self._bootstrap, settings.prefix, self._tables["rollouts"], settings.record_bytes)
        view = FeatureView(settings, self._models)
        try:
            await follower.catch_up()
            if any(step.name == "scoring" for step in self._steps):
                self._load_champions()
            tune_collector()
            sys.setswitchinterval(HAND_OVER_S)
            self._lanes = [self._lane(step, view) for step in self._steps]
            async with asyncio.TaskGroup() as group:
                following = group.create_task(follower.follow())
                self._running = [group.create_task(lane.run()) for lane in self._lanes]
                await asyncio.wait(self._running, return_when=asyncio.FIRST_EXCEPTION)
                following.cancel()
        finally:
            view.close()
            await follower.stop()

    def _lane(self, step: Step, view: FeatureView) -> Lane | StatelessLane:
        common = step, self._settings, self._bootstrap, self._models
        if step.stateful:
            return Lane(*common, self._wire, self._tables)
        return StatelessLane(*common, view, self._wire, self._tables)

    def _load_champions(self) -> None:
        """Read the models now, so that the first request does not wait for it."""
        for model in self._models.names():
            loaded_routes(self._models, Deployments(self._tables["rollouts"]), model)

    async def on_stop(self) -> None:
        """Let the lanes finish. What still runs after this is cancelled, and a group that it did not leave waits for its session to end."""
        for lane in self._lanes:
            lane.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=FINISH_S)


async def _check(steps: Sequence[Step], settings: Settings, bootstrap: str, wire: Wire) -> None:
    """Reach the broker and see all topics, before anything starts."""
    nouns = {"rollouts", "dead-letters"}
    for step in steps:
        nouns |= {*step.reads, *step.writes, *([f"{step.name}-changelog"] if step.stateful else [])}
    reader = AIOKafkaConsumer(**reach(bootstrap), enable_auto_commit=False)
    try:
        await reader.start()
        await check_topics(reader, [wire.topic(settings.prefix, noun) for noun in nouns])
    finally:
        await reader.stop()
    if unencrypted(bootstrap):
        log.warning("unencrypted connection", bootstrap=bootstrap)


def tune_collector() -> None:
    """Keep the garbage collector from looking through every record of a run: they come and go by the ten thousand, without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)


def worker(steps: Sequence[Step], settings: Settings, bootstrap: str, wire: Wire = WIRE) -> int:
    """Run the lanes of these steps until SIGTERM or SIGINT; the exit code, 1 after a crash.

    Raises KafkaConnectionError where the broker cannot be reached, NoTopicError where topics are missing.
    """
    asyncio.run(_check(steps, settings, bootstrap, wire))
    models = CachedModels(settings.models)
    settings.state.mkdir(parents=True, exist_ok=True)
    app = _App("leadline", broker=f"kafka://{bootstrap}", datadir=str(settings.state / "faust"), web_enabled=False)
    host = faust.Worker(
        app,
        Lanes(steps, settings, bootstrap, models, wire),
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    try:
        host.execute_from_commandline()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
