"""Faults of what comes in."""

import asyncio

from faults.traffic import CODECS
from faults.world import World


async def poison(world: World) -> None:
    """One record in a hundred cannot be read."""
    world.traffic.odds.poison = 0.01
    await asyncio.sleep(8)


async def giant(world: World) -> None:
    """Records of 1.1 and 1.9 MB."""
    world.traffic.odds.giant = 0.0005
    await asyncio.sleep(8)


async def newer_schema(world: World) -> None:
    """One producer in ten writes a schema that the workers do not know."""
    world.traffic.odds.newer_schema = 0.1
    await asyncio.sleep(8)


async def repeats(world: World) -> None:
    """Every second event comes two or three times; a worker is killed meanwhile."""
    world.traffic.odds.repeated = 0.5
    await asyncio.sleep(4)
    world.kill(world.victim())
    await asyncio.sleep(4)


async def disorder(world: World) -> None:
    """A fifth of the outcomes are early, a fifth days late, a tenth of nobody; a worker is killed meanwhile."""
    odds = world.traffic.odds
    odds.early, odds.late, odds.never = 0.2, 0.2, 0.1
    await asyncio.sleep(4)
    world.kill(world.victim())
    await asyncio.sleep(4)


async def odd_times(world: World) -> None:
    """Event times of 1969, 1970, 2100 and the year 1019."""
    world.traffic.odds.odd_times = 0.05
    await asyncio.sleep(8)


async def hot_key(world: World) -> None:
    """One request in 20,000 gets hundreds of outcomes."""
    world.traffic.odds.hot = 0.02
    await asyncio.sleep(8)


async def overload(world: World) -> None:
    """Four times as much comes in, for 15 seconds."""
    world.traffic.speed = 4
    await asyncio.sleep(15)


async def codec(world: World) -> None:
    """Producers compress with gzip, snappy, lz4 and zstd, batch by batch; a worker is killed meanwhile."""
    world.traffic.codecs = CODECS
    await asyncio.sleep(5)
    world.kill(world.victim())
    await asyncio.sleep(5)


async def bomb(world: World) -> None:
    """Batches of some kilobytes that unpack to 30 and 200 MB."""
    for megabytes in (30, 200, 30):
        await asyncio.to_thread(world.traffic.bomb, megabytes)
        await asyncio.sleep(2)


async def letter(world: World) -> None:
    """Records whose dead letters are larger than they: a megabyte that JSON writes as six, four megabytes of garbage."""
    world.traffic.odds.letter = 0.0005
    await asyncio.sleep(8)


async def fat_record(world: World) -> None:
    """Ids, names and categories that are far too long."""
    world.traffic.odds.fat = 0.001
    await asyncio.sleep(8)


async def ahead(world: World) -> None:
    """Times of the far future, in seconds and in microseconds."""
    world.traffic.odds.ahead = 0.02
    await asyncio.sleep(8)


# -- what falls due at one instant ----------------------------------------------------------------------------------------


async def forget(world: World) -> None:
    """Four times as much comes in, and then a night: all of it expires and is forgotten at once, while workers are killed."""
    world.traffic.speed = 4
    await asyncio.sleep(6)
    await _night(world)


async def mature(world: World) -> None:
    """Three thousand segments with long names, and then a night: all of them mature at once, while workers are killed."""
    world.traffic.odds.segments = 0.3
    await asyncio.sleep(8)
    await _night(world)


async def _night(world: World) -> None:
    world.traffic.calm()
    world.traffic.sleep()
    for _ in range(3):
        await asyncio.sleep(world.rng.uniform(0.5, 4))
        world.kill(world.victim())
