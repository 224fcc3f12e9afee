"""The whole topology in memory under faults chosen by a seed, held against the naive join of its own logs.

A world publishes requests and outcomes (some twice, some late, some in another order, some never), and lets tasks take small runs.
In between, workers die before any effect, lose their disks, and hand tasks to others that may have an older state of them. When all
is quiet, `wrong` says what is not so. The same seed gives the same world.
"""

from collections.abc import Callable, Iterator

from leadline.testing.simulation.answered import wrong_routes, wrong_scores
from leadline.testing.simulation.counted import wrong_history, wrong_numbers, wrong_pairs, wrong_profiles
from leadline.testing.simulation.decided import wrong_alerts, wrong_audit, wrong_requests
from leadline.testing.simulation.world import World

CHECKS: tuple[Callable[[World], Iterator[str]], ...] = (
    wrong_scores,
    wrong_routes,
    wrong_numbers,
    wrong_pairs,
    wrong_profiles,
    wrong_history,
    wrong_alerts,
    wrong_requests,
    wrong_audit,
)


def wrong(world: World) -> list[str]:
    """Everything that is not as it should be, each in one line."""
    return [line for check in CHECKS for line in check(world)]


def simulate(seed: int, events: int) -> tuple[World, list[str]]:
    """Run one world; the world, and what is wrong with it.

    >>> simulate(1, 20)[1]
    []
    """
    world = World(seed, events)
    world.run()
    return world, wrong(world)
