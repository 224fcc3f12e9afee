"""The worker: a Faust application whose one service is the lanes.

Faust gives the process its life: start and stop order, signals, a supervisor's view of crashes, settings and sensors. Its own consumer
and web server stay off (docs/decisions/0001): the lanes have consumers of their own.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import faust
import structlog
from faust.app.base import BootStrategy
from mode import Service

from leadline.core.scoring.routing import Deployed, Deployments
from leadline.hosts.contract import Installation, Lane, refuse_unsupported
from leadline.hosts.guard import stand_back
from leadline.hosts.health import Health
from leadline.hosts.health_http import served
from leadline.hosts.health_record import Teller, worker_id
from leadline.hosts.scoring import ScoringLane
from leadline.hosts.shadow import ShadowLane
from leadline.hosts.stateful import StatefulLane
from leadline.hosts.tables import tables_of
from leadline.kafka.cluster import check_topics
from leadline.kafka.connections import unencrypted
from leadline.kafka.schemas import known_ids
from leadline.learning.cached import CachedModels
from leadline.learning.store import store_of
from leadline.lookups.features import FeatureView
from leadline.records import SHADOW
from leadline.settings import Settings
from leadline.settings.private import private_folder
from leadline.topology import Step
from leadline.wire.codec import Wire
from leadline.wire.writing import wire_of

__all__ = ["Lanes", "tune_collector", "worker"]
log = structlog.get_logger("leadline.worker")

HAND_OVER_S = 0.1
"""A thread gives the interpreter up where it waits, or is in Arrow or RocksDB: some times in a run. More often costs caches."""

FIRST_CHAMPIONS_S = 60.0
"""So long scoring waits at the start for the rollout stage, where a model has no champion yet."""

_FOLLOWS_S = 0.2

FINISH_S = 8.0
"""So long a worker that is to stop waits for its lanes; with the broker away they may never finish. Containers are given ten seconds."""


class _OnlyServices(BootStrategy):
    enable_kafka = False
    enable_web = False


class _App(faust.App):
    BootStrategy = _OnlyServices


class Lanes(Service):
    """Runs a lane for each step; if one fails all stop, and the process with them."""

    def __init__(self, steps: Sequence[Step], installation: Installation, models: CachedModels) -> None:
        super().__init__()
        self._steps = steps
        self._installation = installation
        self._models = models
        self._teller: Teller | None = None
        self._loading = threading.Lock()
        self._lanes: list[Lane] = []
        self._running: list[asyncio.Task[None]] = []

    @Service.task
    async def _work(self) -> None:
        health, settings = self._installation.health, self._installation.settings
        health.expect(step.name for step in self._steps)
        with worker_id(settings.state) as name:
            self._teller = Teller(name, self._installation, self._models)
            async with served(health, settings.health, self._is_alive):
                telling = asyncio.create_task(self._teller.run(self._load_again))
                try:
                    await self._run_lanes()
                finally:
                    telling.cancel()
                    await asyncio.wait([telling])

    def _is_alive(self) -> bool:
        """Whether no lane has ended."""
        return not any(lane.done() for lane in self._running)

    async def _run_lanes(self) -> None:
        view = FeatureView(self._installation.settings, self._models)
        with closing(view):
            async with self._installation.tables.followed():
                await asyncio.to_thread(self._load_champions)
                tune_collector()
                sys.setswitchinterval(HAND_OVER_S)
                alone = len(self._steps) == 1
                self._lanes = [new_lane(step, self._installation, view, alone) for step in self._steps]
                async with asyncio.TaskGroup() as group:
                    following = group.create_task(self._follow_rollouts())
                    self._running = [group.create_task(self._run_lane(lane)) for lane in self._lanes]
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_EXCEPTION)
                    following.cancel()

    async def _follow_rollouts(self) -> None:
        """Load what a rollout names as soon as it is there: it takes effect some seconds later, and then no request waits for it."""
        tables = [self._installation.tables.of(step)["rollouts"] for step in self._steps if step.name == "scoring"]
        seen: list[object] = []
        while tables:
            newest: list[object] = [table.newest(key) for table in tables for key in table.all_keys()]
            if [*map(id, newest)] != [*map(id, seen)]:
                await self._load_in_time()
            seen = newest
            await asyncio.sleep(_FOLLOWS_S)

    async def _load_in_time(self) -> None:
        try:
            await asyncio.to_thread(self._load_champions)
        except Exception as error:  # noqa: BLE001 - scoring meets it too, when a request comes
            log.warning("not loaded ahead of time", error=f"{type(error).__name__}: {error}")

    async def _run_lane(self, lane: Lane) -> None:
        """Run a lane until it ends. Where a model has no champion yet, scoring begins when the rollout stage has read what it was told."""
        if lane.step.name == "scoring":
            await self._wait_for_first_champions()
        await lane.run()

    async def _wait_for_first_champions(self) -> None:
        """Wait until the rollout stage of this worker has nothing left to read: else the first requests would find nobody who answers."""
        health, until = self._installation.health, time.monotonic() + FIRST_CHAMPIONS_S
        if (
            "rollout" not in {step.name for step in self._steps}
            or not set(self._models.names()) - health.answers.keys()
        ):
            return
        while not health.has_caught_up("rollout") and time.monotonic() < until:  # noqa: ASYNC110 - lanes tell it on threads of their own
            await asyncio.sleep(HAND_OVER_S)
        await asyncio.to_thread(self._load_champions)

    def _load_again(self) -> None:
        """What the store of models did not give while it was away, and what answers or may do so next."""
        self._models.fetch_again(self._load_champions)

    def _load_champions(self) -> None:
        """Read the models that answer or may do so next: no request waits for it, and who answers and what cannot be read is known."""
        with self._loading:
            for step in self._steps:
                if step.name == "scoring":
                    deployments = Deployments(self._installation.tables.of(step)["rollouts"])
                    found = {name: Deployed(self._models, deployments, name).load() for name in self._models.names()}
                    self._installation.health.answers = {
                        name: version.version for name, version in found.items() if version is not None
                    }

    async def on_stop(self) -> None:
        """Let the lanes finish. What still runs after this is cancelled, and a group that it did not leave waits for its session to end."""
        for lane in self._lanes:
            lane.stop()
        if self._running:
            _, still_running = await asyncio.wait(self._running, timeout=FINISH_S)
            if self._teller is not None and not still_running and all(map(_ended_well, self._running)):
                await self._teller.say_goodbye()


def _ended_well(lane: asyncio.Task[None]) -> bool:
    return not lane.cancelled() and lane.exception() is None


def lane_of(step: Step) -> type[StatefulLane] | type[ScoringLane]:
    """The lane that hosts a step. Raises UnsupportedStepError where none does."""
    lane = StatefulLane if step.stateful else ShadowLane if step.name == SHADOW else ScoringLane
    refuse_unsupported(step, lane)
    return lane


def new_lane(step: Step, installation: Installation, view: FeatureView, alone: bool = False) -> Lane:
    """A lane for a step, whose process may host nothing else (``alone``); connects to nothing yet."""
    lane = lane_of(step)
    if lane is StatefulLane:
        return StatefulLane(step, installation)
    return ShadowLane(step, installation, view, alone) if lane is ShadowLane else ScoringLane(step, installation, view)


async def _check(steps: Sequence[Step], installation: Installation) -> None:
    """Reach the broker and see all topics, before anything starts."""
    topics = {"dead-letters"}
    for step in steps:
        topics |= {*step.reads, *step.writes, *step.tables, *([f"{step.name}-changelog"] if step.stateful else [])}
    await check_topics(installation.bootstrap, map(installation.topic_name, topics))
    if unencrypted(installation.bootstrap):
        log.warning("unencrypted connection", bootstrap=installation.bootstrap)


def tune_collector() -> None:
    """Keep the garbage collector from looking through every record of a run: they come and go by the ten thousand, without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)


def worker(steps: Sequence[Step], settings: Settings, bootstrap: str, wire: Wire | None = None) -> int:
    """Run the lanes of these steps until SIGTERM or SIGINT; the exit code, 1 after a crash. ``wire``: another than the settings say.

    Raises UnsupportedStepError where no lane hosts a step, KafkaConnectionError where the broker cannot be reached, NoTopicError where
    topics are missing, SettingsError where a schema registry refuses.
    """
    for step in steps:
        lane_of(step)
    if [step.name for step in steps] == [SHADOW]:
        stand_back(settings.shadow_memory)
    models, health = CachedModels(settings.models, store_of(settings)), Health()
    wire = wire_of(settings, asyncio.run(known_ids(settings)), models) if wire is None else wire
    tables = tables_of(steps, settings, bootstrap, wire, health)
    installation = Installation(settings, bootstrap, models, wire, tables, health)
    asyncio.run(_check(steps, installation))
    private_folder(settings.state)
    app = _App("leadline", broker=f"kafka://{bootstrap}", datadir=str(settings.state / "faust"), web_enabled=False)
    host = faust.Worker(
        app,
        Lanes(steps, installation, models),
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    try:
        host.execute_from_commandline()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
