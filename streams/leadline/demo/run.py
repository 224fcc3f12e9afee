"""The demo from end to end; see `scripts/demo`."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.live import Live

from leadline.demo.feed import Feed, publish_time
from leadline.demo.flights import history, model_settings, month
from leadline.demo.screen import Screen
from leadline.embedded import progress_bar, servers
from leadline.embedded.workers import Workers
from leadline.foreign_text import shown
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.reader import Reader
from leadline.kafka.sender import publish
from leadline.learning.add import add_version, signature_of
from leadline.learning.train import train
from leadline.records import PROMOTE, Command
from leadline.settings import Settings, load_settings
from leadline.topology import STEPS
from leadline.wire.codec import decode

WATCHED = ("metrics", "drift", "alerts", "retrain-requests")
HOUR_MS = 3_600_000
PREFIX = "leadline-demo"
"""Topics of this prefix are deleted when the demo begins."""


def demo(seconds: float, keep: bool) -> None:
    """Train on the winter, live through a month of summer storms in so many seconds, and show what Leadline notices."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="leadline-demo-"))
    settings = load_settings(prefix=PREFIX, clock="records", models=folder / "models", state=folder / "state")
    try:
        with ExitStack() as stack:
            with progress_bar(console) as progress:
                server = stack.enter_context(servers(settings, redis=True, progress=progress))
            assert server.redis_url is not None
            say = _sayer(console)
            say(f"Kafka is at {server.bootstrap}, Redis at {server.redis_url.rsplit('@', 1)[-1]}")
            accuracy = _train(console, settings)
            asyncio.run(_prepare(settings, server.bootstrap))
            environment = {
                "KAFKA_BOOTSTRAP": server.bootstrap, "REDIS_URL": server.redis_url, "LEADLINE_CLOCK": "records",
                "LEADLINE_MODELS": str(settings.models), "LEADLINE_PREFIX": settings.prefix,
            }  # fmt: skip
            names = [step.name for step in STEPS]
            workers = stack.enter_context(Workers(1, names, environment, settings.state, folder / "logs", say))
            screen = Screen(console, accuracy)
            asyncio.run(_live(settings, server.bootstrap, server.redis_url, workers, screen, seconds))
            _say_more(console, settings, server.bootstrap, screen, keep)
            while keep:
                workers.tend()
                time.sleep(0.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sayer(console: Console) -> Callable[[str], None]:
    """Prints a line as it is, or as escapes: addresses and paths are not ours."""
    return lambda line: console.print(shown(line), markup=False, highlight=False, soft_wrap=True)


def _train(console: Console, settings: Settings) -> float:
    """Train v1 on January and February, with March as its reference; its accuracy there."""
    model = model_settings()
    with console.status("training v1 on January and February"):
        past, reference = history()
        signature = signature_of(past, model)
        added = add_version(settings.models, model, "v1", train(past, model, "label"), reference, "label", signature)
    assert added.profile is not None
    accuracy = added.profile.metrics["accuracy"]
    console.print(f"trained flights v1 on {len(past):,} flights; accuracy in March: {accuracy:.1%}")
    return accuracy


async def _prepare(settings: Settings, bootstrap: str) -> None:
    steps = [step.name for step in STEPS if step.stateful]
    await cluster.remove(bootstrap, settings.prefix)
    await apply_topics(bootstrap, settings.prefix, settings.partitions, settings.replication, None, steps)
    command = Command("first", PROMOTE, "flights", "demo", "first version", {"version": "v1"}, 0)
    await publish(bootstrap, settings.prefix, "commands", command)  # the workers obey it before they score


async def _live(
    settings: Settings, bootstrap: str, redis_url: str, workers: Workers, screen: Screen, seconds: float
) -> None:
    requests, outcomes, weather = month()
    feed = Feed(requests, outcomes, weather, requests[0].event_time)
    watching = [asyncio.create_task(_watch(bootstrap, settings.prefix, topic, screen)) for topic in WATCHED]
    with Live(screen.render(), console=screen.console, auto_refresh=False, transient=False) as live:
        feeding = asyncio.create_task(feed.run(bootstrap, redis_url, settings.prefix, settings.partitions, seconds))
        drawing = asyncio.create_task(_draw(feed, screen, live))
        try:
            while not feeding.done():
                workers.tend()
                await asyncio.wait([feeding], timeout=0.5)
            await feeding
            end = feed.now_ms + 13 * HOUR_MS
            for topics in ((), ("predictions", "outcomes")):
                await publish_time(bootstrap, settings.prefix, settings.partitions, topics, end)
                await _settle(bootstrap, settings.prefix, workers)
        finally:
            for task in (drawing, *watching):
                task.cancel()
            await asyncio.gather(drawing, *watching, return_exceptions=True)
        live.update(screen.render(), refresh=True)


async def _settle(bootstrap: str, prefix: str, workers: Workers) -> None:
    for step in STEPS:
        while sum((await cluster.lag(bootstrap, prefix, step)).values()):
            workers.tend()
            await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)


async def _watch(bootstrap: str, prefix: str, topic: str, screen: Screen) -> None:
    async with Reader(bootstrap, f"{prefix}.{topic}", topic) as reader:
        await reader.from_beginning()
        async for run in reader.follow():
            for record in decode(run, 1 << 30)[0].records:
                screen.take(record)


async def _draw(feed: Feed, screen: Screen, live: Live) -> None:
    before, at = 0, time.monotonic()
    while True:
        now = time.monotonic()
        screen.rate, before, at = (screen.predictions - before) / max(now - at, 0.1), screen.predictions, now
        screen.now_ms = feed.now_ms
        if screen.console.is_terminal:
            live.update(screen.render(), refresh=True)
        await asyncio.sleep(0.4)


def _say_more(console: Console, settings: Settings, bootstrap: str, screen: Screen, keep: bool) -> None:
    console.print(
        f"\n{screen.predictions:,} predictions, {screen.counts['alerts']} alerts, {screen.counts['retrain']} retrain request(s).\n"
        "What you saw came from Kafka topics that any client reads. With your own broker:\n"
        f"  export KAFKA_BOOTSTRAP=host:port && leadline topics apply && leadline worker\n"
        "  produce to   leadline.prediction-requests and leadline.outcomes (JSON or Avro, key = request_id)\n"
        "  consume from leadline.predictions, .metrics, .drift, .alerts and .retrain-requests\n"
    )
    if keep:
        say = _sayer(console)
        say(f"Still running at {bootstrap} (Ctrl-C stops it). In another terminal:")
        say(f"  export KAFKA_BOOTSTRAP={bootstrap} LEADLINE_PREFIX={settings.prefix}")
        say("  .venv/bin/leadline metrics --once")
        say("  .venv/bin/leadline tail alerts --from-beginning")
