"""Faults of one of three brokers, each of which has all records."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from faults.cluster import ClusterWorld

_CUT_S = 12.0
"""Longer than the session of a broker with the controllers: 9 s."""


async def leader_kill(world: ClusterWorld) -> None:
    """kill -9 of a broker that leads, twice; it comes back after some seconds."""
    for _ in range(2):
        node = await world.leader()
        await world.kill_node(node)
        await asyncio.sleep(world.rng.uniform(1, 8))
        await world.start_node(node)
        await asyncio.sleep(world.rng.uniform(2, 5))


async def leader_cut(world: ClusterWorld) -> None:
    """A broker that leads hears nothing and says nothing for longer than its session, and wakes as one that believes to lead."""
    node = await world.leader()
    await world.sleep(world.pid_of(node), _CUT_S + world.rng.uniform(0, 5))


async def broker_wiped(world: ClusterWorld) -> None:
    """kill -9 of a broker, whose disk is lost too; it comes back empty when the others know that it is gone."""
    node = await world.leader()
    await world.kill_node(node)
    world.wipe_node(node)
    await asyncio.sleep(_CUT_S + world.rng.uniform(0, 5))
    await world.start_node(node)
    await world.wait_for_replicas()


async def rolling_restart(world: ClusterWorld) -> None:
    """Each broker stops and starts again, one after the other, each time when all replicas are in step."""
    for node in world.nodes:
        await world.stop_node(node)
        await world.start_node(node)
        await world.wait_for_replicas()


BROKERS: dict[str, Callable[[ClusterWorld], Coroutine[Any, Any, None]]] = {
    each.__name__.replace("_", "-"): each for each in (leader_kill, leader_cut, broker_wiped, rolling_restart)
}
