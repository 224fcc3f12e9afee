"""One run: feed, strike, heal, wait until all is done, judge."""

import asyncio
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from faults.kinds import KINDS
from faults.ledger import Verdict, Watch, judge, left
from faults.world import World

EVENTS, SECONDS = 150_000, 12.0
_HEAL_S, _DONE_S = 30.0, 180.0


def once(name: str, seed: int, events: int) -> dict[str, Any]:
    """Run a fault with a seed; what it cost, for a results file."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as folder, World(Path(folder), seed) as world:
        verdict, live = asyncio.run(_run(world, name, events))
        errors = [
            line[:300]
            for log in Path(folder).rglob("worker-*.log")
            for line in log.read_text("utf-8", "replace").splitlines()
            if '"level": "critical"' in line or ('"level": "error"' in line and '"logger": "leadline' in line)
        ]
    row = {"fault": name, "seed": seed, **verdict.row(), "live": live, "errors": errors[:5]}
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


async def _run(world: World, name: str, events: int) -> tuple[Verdict, bool]:
    """Feed, strike, heal, wait until all is done, judge; and whether it went on in time after the fault."""
    watch = Watch(world)
    striking = asyncio.create_task(_strike(world, name, watch))
    feeding = asyncio.create_task(world.traffic.feed(events, SECONDS, lambda: not striking.done()))
    while not (feeding.done() and striking.done()):
        world.tend()
        await _looked(watch)
        await asyncio.sleep(0.2)
    await asyncio.gather(striking, feeding)
    done = await _settled(world, watch)
    longest_s = watch.longest_s  # behind it there is no work
    await world.traffic.tell_time()
    done = await _settled(world, watch) and done
    verdict = await judge(world)
    verdict.stand_still_s, verdict.memory_mb = round(longest_s, 1), watch.memory_mb
    verdict.went_on_s = watch.went_on_s and round(watch.went_on_s, 1)
    return verdict, done and watch.went_on_s is not None and watch.went_on_s <= _HEAL_S


async def _settled(world: World, watch: Watch) -> bool:
    """Wait until all is worked on; False where that takes too long."""
    deadline = time.monotonic() + _DONE_S
    while time.monotonic() < deadline:
        world.tend()
        await _looked(watch)
        with suppress(KafkaError):
            if not await left(world):
                return True
        await asyncio.sleep(0.3)
    return False


async def _strike(world: World, name: str, watch: Watch) -> None:
    deadline = time.monotonic() + _DONE_S
    while not watch.all_at_work and time.monotonic() < deadline:  # noqa: ASYNC110 - looked at, not told
        await asyncio.sleep(0.1)
    await asyncio.sleep(world.rng.uniform(0, 2))
    await KINDS[name](world)
    watch.healed_at = time.monotonic()


async def _looked(watch: Watch) -> None:
    with suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(watch.look(), 5)
