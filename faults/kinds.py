"""The faults. Each strikes while there is a backlog, and returns when it is healed."""

import asyncio
from collections.abc import Awaitable, Callable

import redis.asyncio as redis

from faults.world import World

Fault = Callable[[World], Awaitable[None]]
SESSION_S = 6.0


async def none(world: World) -> None:
    """Nothing happens."""


# -- workers ------------------------------------------------------------------------------------------------------------


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


# -- what comes in ------------------------------------------------------------------------------------------------------


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
        await client.config_set("requirepass", "other")
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(6)
        await client.config_set("requirepass", "")


# -- models -------------------------------------------------------------------------------------------------------------


async def rollout(world: World) -> None:
    """Another version is rolled out and taken back, and a worker killed meanwhile."""
    await asyncio.to_thread(world.add_version, "v2")
    await world.promote("v2")
    await asyncio.sleep(world.rng.uniform(1, 3))
    world.kill(world.victim())
    await asyncio.sleep(world.rng.uniform(1, 3))
    await world.promote("v1")
    await asyncio.sleep(1)


async def model_tampered(world: World) -> None:
    """A version whose file was damaged is rolled out: the one before it goes on."""
    await asyncio.to_thread(world.add_version, "v2")
    world.tamper("v2")
    await world.promote("v2")
    await asyncio.sleep(4)
    await world.promote("v1")


# -- all of it ----------------------------------------------------------------------------------------------------------


_NOT_MIXED = ("none", "mix", "clock-skew")  # the last wants libfaketime, which is not everywhere


async def mix(world: World) -> None:
    """Three faults of the others, one after the other."""
    for fault in world.rng.sample([fault for name, fault in KINDS.items() if name not in _NOT_MIXED], 3):
        await fault(world)
        world.traffic.calm()


KINDS: dict[str, Fault] = {
    each.__name__.replace("_", "-"): each
    for each in (
        none, kill, kill_wiped, kill_damaged, kill_all, takeover, join_leave, zombie, short_sleep, clock_skew, disk_full,
        broker_pause, broker_kill, broker_away, cut, one_way, slow_network, narrow_network,
        poison, giant, newer_schema, repeats, disorder, odd_times, hot_key, overload,
        redis_kill, redis_pause, redis_slow, redis_flush, redis_password, rollout, model_tampered, mix,
    )
}  # fmt: skip
