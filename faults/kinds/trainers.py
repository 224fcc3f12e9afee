"""Faults of trainers: killed at each step of a training, and without Kafka in the middle of one."""

from faults.world import World


async def trainer_kill(world: World) -> None:
    """kill -9 of a trainer at each step of a training, one request a step; another one, or itself, goes on; then one more is asked for."""
    trainers = await world.with_trainers()
    for name in trainers.steps:
        seen = trainers.steps[name]
        asked = await trainers.ask()
        await trainers.reached(seen)
        world.kill(trainers.busy())
        trainers.struck.append(name)
        await trainers.ended(asked)
    await trainers.ended(await trainers.ask())


async def trainer_away(world: World) -> None:
    """The broker is away in the middle of a training, for longer than that and than the session; then one more is asked for."""
    trainers = await world.with_trainers()
    seen = trainers.steps["fit"]
    asked = await trainers.ask()
    await trainers.reached(seen)
    await world.restart_broker(world.rng.uniform(8, 20))
    trainers.struck.append("away")
    await trainers.ended(asked)
    await trainers.ended(await trainers.ask())
