"""Faults of the one broker, of the network between it and the workers, and of Redis."""

import asyncio

import redis.asyncio as redis

from faults.world import World

# -- the broker ---------------------------------------------------------------------------------------------------------


async def broker_pause(world: World) -> None:
    """The broker sleeps for 15 seconds."""
    assert world.kafka.pid is not None
    await world.sleep(world.kafka.pid, 15)


async def broker_kill(world: World) -> None:
    """kill -9 of the broker, twice; it comes back at once."""
    for _ in range(2):
        await world.restart_broker(0.5)
        await asyncio.sleep(world.rng.uniform(2, 5))


async def broker_away(world: World) -> None:
    """The broker is away for a minute, longer than the requests' timeout."""
    await world.restart_broker(60)


# -- the network between the workers and the broker ---------------------------------------------------------------------


async def cut(world: World) -> None:
    """The link is down: 5 seconds, then 30."""
    for seconds in (5, 30):
        world.network.stalled = frozenset({"up", "down"})
        await asyncio.sleep(seconds)
        world.network.heal()
        await asyncio.sleep(3)


async def one_way(world: World) -> None:
    """Requests go out, answers do not come back, for 20 seconds."""
    world.network.stalled = frozenset({"down"})
    await asyncio.sleep(20)
    world.network.heal()


async def slow_network(world: World) -> None:
    """200 ms more for each piece, and one piece in twenty ends its connection, for 20 seconds."""
    world.network.delay_s, world.network.resets = 0.2, 0.05
    await asyncio.sleep(20)
    world.network.heal()


async def narrow_network(world: World) -> None:
    """100 kB/s a connection, for 20 seconds."""
    world.network.rate = 100_000
    await asyncio.sleep(20)
    world.network.heal()


# -- Redis --------------------------------------------------------------------------------------------------------------


async def redis_kill(world: World) -> None:
    """kill -9 of Redis, which is away for 5 seconds."""
    await world.restart_redis(5)


async def redis_pause(world: World) -> None:
    """Redis sleeps for 8 seconds."""
    assert world.redis.pid is not None
    await world.sleep(world.redis.pid, 8)


async def redis_slow(world: World) -> None:
    """Each answer of Redis takes 2 seconds more, for 10 seconds."""
    world.redis_network.delay_s = 2
    await asyncio.sleep(10)
    world.redis_network.heal()


async def redis_flush(world: World) -> None:
    """Redis loses all it had; it is filled again after 5 seconds."""
    async with redis.from_url(world.redis.url) as client:
        await client.flushall()
    await asyncio.sleep(5)
    await world.fill_redis()


async def redis_password(world: World) -> None:
    """Redis wants a password that the workers do not have, for 6 seconds."""
    async with redis.from_url(world.redis.url) as client:
        before = (await client.config_get("requirepass"))["requirepass"] or ""
        await client.config_set("requirepass", "other")
        await client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(6)
        await client.config_set("requirepass", before)
