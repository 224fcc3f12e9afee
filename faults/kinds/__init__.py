"""The faults. Each strikes while there is a backlog, and returns when it is healed."""

from collections.abc import Callable, Coroutine
from typing import Any

from faults.kinds import identity, models, records, servers, switches, trainers, workers
from faults.kinds.brokers import BROKERS
from faults.world import World

Fault = Callable[[Any], Coroutine[Any, Any, None]]


async def none(world: World) -> None:
    """Nothing happens."""


async def mix(world: World) -> None:
    """Three faults of the others, one after the other."""
    for fault in world.rng.sample([fault for name, fault in KINDS.items() if name not in _NOT_MIXED], 3):
        await fault(world)
        world.traffic.calm()


_ONE_BROKER = (
    workers.kill, workers.kill_wiped, workers.kill_damaged, workers.kill_all, workers.takeover, workers.join_leave, workers.zombie,
    workers.short_sleep, workers.clock_skew, workers.disk_full,
    servers.broker_pause, servers.broker_kill, servers.broker_away, servers.cut, servers.one_way, servers.slow_network,
    servers.narrow_network,
    records.poison, records.giant, records.newer_schema, records.repeats, records.disorder, records.odd_times, records.hot_key,
    records.overload, records.codec, records.bomb, records.letter, records.fat_record, records.ahead, records.forget, records.mature,
    servers.redis_kill, servers.redis_pause, servers.redis_slow, servers.redis_flush, servers.redis_password,
    models.rollout, models.model_tampered, models.broken_model,
    trainers.trainer_kill, trainers.trainer_away,
    switches.switch, switches.switch_kill, switches.canary_broken,
    identity.topics_remade, identity.partitions_added, identity.other_cluster,
)  # fmt: skip

KINDS: dict[str, Fault] = {
    "none": none,
    **{each.__name__.replace("_", "-"): each for each in _ONE_BROKER},
    **BROKERS,
    "mix": mix,
}
TRAINERS = {"trainer-kill", "trainer-away"}
_SWITCHES = {"switch", "switch-kill", "canary-broken"}
_NOT_MIXED = {"none", "mix", "clock-skew", *TRAINERS, *_SWITCHES, *BROKERS}
"""clock-skew wants libfaketime, which is not everywhere."""
