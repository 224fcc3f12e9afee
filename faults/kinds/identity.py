"""Faults of identity: what has the name of before, and is another one."""

import asyncio

from faults import topics
from faults.world import World

_NOTICED_S = 30.0


async def topics_remade(world: World) -> None:
    """Outcomes, or all topics, are deleted and made anew, while workers run or are dead."""
    names = world.rng.choice([("outcomes",), topics.ALL])
    async with world.quiet(), world.away(world.rng.random() < 0.5):
        await world.remake(names)


async def partitions_added(world: World) -> None:
    """Outcomes get more partitions: the join says so and waits, until they are made anew with as many as the others."""
    async with world.quiet():
        await topics.add_partitions(world.bootstrap, world.prefix, "outcomes")
        await world.wait_for_log("its topics do not agree", _NOTICED_S)
        await world.remake(("outcomes",))


async def other_cluster(world: World) -> None:
    """The broker loses its disk, and comes back as another cluster on the same address, while workers run or are dead."""
    async with world.quiet(), world.away(world.rng.random() < 0.5):
        await world.begin_anew()
        await asyncio.sleep(world.rng.uniform(0, 3))
