"""The demo from end to end; see `scripts/demo`."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.live import Live

from leadline.demo.feed import Feed, publish_time
from leadline.demo.flights import history, model_settings, summer
from leadline.demo.person import Place, canary, command, promote, train_again, try_broken
from leadline.demo.screen import Screen
from leadline.embedded import progress_bar, servers
from leadline.embedded.workers import Workers
from leadline.foreign_text import shown
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.reader import Reader
from leadline.learning.add import add_version, signature_of
from leadline.learning.train import train
from leadline.records import PROMOTE
from leadline.settings import Settings, load_settings
from leadline.topology import STEPS
from leadline.wire.codec import decode

WATCHED = ("metrics", "drift", "alerts", "retrain-requests", "trainings", "verdicts", "rollouts", "comparisons")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TRAINED_MS, PROMOTED_MS, BROKEN_MS = 23 * DAY_MS, 30 * DAY_MS, 37 * DAY_MS
"""So long after the first flight the demo has v2 trained, promotes it, and lets the broken v3 past the gate."""
PORTION_MS = 4 * DAY_MS
"""After so much of the summer the stages catch up: a busy machine takes longer, and shows the same."""
LAST_MS = 6 * DAY_MS
"""Before the end: later nobody would see what becomes of the broken version."""
_CATCH_UP_S, _AT_THE_END_S = 60.0, 300.0
TRAINER = (sys.executable, "-P", "-m", "leadline", "trainer")
PREFIX = "leadline-demo"
"""Topics of this prefix are deleted when the demo begins."""


def demo(seconds: float, keep: bool) -> None:
    """Train on the winter, and live through six weeks of summer storms in so many seconds: what Leadline notices, and what comes of it."""
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
            workers = stack.enter_context(_workers(settings, environment, folder, say))
            shadow = stack.enter_context(_shadow(environment, folder, say))
            place = Place(settings, server.bootstrap, server.redis_url)
            screen = Screen(console, accuracy)
            trainer = stack.enter_context(ExitStack())
            running = [workers, shadow]
            asyncio.run(
                _live(
                    place, running, screen, seconds, lambda: trainer.enter_context(_trainer(environment, folder, say))
                )
            )
            _say_what_came_of_it(console, screen)
            for rollout_id in screen.rollouts:
                _tell(console, environment, rollout_id)
            _verify(console, environment)
            _say_more(console, settings, server.bootstrap, screen, keep)
            while keep:
                workers.tend()
                time.sleep(0.5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _workers(settings: Settings, environment: Mapping[str, str], folder: Path, say: Callable[[str], None]) -> Workers:
    names = [step.name for step in STEPS if not step.alone]
    return Workers(1, names, environment, settings.state, folder / "logs", say)


def _shadow(environment: Mapping[str, str], folder: Path, say: Callable[[str], None]) -> Workers:
    own, names = {**environment, "LEADLINE_HEALTH": "none"}, [step.name for step in STEPS if step.alone]
    return Workers(1, names, own, folder / "shadow", folder / "logs", say, name="shadow", vital=False)


def _trainer(environment: Mapping[str, str], folder: Path, say: Callable[[str], None]) -> Workers:
    own = {**environment, "LEADLINE_HEALTH": "none"}
    return Workers(1, [], own, folder / "trainer", folder / "logs", say, TRAINER, name="trainer")


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
    began = Place(settings, bootstrap, "")
    await command(
        began, summer()[0][0].event_time, PROMOTE, "first version", {"version": "v1"}
    )  # they obey before they score


async def _live(
    place: Place, running: list[Workers], screen: Screen, seconds: float, start_trainer: Callable[[], Workers]
) -> None:
    """Eighteen days, after which a trainer answers what was asked and a person agrees; v2 takes over step by step, and v3 does not."""
    requests, outcomes, weather = summer()
    feed = Feed(requests, outcomes, weather, requests[0].event_time)
    begin, end = feed.now_ms, feed.end_ms
    watching = [asyncio.create_task(_watch(place, topic, screen)) for topic in WATCHED]

    async def live_until(moment: int, come: Callable[[], bool] = lambda: False, portion: int = PORTION_MS) -> None:
        """Let the summer happen until then, or until something has come."""
        while feed.now_ms < moment and not come():
            until = min(feed.now_ms + portion, moment)
            await _feed(place, feed, running, seconds * (until - feed.now_ms) / (end - begin), until)
            await _settle(place, running)

    with Live(screen.render(), console=screen.console, auto_refresh=False, transient=False) as live:
        drawing = asyncio.create_task(_draw(feed, screen, live))
        try:
            await live_until(begin + TRAINED_MS)
            running.append(start_trainer())
            await train_again(place, feed.now_ms, screen, running)
            await live_until(begin + PROMOTED_MS)
            await live_until(end - LAST_MS, lambda: canary(screen) is not None, DAY_MS)
            await promote(place, feed.now_ms, screen, running)
            await live_until(begin + BROKEN_MS)
            await live_until(end - LAST_MS, lambda: screen.state == "settled", DAY_MS)
            await try_broken(place, feed.now_ms, screen, running)
            await live_until(end)
            for topics in ((), ("predictions", "shadow-predictions", "outcomes")):
                await publish_time(
                    place.bootstrap, place.settings.prefix, place.settings.partitions, topics, end + 13 * HOUR_MS
                )
                await _settle(place, running, _AT_THE_END_S)
        finally:
            for task in (drawing, *watching):
                task.cancel()
            await asyncio.gather(drawing, *watching, return_exceptions=True)
        live.update(screen.render() if screen.console.is_terminal else screen.result(), refresh=True)


async def _feed(place: Place, feed: Feed, running: Sequence[Workers], seconds: float, end: int) -> None:
    settings = place.settings
    feeding = asyncio.create_task(
        feed.run(place.bootstrap, place.redis_url, settings.prefix, settings.partitions, seconds, end)
    )
    while not feeding.done():
        for each in running:
            each.tend()
        await asyncio.wait([feeding], timeout=0.5)
    await feeding


async def _settle(place: Place, running: Sequence[Workers], within_s: float = _CATCH_UP_S) -> None:
    """Wait until the stages have worked off what is there; for so long at most."""
    deadline = time.monotonic() + within_s
    while await _is_behind(place) and time.monotonic() < deadline:
        for each in running:
            each.tend()
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)


async def _is_behind(place: Place) -> bool:
    """Whether any stage has something left to do."""
    steps = [step for step in STEPS if not step.alone]
    lags = await asyncio.gather(*(cluster.lag(place.bootstrap, place.settings.prefix, step) for step in steps))
    return any(any(lag.values()) for lag in lags)


async def _watch(place: Place, topic: str, screen: Screen) -> None:
    async with Reader(place.bootstrap, f"{place.settings.prefix}.{topic}", topic) as reader:
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


def _say_what_came_of_it(console: Console, screen: Screen) -> None:
    """The live accuracy of each version, side by side."""
    console.print()
    for version in sorted({version for _, _, version in screen.windows}):
        console.print(screen.accuracy(version), highlight=False)
    console.print("Each on days of its own; below, what both said of the same flights is compared.", highlight=False)


def _tell(console: Console, environment: Mapping[str, str], rollout_id: str) -> None:
    """The story of a rollout, as `leadline rollout story` has it."""
    command = [sys.executable, "-P", "-m", "leadline", "rollout", "story", "flights", rollout_id]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    console.print(f"\nleadline rollout story flights {rollout_id}", markup=False, highlight=False)
    console.print((done.stdout or done.stderr).rstrip(), markup=False, highlight=False)


def _verify(console: Console, environment: Mapping[str, str]) -> None:
    """Walk the chain of all decisions, as `leadline audit verify` does."""
    command = [sys.executable, "-P", "-m", "leadline", "audit", "verify"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    said = (done.stdout or done.stderr).strip().split("\n")[0]
    console.print(shown(f"leadline audit verify: {said}", 400), markup=False, highlight=False, soft_wrap=True)


def _say_more(console: Console, settings: Settings, bootstrap: str, screen: Screen, keep: bool) -> None:
    say = _sayer(console)
    for line in (
        "",
        f"{screen.predictions:,} predictions, {screen.counts['incidents']} incidents; trainings asked for: {screen.counts['retrain']}.",
        "All of it came from Kafka topics that any client reads (docs/clients.md):",
        "  you write  leadline.prediction-requests, leadline.outcomes (JSON or Avro)",
        "  you read   leadline.predictions, .metrics, .drift, .alerts, .rollouts",
        "With a model of your own, in ten minutes: docs/own-model.md",
    ):
        say(line)
    if keep:
        say(f"Still running at {bootstrap} (Ctrl-C stops it). In another terminal:")
        say(f"  export KAFKA_BOOTSTRAP={bootstrap} LEADLINE_PREFIX={settings.prefix} LEADLINE_MODELS={settings.models}")
        say("  .venv/bin/leadline metrics --once")
        say("  .venv/bin/leadline rollout story flights")
        say("  .venv/bin/leadline audit show")
