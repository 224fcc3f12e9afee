"""``leadline doctor``: what is wrong here, and what to do."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rich.markup import escape

from leadline.cli.common import out, wait_for
from leadline.foreign_text import shown
from leadline.kafka.connections import unencrypted
from leadline.kafka.errors import KafkaError
from leadline.logs import why_refused
from leadline.settings import ModelSettings, Settings, SettingsError, load_settings

_SAMPLE = 500


class Finding(NamedTuple):
    """One thing that was looked at; ``mend`` is empty where all is well."""

    what: str
    found: str
    mend: str


def doctor() -> None:
    """Check the broker, the topics, who writes to them, Redis, the models and the folders; exit code 1 where something is wrong."""
    settings = load_settings()
    if wait_for(_examine(settings)):
        raise SystemExit(1)


async def _examine(settings: Settings) -> bool:
    wrong = False
    async for finding in _findings(settings):
        wrong |= bool(finding.mend)
        mark = "[red]✗[/]" if finding.mend else "[green]✓[/]"
        out.print(
            f"{mark} {escape(shown(f'{finding.what}: {finding.found}', 1000))}"
            + (f"\n    {escape(shown(finding.mend, 1000))}" if finding.mend else ""),
            highlight=False,
            soft_wrap=True,
        )
    return wrong


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.registry import Registry

    for folder, name in ((settings.state, "LEADLINE_STATE"), (settings.cache, "LEADLINE_CACHE")):
        yield _folder(folder, name)
    files = ModelFiles(settings.models)
    names = Registry(files).models()
    for name in names:
        yield _model(name, files.settings)
    if not names:
        yield Finding(
            "models",
            f"none in {settings.models}",
            "add one with `leadline model add`, or name their folder in LEADLINE_MODELS",
        )
    if any(_looks_up(name, files.settings) for name in names):
        yield await _redis(settings)
    async for finding in _kafka(settings):
        yield finding


def _model(name: str, read: Callable[[str], ModelSettings | None]) -> Finding:
    try:
        model = read(name)
    except SettingsError as error:
        return Finding(f"model {name}", str(error), "mend the file")
    assert model is not None
    return Finding(f"model {name}", f"horizon {model.horizon} ms, window {model.window} ms", "")


def _looks_up(name: str, read: Callable[[str], ModelSettings | None]) -> bool:
    with suppress(SettingsError):
        model = read(name)
        return model is not None and bool(model.lookups)
    return False


def _folder(folder: Path, name: str) -> Finding:
    near = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    fine = os.access(near, os.W_OK)
    return Finding(name, str(folder), "" if fine else f"{near} cannot be written: choose another folder with {name}")


async def _redis(settings: Settings) -> Finding:
    from redis.exceptions import RedisError

    from leadline.lookups.connections import redis_client

    if settings.redis_url is None:
        return Finding(
            "Redis", "a model looks features up, but REDIS_URL is not set", "set REDIS_URL, or use `leadline up`"
        )
    client = redis_client(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return Finding("Redis", f"does not answer: {type(error).__name__}", "check REDIS_URL, and that the server runs")
    finally:
        await client.aclose()
    return Finding("Redis", "answers", "")


async def _kafka(settings: Settings) -> AsyncIterator[Finding]:
    from leadline.kafka.admin import plan_topics
    from leadline.topology import STEPS

    if settings.kafka_bootstrap is None:
        yield Finding("Kafka", "KAFKA_BOOTSTRAP is not set", "name your broker's host:port, or use `leadline up`")
        return
    steps = [step.name for step in STEPS if step.stateful]
    try:
        plan = await asyncio.wait_for(
            plan_topics(settings.kafka_bootstrap, settings.prefix, settings.partitions, None, steps), 15
        )
    except (KafkaError, OSError, TimeoutError) as error:
        yield Finding(
            "Kafka",
            f"{settings.kafka_bootstrap} does not answer: {why_refused() or error}",
            "check KAFKA_BOOTSTRAP, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_* and KAFKA_SSL_*, and that the broker runs",
        )
        return
    yield Finding("Kafka", f"{settings.kafka_bootstrap} answers", "")
    if unencrypted(settings.kafka_bootstrap):
        yield Finding(
            "Kafka", f"unencrypted connection to {settings.kafka_bootstrap}", "set KAFKA_SECURITY_PROTOCOL to SASL_SSL"
        )
    for reason in plan.refuse:
        yield Finding(
            "topics", reason, "make them anew with the right number of partitions, or set LEADLINE_PARTITIONS"
        )
    missing = len(plan.create)
    yield Finding(
        "topics",
        f"{missing} missing" if missing else "all there",
        "create them with `leadline topics apply`" if missing else "",
    )
    for topic in () if missing else ("prediction-requests", "outcomes"):
        yield await _keys(settings.kafka_bootstrap, f"{settings.prefix}.{topic}")


async def _keys(bootstrap: str, topic_name: str) -> Finding:
    """Whether producers put keys where Kafka's own clients put them: others do not, and then outcomes miss their predictions."""
    from leadline.kafka.reader import Reader
    from leadline.wire.partitions import partition_of

    seen = strays = 0
    async with Reader(bootstrap, topic_name) as reader:
        await reader.from_newest(_SAMPLE)
        count = len(reader.partitions)
        async for run in reader.until(await reader.ends()):
            seen += len(run)
            strays += sum(partition_of(key, count) != run.partition for key in run.keys if key)
    mend = "set the producer's partitioner to murmur2_random (librdkafka's default is another)" if strays else ""
    return Finding(topic_name, f"{strays} of the newest {seen} keys on another partition than murmur2's", mend)
