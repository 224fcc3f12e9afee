"""A replay from end to end: topics, workers, the two logs, the wait, the answer, and the clearing up."""

import asyncio
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from leadline.core.processor import Output
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.learning.add import add_described
from leadline.learning.toml import settings_toml
from leadline.records import Alert, JoinCounts, Record, WindowMetrics, iso
from leadline.replay.errors import StallError
from leadline.replay.logs import Log
from leadline.replay.reference import Described
from leadline.replay.report import counts, incidents_csv, metrics_csv, newest, snapshots_csv
from leadline.report.collect import Collected
from leadline.report.content import content
from leadline.report.page import page
from leadline.report.read import read_topics
from leadline.settings import ModelSettings, Settings
from leadline.topology import step
from leadline.wire.codec import decode
from leadline.wire.letters import letters_of, once
from leadline.wire.limits import CHANGELOG_BYTES
from leadline.wire.topics import DEAD_LETTERS

MEASURED = ("join", "performance")
WATCHED = (*MEASURED, "drift", "alerting")
STALL_S = 60.0
_CHUNK = 20_000
_WATCHED_RUN = 500
"""Records of a run where somebody watches: what is told early depends on what is known meanwhile, as it would have been live."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What is asked for. ``as_of_ms``: None is the latest time in either log. ``watched``: the versions whose windows are watched
    too; ``page``: whether a page about it all is made.
    """

    settings: ModelSettings
    as_of_ms: int | None
    partitions: int
    workers: int
    keep: bool
    watched: Sequence[Described] = ()
    page: bool = False

    @property
    def topics(self) -> list[str]:
        """All that the steps read and write, and where they put what they cannot use."""
        steps = map(step, self.steps)
        return sorted({name for each in steps for name in (*each.reads, *each.writes, *each.tables)} | {DEAD_LETTERS})

    @property
    def steps(self) -> tuple[str, ...]:
        return WATCHED if self.watched else MEASURED


class Answer(NamedTuple):
    """What a replay says: as CSV the metrics, every revision of them and the incidents; as HTML the page, where one is asked for; the
    summary; the dead letters by their reason.
    """

    metrics: str
    snapshots: str
    incidents: str
    page: str
    summary: dict[str, object]
    counts: dict[str, int]
    letters: dict[str, int]


Report = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def run(
    replay: Replay,
    logs: Sequence[Log],
    settings: Settings,
    bootstrap: str,
    folder: Path,
    report: Report,
    progress: Progress,
) -> Answer:
    """Replay logs that were read; raises StallError, EmbeddedError."""
    as_of_ms = max(log.latest_ms for log in logs) if replay.as_of_ms is None else replay.as_of_ms
    prefix = f"leadline-replay-{uuid.uuid4().hex[:8]}"
    own = settings.model_copy(
        update={"prefix": prefix, "clock": "records", "state": folder / "state", "models": folder / "models"}
    )
    _write_model(replay, own.models)
    try:
        return asyncio.run(
            _replay(replay, own, bootstrap, folder, [log.until(as_of_ms) for log in logs], as_of_ms, report, progress)
        )
    finally:
        if replay.keep:
            report(f"kept: topics and groups {prefix}.*, state in {folder}")
        else:
            asyncio.run(cluster.remove(bootstrap, prefix))
            shutil.rmtree(folder, ignore_errors=True)


def _write_model(replay: Replay, models: Path) -> None:
    """The one model of a replay, as a model file like any other, and the versions that are watched."""
    for each in replay.watched:
        add_described(models, replay.settings, each.version, each.signature, each.profile)
    folder = models / replay.settings.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(settings_toml(replay.settings), "utf-8")


async def _replay(
    replay: Replay,
    own: Settings,
    bootstrap: str,
    folder: Path,
    logs: list[Log],
    as_of_ms: int,
    report: Report,
    progress: Progress,
) -> Answer:
    await apply_topics(bootstrap, own.prefix, replay.partitions, own.replication, None, replay.steps, replay.topics)
    environment = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "LEADLINE_PREFIX": own.prefix,
        "LEADLINE_CLOCK": "records",
        "LEADLINE_FORMAT": "avro",  # nobody else reads its topics
        **({"LEADLINE_RUN_RECORDS": str(_WATCHED_RUN)} if replay.watched else {}),
        "LEADLINE_MODELS": str(own.models),
    }
    with Workers(replay.workers, replay.steps, environment, own.state, folder / "logs", report) as workers:
        publishing = asyncio.create_task(_publish(bootstrap, own.prefix, logs, as_of_ms, replay.partitions, progress))
        waiting = _Waiting(bootstrap, own.prefix, replay.steps, progress)
        while not publishing.done():
            workers.tend()
            await asyncio.wait([publishing], timeout=0.2)
        await publishing
        while not await waiting.done():
            workers.tend()
            await asyncio.sleep(0.2)
    return await _answer(bootstrap, own.prefix, replay, as_of_ms)


async def _publish(
    bootstrap: str, prefix: str, logs: list[Log], as_of_ms: int, partitions: int, progress: Progress
) -> None:
    """Both logs, each in its own order and side by side in time; then the clock, on every partition."""
    async with open_sender(bootstrap, prefix, pass_on_arrival=True) as sender:
        total, done = sum(map(len, logs)), 0
        for log, start, stop in _side_by_side(logs):
            output = Output(
                log.topic,
                log.keys[start:stop],
                columns=log.columns.slice(start, stop - start),
                arrival_ms=log.arrival_ms[start:stop],
            )
            await asyncio.gather(*await sender.send_outputs([output]))
            done += stop - start
            progress("published", done, total)
        for log in logs:
            for partition in range(partitions):
                await asyncio.gather(*await sender.send_clock(log.topic, partition, as_of_ms))


def _side_by_side(logs: list[Log]) -> list[tuple[Log, int, int]]:
    """Parts of the logs, ordered by when they arrived."""
    parts = [(log, start, min(start + _CHUNK, len(log))) for log in logs for start in range(0, len(log), _CHUNK)]
    return sorted(parts, key=lambda part: int(part[0].arrival_ms[part[1]]))


class _Waiting:
    """Whether all that was published has been worked on, and whether anything moves."""

    def __init__(self, bootstrap: str, prefix: str, steps: Sequence[str], progress: Progress) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._steps = steps
        self._progress = progress
        self._moved_at = time.monotonic()
        self._before: dict[str, int] = {}

    async def done(self) -> bool:
        """True when nothing is left; raises StallError when nothing has moved for a minute."""
        lags = {name: await cluster.lag(self._bootstrap, self._prefix, step(name)) for name in self._steps}
        left = {name: sum(lag.values()) for name, lag in lags.items()}
        if left != self._before:
            self._before, self._moved_at = left, time.monotonic()
        self._progress("left to join", left["join"], 0)
        if time.monotonic() - self._moved_at > STALL_S:
            named = ", ".join(
                f"{topic}/{partition}: {count}"
                for lag in lags.values()
                for (topic, partition), count in lag.items()
                if count
            )
            raise StallError(f"nothing has moved for {STALL_S:.0f} s; records left: {named or 'none'}")
        return not any(left.values())


async def _answer(bootstrap: str, prefix: str, replay: Replay, as_of_ms: int) -> Answer:
    records = [
        record for record in await _all(bootstrap, prefix, "metrics") if isinstance(record, WindowMetrics | JoinCounts)
    ]
    told = await _all(bootstrap, prefix, "alerts") if replay.watched else []
    incidents = [record for record in told if isinstance(record, Alert)]
    windows, totals = newest(records)
    letters = await _letters(bootstrap, prefix)
    counted = counts(totals, sum(letters.values()))
    settings = replay.settings
    summary: dict[str, object] = {
        "model": settings.name,
        "task": settings.task,
        "policy": settings.policy,
        "horizon_ms": settings.horizon,
        "window_ms": settings.window,
        "grace_ms": settings.grace,
        "as_of_ms": as_of_ms,
        "as_of": iso(as_of_ms),
        "counts": counted,
        "dead_letters": letters,
    }
    revisions = [record for record in records if isinstance(record, WindowMetrics)]
    page_ = await _page(bootstrap, prefix, replay) if replay.page else ""
    tables = metrics_csv(windows), snapshots_csv(revisions), incidents_csv(incidents)
    return Answer(*tables, page_, summary, counted, letters)


async def _page(bootstrap: str, prefix: str, replay: Replay) -> str:
    found = Collected(replay.settings, "*")
    await read_topics(bootstrap, prefix, found, watched=bool(replay.watched))
    return page(content(found, {each.version: each.profile for each in replay.watched}))


async def _all(bootstrap: str, prefix: str, topic: str) -> list[Record]:
    """All records of a topic, each partition in its order."""
    runs = [run async for run in cluster.read_runs(bootstrap, f"{prefix}.{topic}", topic)]
    return [record for run in runs for record in decode(run, CHANGELOG_BYTES)[0].records]


async def _letters(bootstrap: str, prefix: str) -> dict[str, int]:
    """How many dead letters there are of each reason, the most frequent first."""
    runs = [run async for run in cluster.read_runs(bootstrap, f"{prefix}.dead-letters")]
    reasons = Counter(letter.reason for letter in once(letter for run in runs for letter in letters_of(run, prefix)))
    return dict(reasons.most_common())
