"""The health of this worker as a record on the topic ``workers``, for `leadline doctor` and whoever else wants to see all workers."""

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import structlog

from leadline.foreign_text import shown
from leadline.hosts.contract import Installation
from leadline.hosts.health import Health, Told
from leadline.kafka.cluster import check_topics, read_runs
from leadline.kafka.sender import open_sender
from leadline.kafka.stop import is_cancelled
from leadline.learning.cached import CachedModels
from leadline.records import StageHealth, StageTrouble, WorkerHealth
from leadline.wire.codec import read, value_of
from leadline.wire.topics import WORKERS

log = structlog.get_logger("leadline.health")

EVERY_S = 60.0
SOON_S = 5.0
"""What changes is told so soon, and no more often."""
FORGOTTEN_MS = 7 * 86_400_000
"""Workers that have been silent for so long are forgotten."""
_LOOK_S = 1.0
_WITHIN_S = 20.0
_GOODBYE_S = 1.5
_MOST, _CHARS = 50, 500
_NAME_CHARS = 100
_MOST_VERSIONS = 1000


async def told(bootstrap: str, topic_name: str) -> dict[bytes, Told]:
    """What each worker told last. A record that cannot be read is left out; raises NoTopicError."""
    newest: dict[bytes, Told] = {}
    async for run in read_runs(bootstrap, topic_name):
        for key, value, at_ms in zip(run.keys, run.values, run.timestamps, strict=True):
            newest.pop(key or b"", None)
            with suppress(ValueError):
                record = read(WORKERS, value)
                assert isinstance(record, WorkerHealth)
                newest[key or b""] = Told(record, at_ms)
    return newest


class Teller:
    """Tells the health of this worker each minute, and soon after it has changed. What goes wrong with that never ends a worker."""

    def __init__(self, worker_id: str, installation: Installation, models: CachedModels) -> None:
        self._id = worker_id
        self._installation = installation
        self._models = models
        self._topic_name = installation.topic_name(WORKERS)
        self._started_ms = int(time.time() * 1000)
        self._is_there = False
        self._warned = ""

    async def run(self, refresh: Callable[[], None]) -> None:
        """Tell until cancelled. ``refresh`` is called in a thread before it tells what a minute brought."""
        while True:
            changes = self._installation.health.changes
            await self._try_to_tell(refresh=refresh)
            before = time.monotonic()
            while time.monotonic() - before < EVERY_S:
                await asyncio.sleep(_LOOK_S)
                if self._installation.health.changes != changes and time.monotonic() - before > SOON_S:
                    break

    async def say_goodbye(self) -> None:
        """Tell that this worker ended as it was asked to."""
        if self._is_there:
            await self._try_to_tell("stopped", _GOODBYE_S)

    async def _try_to_tell(
        self, state: str = "running", within_s: float = _WITHIN_S, refresh: Callable[[], None] | None = None
    ) -> None:
        try:
            if refresh is not None:
                await asyncio.to_thread(refresh)
            async with asyncio.timeout(within_s):
                if not self._is_there:
                    await self._begin()
                await self._tell(state)
            self._warned = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker works on
            self._warn(str(error) or type(error).__name__)
        except asyncio.CancelledError:
            if is_cancelled():
                raise

    def _warn(self, why: str) -> None:
        """Once, until it goes well again."""
        if not self._warned:
            log.warning("`leadline doctor` does not see this worker", topic=self._topic_name, error=why)
        self._warned = why

    async def _begin(self) -> None:
        """See that the topic is there, and forget workers that have long been silent."""
        await check_topics(self._installation.bootstrap, [self._topic_name])
        old_ms = int(time.time() * 1000) - FORGOTTEN_MS
        known = await told(self._installation.bootstrap, self._topic_name)
        silent = [key for key, each in known.items() if each.at_ms < old_ms]
        if silent:
            async with open_sender(self._installation.bootstrap, self._installation.settings.prefix) as sender:
                await sender.send_and_wait(self._topic_name, 0, [(key, None, []) for key in silent])
        self._is_there = True

    async def _tell(self, state: str) -> None:
        async with open_sender(self._installation.bootstrap, self._installation.settings.prefix) as sender:
            record = self._record(state)
            await sender.send_and_wait(self._topic_name, 0, [(record.worker_id.encode(), value_of(record), [])])

    def _record(self, state: str) -> WorkerHealth:
        settings, now_ms = self._installation.settings, int(time.time() * 1000)
        asked, refused = self._installation.health.scored_lately()
        return WorkerHealth(
            worker_id=self._id,
            release=version("leadline"),
            state=state,
            started_at=self._started_ms,
            told_at=now_ms,
            stages=_stages(self._installation.health, now_ms),
            versions=self._models.in_use()[:_MOST_VERSIONS],
            unusable={name: shown(why, _CHARS) for name, why in list(self._models.broken().items())[:_MOST]},
            troubles=_troubles(self._installation.health),
            free_bytes=_free_bytes(state=settings.state, models=settings.models),
            answers=dict(list(self._installation.health.answers.items())[:_MOST_VERSIONS]),
            unknown_features=_by_model(self._installation.health.unknown_features()),
            asked=dict(asked.most_common(_MOST_VERSIONS)),
            refused=_by_model(dict(refused.most_common(_MOST_VERSIONS))),
            scored=self._installation.health.versions_lately()[:_MOST_VERSIONS],
        )


def _stages(health: Health, now_ms: int) -> list[StageHealth]:
    return [
        StageHealth(
            each.name, each.state.value, each.since_ms, each.partitions, each.lag, each.round_ms, each.moved_ms,
            len(joins := each.joined_again(now_ms)), min(joins, default=None), each.reason,
        )
        for each in health.stages()
    ]  # fmt: skip


def _troubles(health: Health) -> list[StageTrouble]:
    return [
        StageTrouble(each.step, shown(each.what, _CHARS), shown(each.message, _CHARS), each.since_ms)
        for each in health.troubles()[:_MOST]
    ]


def _by_model(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (model, name), times in counts.items():
        found[model][shown(name, _NAME_CHARS)] = times
    return dict(found)


def _free_bytes(**folders: Path) -> dict[str, int]:
    """Room on the disk of each folder that is there."""
    found = {}
    for name, folder in folders.items():
        with suppress(OSError):
            found[name] = shutil.disk_usage(folder).free
    return found


@contextmanager
def worker_id(state: Path) -> Iterator[str]:
    """A name for this worker: the same after a restart, and never that of another one which runs. The state folder remembers it."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64] or "host"
    folder = state / "worker-ids"
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*sorted(path.name for path in folder.glob(f"{host}-*")), f"{host}-{secrets.token_hex(4)}"]:
        file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        try:
            yield name
        finally:
            os.close(file)
        return
