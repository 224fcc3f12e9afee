"""Faults of models: rolled out, damaged, broken."""

import asyncio

from faults.world import World


async def rollout(world: World) -> None:
    """Another version is rolled out and taken back, and a worker killed meanwhile."""
    await asyncio.to_thread(world.versions.add, "v2")
    await world.promote("v2")
    await asyncio.sleep(world.rng.uniform(1, 3))
    world.kill(world.victim())
    await asyncio.sleep(world.rng.uniform(1, 3))
    await world.promote("v1")
    await asyncio.sleep(1)


async def model_tampered(world: World) -> None:
    """A version whose file was damaged is rolled out: the one before it goes on."""
    await asyncio.to_thread(world.versions.add, "v2")
    world.versions.tamper("v2")
    await world.promote("v2")
    await asyncio.sleep(4)
    await world.promote("v1")


async def broken_model(world: World) -> None:
    """A model whose settings are garbage is asked, and workers are killed meanwhile: the other model goes on."""
    world.versions.break_model("broken")
    world.traffic.odds.broken = 0.05
    for _ in range(2):
        await asyncio.sleep(3)
        world.kill(world.victim())
    await asyncio.sleep(3)
