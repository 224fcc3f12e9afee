"""The faults. Each strikes while there is a backlog, and returns when it is healed."""

import asyncio
from collections.abc import Awaitable, Callable

from faults.world import World

Fault = Callable[[World], Awaitable[None]]
SESSION_S = 6.0


async def none(world: World) -> None:
    """Nothing happens."""


async def kill(world: World) -> None:
    """kill -9 of a worker, three times; it starts again on its disk."""
    for _ in range(3):
        world.kill(world.victim())
        await asyncio.sleep(world.rng.uniform(2, 5))


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


async def join_leave(world: World) -> None:
    """A third worker joins and leaves by SIGTERM, three times."""
    for _ in range(3):
        await world.another(world.rng.uniform(3, 6))


async def zombie(world: World) -> None:
    """A worker sleeps for longer than its session, and wakes."""
    pid = world.victim()
    world.stop(pid)
    await asyncio.sleep(SESSION_S + world.rng.uniform(1, 8))
    world.go_on(pid)


async def short_sleep(world: World) -> None:
    """A worker sleeps for less than its session, three times."""
    for _ in range(3):
        pid = world.victim()
        world.stop(pid)
        await asyncio.sleep(world.rng.uniform(0.5, SESSION_S - 2))
        world.go_on(pid)
        await asyncio.sleep(1)


async def broker_pause(world: World) -> None:
    """The broker sleeps for 15 seconds."""
    assert world.kafka.pid is not None
    pid = world.kafka.pid
    world.stop(pid)
    await asyncio.sleep(15)
    world.go_on(pid)


async def broker_kill(world: World) -> None:
    """kill -9 of the broker, twice; it comes back at once."""
    for _ in range(2):
        await world.restart_broker(0.5)
        await asyncio.sleep(world.rng.uniform(2, 5))


async def broker_away(world: World) -> None:
    """The broker is away for a minute, longer than the requests' timeout."""
    await world.restart_broker(60)


async def poison(world: World) -> None:
    """One record in a hundred cannot be read."""
    world.poison = 0.01
    await asyncio.sleep(8)


async def mix(world: World) -> None:
    """Three faults of the others, one after the other."""
    for fault in world.rng.sample([kill, kill_wiped, join_leave, zombie, short_sleep, broker_kill, poison], 3):
        await fault(world)


KINDS: dict[str, Fault] = {
    each.__name__.replace("_", "-"): each
    for each in (
        none, kill, kill_wiped, kill_damaged, kill_all, join_leave, zombie, short_sleep, broker_pause, broker_kill, broker_away,
        poison, mix,
    )
}  # fmt: skip
