"""``scripts/bench challengers``: bad challengers, in simulated time through the stages: how many requests each answers until it is out.

One request a second, windows of 15 minutes, labels within half an hour. Each goes once without shadow, 1 % at once and the next
share every half hour, and once after three hours in shadow.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from rich.table import Table

from benchmarks.rollout_world import BEGIN, CHALLENGER, MINUTE, Challenger, RolloutWorld
from leadline.settings import ModelSettings

SEEDS = 10
_MOST_MINUTES = 6 * 60 + 30
_TEN_WORSE = (0.03, 0.13)
BAD: dict[str, Challenger] = {
    "10 points worse": Challenger((_TEN_WORSE,)),
    "10 points worse in one of ten segments, 3 better in nine": Challenger(((0.065, 0.035),) * 9 + (_TEN_WORSE,)),
    "slower by 100 ms a batch": Challenger(takes=0.102),
    "NaN on 1 % of the requests": Challenger(broken=0.01),
    "crashes while it is loaded": Challenger(loads=False),
    "takes ever more memory": Challenger(stopped_after=30),
    "10 points worse, and what it lost has late labels": Challenger((_TEN_WORSE,), lost_after=29),
    "the same, and those labels come too late to count": Challenger((_TEN_WORSE,), lost_after=31),
}
EQUAL = Challenger()


class End(NamedTuple):
    """How a rollout ended. ``promoted``: whether the challenger ever was champion; ``answered``: requests that went to it."""

    state: str
    promoted: bool
    answered: int
    unanswered: int
    minutes: float


def settings(challenger: Challenger, **rollout: object) -> ModelSettings:
    """Every segment is protected; what is not proven in six hours is over."""
    protected = [f"s={number}" for number in range(len(challenger.shares))] if len(challenger.shares) > 1 else []
    given = {"bake": 30 * MINUTE, "shadow": 3 * 60 * MINUTE, "deadline": 6 * 60 * MINUTE, "protected": protected}
    made = {"name": "m", "numeric": ["v1", "v2"], "categorical": ["s"], "segments": ["s"]}
    times = {"window": 15 * MINUTE, "horizon": 30 * MINUTE, "grace": 15 * MINUTE}
    return ModelSettings.model_validate({**made, **times, "rollout": given | rollout})


def end(challenger: Challenger, seed: int, mode: str, most_minutes: int = _MOST_MINUTES) -> End:
    """A rollout until it is over."""
    world = RolloutWorld(challenger, settings(challenger), seed, mode=mode)
    while not world.is_over and world.now < BEGIN + most_minutes * MINUTE:
        world.pass_time(1 if challenger.is_told else 5)
    return _ended(world)


def _ended(world: RolloutWorld) -> End:
    made = world.rollouts
    promoted = any(each.champion == CHALLENGER for each in made)
    took = (made[-1].event_time - BEGIN) / MINUTE if not made[-1].rollout_id else float("inf")
    return End(made[-1].state, promoted, world.answered, world.unanswered, took)


def equal(seed: int, windows: int = 100) -> End:
    """A challenger that is as good as its champion and not the same, through so many windows of 300 requests."""
    world = RolloutWorld(EQUAL, settings(EQUAL, deadline=None), seed, rate=20)
    while not world.is_over and world.now < BEGIN + (15 * windows + 31) * MINUTE:
        world.pass_time(minutes=5)
    return _ended(world)


def tables(seeds: int) -> Iterator[Table]:
    """Each bad challenger, without shadow and with it; and versions that are equal."""
    for mode, text in (("canary", "without shadow"), ("shadow", "after three hours in shadow")):
        table = Table(
            "challenger", "rollouts", "rolled back", "aborted", "promoted", "requests", "most", "minutes", "most"
        )
        table.title = f"Bad challengers, {text}"
        for name, challenger in BAD.items():
            ends = [end(challenger, seed, mode) for seed in range(seeds)]
            table.add_row(name, *_row(ends))
        yield table
    table = _table("As good as the champion, through 100 windows")
    table.add_row("equal", *_row([equal(seed) for seed in range(seeds)]))
    yield table


def _table(title: str) -> Table:
    names = ("challenger", "rollouts", "rolled back", "aborted", "promoted", "requests", "most", "minutes", "most")
    return Table(*names, title=title)


def _row(ends: list[End]) -> Iterator[str]:
    yield str(len(ends))
    for state in ("rolled-back", "aborted"):
        yield str(sum(each.state == state for each in ends))
    yield str(sum(each.promoted for each in ends))
    for values in ([each.answered for each in ends], [each.minutes for each in ends]):
        yield from (f"{each:,.0f}" if np.isfinite(each) else "" for each in (np.median(values), max(values)))
