"""One run: feed, strike, heal, wait until all is done, judge."""

import asyncio
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from faults.cluster import ClusterWorld
from faults.kinds import KINDS
from faults.kinds.brokers import BROKERS
from faults.ledger import Verdict, Watch, judge
from faults.world import World
from leadline.kafka.metadata import NoTopicError

EVENTS, SOAK_EVENTS, FEW_EVENTS, SECONDS = 150_000, 8_000, 2_000, 12.0
_HEAL_S, _DONE_S = 30.0, 180.0


def once(name: str, seed: int, events: int, minutes: float = 0.0) -> dict[str, Any]:
    """Run a fault with a seed, again and again for so many minutes; what it cost, for a results file."""
    began = time.monotonic()
    make = ClusterWorld if name in BROKERS else World
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as folder, make(Path(folder), seed) as world:
        verdict, live = asyncio.run(_run(world, name, events, minutes))
        errors = [
            line[:300]
            for log in Path(folder).rglob("worker-*.log")
            for line in log.read_text("utf-8", "replace").splitlines()
            if '"level": "critical"' in line or ('"level": "error"' in line and '"logger": "leadline' in line)
        ]
    row = {"fault": "soak" if minutes else name, "seed": seed, **verdict.row(), "live": live, "errors": errors[:5]}
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


async def _run(world: World, name: str, events: int, minutes: float) -> tuple[Verdict, bool]:
    """Feed, strike, heal, wait until all is done, judge; and whether it went on in time after each fault."""
    watch = Watch(world)
    striking = asyncio.create_task(_strike(world, name, watch, minutes))
    feeding = asyncio.create_task(world.traffic.feed(events, SECONDS, lambda: not striking.done()))
    while not (feeding.done() and striking.done()):
        world.tend()
        await _looked(watch)
        await asyncio.sleep(0.2)
        for each in (striking, feeding):
            if each.done():
                each.result()  # what failed is told at once, and not when the other has ended
    await asyncio.gather(striking, feeding)
    done = await _settled(world, watch)
    longest_s = watch.longest_s  # behind it there is no work
    await world.traffic.tell_time()
    done = await _settled(world, watch) and done
    verdict = await judge(world)
    verdict.stand_still_s, verdict.memory_mb = round(longest_s, 1), watch.memory_mb
    verdict.faults, verdict.went_on_s = watch.faults, round(watch.went_on_s, 1)
    return verdict, done and watch.went_on_s <= _HEAL_S


async def _settled(world: World, watch: Watch) -> bool:
    """Wait until all is worked on; False where that takes too long."""
    deadline = time.monotonic() + _DONE_S
    while time.monotonic() < deadline:
        world.tend()
        await _looked(watch)
        with suppress(KafkaError, NoTopicError):
            if not await world.left():
                return True
        await asyncio.sleep(0.3)
    return False


async def _strike(world: World, name: str, watch: Watch, minutes: float) -> None:
    """Strike once, or for so many minutes; the next time when all have gone on."""
    deadline = time.monotonic() + _DONE_S
    while not watch.all_at_work and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody says when
        await asyncio.sleep(0.1)
    end = time.monotonic() + 60 * minutes
    while not watch.faults or time.monotonic() < end:
        await asyncio.sleep(world.rng.uniform(0, 2))
        await KINDS[name](world)
        world.traffic.calm()
        watch.heal()
        while watch.healing and time.monotonic() - watch.healed_at < _DONE_S:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _looked(watch: Watch) -> None:
    with suppress(KafkaError, NoTopicError, TimeoutError):
        await asyncio.wait_for(watch.look(), 5)
