"""Faults of workers: killed, asleep, without disk, with a wrong clock."""

import asyncio

from faults.world import World

SESSION_S = 6.0


async def kill(world: World) -> None:
    """kill -9 of a worker, ten times; it starts again on its disk."""
    for _ in range(10):
        world.kill(world.victim())
        await asyncio.sleep(world.rng.uniform(1, 5))


async def kill_wiped(world: World) -> None:
    """kill -9 of a worker, whose disk is lost too."""
    pid = world.victim()
    world.kill(pid)
    world.wipe(pid)
    await asyncio.sleep(world.rng.uniform(2, 5))


async def kill_damaged(world: World) -> None:
    """kill -9 of a worker, and garbage in the files of its state."""
    pid = world.victim()
    world.kill(pid)
    world.damage(pid)
    await asyncio.sleep(world.rng.uniform(2, 5))


async def kill_all(world: World) -> None:
    """kill -9 of all workers at once."""
    for pid in world.workers.pids:
        world.kill(pid)
    await asyncio.sleep(world.rng.uniform(2, 5))


async def takeover(world: World) -> None:
    """kill -9 of a worker that stays away: another takes its partitions over."""
    world.held = True
    world.kill(world.victim())
    await asyncio.sleep(SESSION_S + world.rng.uniform(2, 8))
    world.held = False


async def join_leave(world: World) -> None:
    """A third worker joins and leaves by SIGTERM, five times."""
    for _ in range(5):
        await world.another(world.rng.uniform(2, 6))


async def zombie(world: World) -> None:
    """A worker sleeps for longer than its session, and wakes."""
    await world.sleep(world.victim(), SESSION_S + world.rng.uniform(1, 8))


async def short_sleep(world: World) -> None:
    """A worker sleeps for less than its session, three times."""
    for _ in range(3):
        await world.sleep(world.victim(), world.rng.uniform(0.5, SESSION_S - 2))
        await asyncio.sleep(1)


async def clock_skew(world: World) -> None:
    """A worker whose clock is an hour ahead joins and leaves, then one whose clock is an hour behind."""
    for seconds in (3600, -3600):
        await world.another(world.rng.uniform(4, 8), seconds)


async def disk_full(world: World) -> None:
    """A worker can write no file any more, three times; it has room again when it starts anew."""
    for _ in range(3):
        world.fill_disk(world.victim())
        await asyncio.sleep(world.rng.uniform(2, 5))
