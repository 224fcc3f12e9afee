"""Faults while it changes who answers: each request has one version, and the judge finds from the log alone which."""

import asyncio

from faults.world import World


async def switch(world: World) -> None:
    """Six times others answer, at full load; twice within a moment."""
    await asyncio.to_thread(world.versions.add, "v2")
    for champion, share in (("v1", 0.25), ("v1", 0.5), ("v2", 0.0), ("v1", 1.0)):
        await world.assign(champion, share)
        await asyncio.sleep(world.rng.uniform(0, 2))
    await world.assign("v2", 0.3, wait=False)
    await world.assign("v1", 0.0)


async def switch_kill(world: World) -> None:
    """The same, and workers are killed before, at, and after the moment at which it changes."""
    await asyncio.to_thread(world.versions.add, "v2")
    for champion, share in (("v1", 0.25), ("v1", 0.5), ("v2", 0.0), ("v1", 0.5)):
        assigning = asyncio.create_task(world.assign(champion, share))
        for _ in range(2):
            await asyncio.sleep(world.rng.uniform(0, 4))
            world.kill(world.victim())
        await assigning


async def canary_broken(world: World) -> None:
    """A challenger that raises and gives NaN answers a part of the requests: those are dead letters, and nobody else's."""
    await asyncio.to_thread(world.versions.add_broken, "v3")
    await world.assign("v1", 0.1, challenger="v3")
    await asyncio.sleep(world.rng.uniform(1, 3))
    world.kill(world.victim())
    await asyncio.sleep(world.rng.uniform(1, 3))
    await world.assign("v1", 0.0, challenger="v3")
