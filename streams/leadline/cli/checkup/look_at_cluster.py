"""What is to be seen on the cluster: topics, workers, what waits, what comes in, and what could not be used."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import groupby, pairwise
from typing import Any, TypeVar

from leadline.cli.checkup.findings import Asked, Feed, Finding, Letters, Seen, Waiting, wrong
from leadline.cli.checkup.judge_traffic import (
    HOUR_MS,
    judge_clock,
    judge_feeds,
    judge_forms,
    judge_letters,
    judge_names,
    judge_stages,
)
from leadline.cli.checkup.judge_trainings import judge_trainings
from leadline.cli.checkup.judge_workers import judge_models, judge_workers
from leadline.cli.checkup.look_at_trainings import asked
from leadline.cli.newest import rollouts
from leadline.foreign_text import as_text, shown
from leadline.hosts.health import Told
from leadline.hosts.health_record import told
from leadline.kafka.admin import plan_topics
from leadline.kafka.cluster import progress
from leadline.kafka.connections import unencrypted
from leadline.kafka.errors import KafkaError
from leadline.kafka.reader import Reader, is_behind
from leadline.logs import why_refused
from leadline.records import Rollout
from leadline.settings import Settings, SettingsError
from leadline.topology import STEPS, Step
from leadline.wire.letters import reason_of, topic_of
from leadline.wire.partitions import partition_of
from leadline.wire.plan import Plan
from leadline.wire.run import Run
from leadline.wire.single import form_of
from leadline.wire.topics import DEAD_LETTERS, TOPICS, WORKERS

T = TypeVar("T")
_WITHIN_S = 8.0
_SAMPLE = 500
_NEWEST = 5
_LETTERS = 20_000
_STEP_MS = 600_000
_DAY_STEPS = 150
_FEEDS = ("prediction-requests", "outcomes")
_WAIT_S = 2.0


async def look_at_cluster(settings: Settings, models: list[str]) -> AsyncIterator[Finding]:
    """All findings of the cluster; where it does not answer, or topics are missing, that alone."""
    bootstrap = settings.kafka_bootstrap
    if bootstrap is None:
        yield wrong("Kafka", "KAFKA_BOOTSTRAP is not set", "name your broker's host:port, or use `leadline up`")
        return
    steps = [step.name for step in STEPS if step.stateful]
    try:
        plan = await asyncio.wait_for(plan_topics(bootstrap, settings.prefix, settings.partitions, None, steps), 15)
    except (KafkaError, OSError, TimeoutError) as error:
        yield wrong(
            "Kafka",
            f"{bootstrap} does not answer: {why_refused() or error}",
            "check KAFKA_BOOTSTRAP, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_* and KAFKA_SSL_*, and that the broker runs",
        )
        return
    yield Finding("Kafka", f"{bootstrap} answers")
    if unencrypted(bootstrap):
        yield wrong("Kafka", f"unencrypted connection to {bootstrap}", "set KAFKA_SECURITY_PROTOCOL to SASL_SSL")
    for finding in _topics(plan):
        yield finding
    if not plan.create:
        for finding in await _traffic(bootstrap, settings, models):
            yield finding


def _topics(plan: Plan) -> list[Finding]:
    found = [
        wrong("topics", reason, "make them anew with the right number of partitions, or set LEADLINE_PARTITIONS")
        for reason in plan.refuse
    ]
    for topic in plan.alter:
        for entry, (is_now, wanted) in topic.changes.items():
            if not _may_differ(entry, is_now, wanted):
                mend = "`leadline topics apply` mends it"
                found.append(wrong(f"topic {topic.name}", f"{entry} is {is_now}, wanted is {wanted}", mend))
    missing = len(plan.create)
    if missing:
        return [*found, wrong("topics", f"{missing} missing", "create them with `leadline topics apply`")]
    return found or [Finding("topics", "all there, with the partitions and settings that they need")]


def _may_differ(entry: str, is_now: str | None, wanted: str) -> bool:
    """How long records are kept, whoever made the topics chose; and whether they take larger ones than are written."""
    larger = entry == "max.message.bytes" and is_now is not None and int(is_now) > int(wanted)
    return entry == "retention.ms" or larger


async def _traffic(bootstrap: str, settings: Settings, models: list[str]) -> list[Finding]:
    """Look at everything at once, and judge it. What cannot be seen is a finding, and leaves the others as they are."""
    prefix, failed = settings.prefix, []

    async def seen(what: str, look: Awaitable[T], otherwise: T) -> T:
        try:
            return await asyncio.wait_for(look, _WITHIN_S)
        except (KafkaError, SettingsError, OSError, TimeoutError, ValueError) as error:
            reason = f"could not be looked at: {str(error) or type(error).__name__}"
            failed.append(wrong(what, reason, "try again; then look at the brokers, and at the rights of this user"))
            return otherwise

    workers, rollouts, letters, (trainings, forms), feeds, stages = await asyncio.gather(
        seen("workers", told(bootstrap, f"{prefix}.{WORKERS}"), dict[bytes, Told]()),
        seen("rollouts", _rollouts(bootstrap, settings.prefix), list[Rollout]()),
        seen("dead letters", _letters(bootstrap, prefix), list[Letters]()),
        asyncio.gather(
            seen("trainings", asked(bootstrap, prefix), list[Asked]()),
            seen("form of topics", _forms(bootstrap, prefix), dict[str, str]()),
        ),
        asyncio.gather(*(seen(topic, _feed(bootstrap, f"{prefix}.{topic}"), None) for topic in _FEEDS)),
        asyncio.gather(*(seen(f"stage {step.name}", _waiting(bootstrap, prefix, step), None) for step in STEPS)),
    )
    found = {step.name: each for step, each in zip(STEPS, stages, strict=True) if each is not None}
    what = Seen(
        now_ms=int(time.time() * 1000),
        workers=list(workers.values()),
        waiting={name: waiting for name, (waiting, _) in found.items()},
        partitions={name: partitions for name, (_, partitions) in found.items()},
        rollouts=rollouts,
        models=models,
        letters=letters,
        feeds={topic: feed for topic, feed in zip(_FEEDS, feeds, strict=True) if feed is not None},
        trainings=trainings,
        form=settings.format,
        has_registry=settings.schema_registry is not None,
        forms=forms,
    )
    return [*judge(what), *failed]


def judge(seen: Seen) -> list[Finding]:
    """All that is to be said of what was seen."""
    judges: list[Callable[[Seen], Any]] = [
        judge_clock, judge_workers, judge_stages, judge_models, judge_feeds, judge_names, judge_letters,
        judge_trainings, judge_forms,
    ]  # fmt: skip
    return [finding for judge_one in judges for finding in judge_one(seen)]


# -- looking ------------------------------------------------------------------------------------------------------------


async def _rollouts(bootstrap: str, prefix: str) -> list[Rollout]:
    return list((await rollouts(bootstrap, prefix)).values())


async def _letters(bootstrap: str, prefix: str) -> list[Letters]:
    """The dead letters of the last hour, by reason and topic; of very many, the first ones."""
    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    async with Reader(bootstrap, f"{prefix}.{DEAD_LETTERS}") as reader:
        for partition, offset in (await reader.offsets_at(int(time.time() * 1000) - HOUR_MS)).items():
            reader.from_offset(partition, offset)
        async for run in reader.until(await reader.ends()):
            for headers, at_ms in zip(run.headers, run.timestamps, strict=True):
                times[_reason(dict(headers))].append(at_ms)
            if sum(map(len, times.values())) >= _LETTERS:
                break
    return [Letters(*key, len(each), min(each), max(each)) for key, each in sorted(times.items())]


def _reason(headers: Mapping[str, bytes | None]) -> tuple[str, str]:
    """The reason of a dead letter and the topic of its record; anybody may have written them."""
    said = {name: as_text(value) for name, value in headers.items()}
    return shown(reason_of(said) or "unknown"), shown(topic_of(said) or "unknown")


async def _forms(bootstrap: str, prefix: str) -> dict[str, str]:
    """The form of the newest record of each topic that people read, where there is one among its last offsets."""
    names = [topic.name for topic in TOPICS if topic.has_form]
    found = await asyncio.gather(*(_form(bootstrap, f"{prefix}.{name}") for name in names))
    return {name: form for name, form in zip(names, found, strict=True) if form is not None}


async def _form(bootstrap: str, topic_name: str) -> str | None:
    newest: tuple[int, bytes] | None = None
    async with Reader(bootstrap, topic_name) as reader:
        await reader.from_newest(_NEWEST)
        async for run in reader.until(await reader.ends()):
            values = [(at_ms, value) for at_ms, value in zip(run.timestamps, run.values, strict=True) if value]
            newest = max([*values, *([newest] if newest else [])], default=None)
    return None if newest is None else form_of(newest[1])


async def _feed(bootstrap: str, topic_name: str) -> Feed:
    """When records came, and whether producers put keys where Kafka's own clients put them: outcomes miss their predictions otherwise."""
    times: list[int] = []
    seen = strays = 0
    async with Reader(bootstrap, topic_name) as reader:
        await reader.from_newest(_SAMPLE)
        count = len(reader.partitions)
        async for run in reader.until(await reader.ends()):
            times += run.timestamps
            seen += len(run)
            strays += sum(partition_of(key, count) != run.partition for key in run.keys if key)
        newest = sorted(times)[-_SAMPLE:]
        if not newest:
            return Feed(None, 0)
        gap_ms = max((later - earlier for earlier, later in pairwise(newest)), default=0)
        return Feed(newest[-1], max(gap_ms, await _silence(reader, newest[-1])), seen, strays)


async def _silence(reader: Reader, newest_ms: int) -> int:
    """The longest silence in the day before the newest record, as far back as there are records; in steps of ten minutes."""
    beginnings = await reader.beginnings()
    instants = [max(0, newest_ms - step * _STEP_MS) for step in range(_DAY_STEPS)]
    offsets = await asyncio.gather(*map(reader.offsets_at, instants))
    behind = [sum(each.values()) for each in offsets if not is_behind(beginnings, each)]
    return max((len(list(same)) - 1 for _, same in groupby(behind)), default=0) * _STEP_MS


async def _waiting(bootstrap: str, prefix: str, step: Step) -> tuple[Waiting, frozenset[int]]:
    """What a stage has not worked on, and the partitions of its tasks."""
    found = await progress(bootstrap, prefix, step)
    numbers = frozenset({0}) if step.gathers else frozenset(number for _, number in found)
    left = {partition: offset for partition, (offset, end) in found.items() if end > offset}
    oldest = [
        _oldest(
            bootstrap, name, {number: offset for (topic_name, number), offset in left.items() if topic_name == name}
        )
        for name in {topic_name for topic_name, _ in left}
    ]
    times = [each for each in await asyncio.gather(*oldest) if each is not None]
    return Waiting(sum(end - offset for offset, end in found.values()), min(times, default=None)), numbers


async def _oldest(bootstrap: str, topic_name: str, offsets: Mapping[int, int]) -> int | None:
    """The time of the oldest record behind some offsets; None where none is to be had soon, as of a transaction that is open."""
    times: dict[int, int] = {}
    async with Reader(bootstrap, topic_name, partitions=offsets) as reader:
        for partition, begins in (await reader.beginnings()).items():
            reader.from_offset(partition, max(begins, offsets[partition]))
        deadline = time.monotonic() + _WAIT_S
        while len(times) < len(offsets) and time.monotonic() < deadline:
            for run in await reader.take():
                _first_time(run, times)
    return min(times.values(), default=None)


def _first_time(run: Run, times: dict[int, int]) -> None:
    if len(run):
        times.setdefault(run.partition, run.timestamps[0])
