"""``leadline simulate``: the whole topology in memory, under faults."""

from typing import Annotated, Any

import typer

from leadline.cli.common import Json, err, put, put_json

_MOST = 20
"""Lines of what is wrong with a world."""


def simulate(
    seed: Annotated[int, typer.Option(help="The first world.")] = 0,
    events: Annotated[int, typer.Option(min=1, help="Requests and outcomes in a world.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds, one seed after the other.")] = 1,
    json: Json = False,
) -> None:
    """Simulate worlds with crashes, lost disks, moves, repeats and delays, and compare their numbers with a batch join.

    Exit code 1 at the first world in which something is wrong, with the command that repeats it.
    """
    from rich.progress import track

    from leadline.testing import simulate as run

    told: dict[str, Any] = {"seed": seed, "seeds": 0, "events": events, "crashes": 0, "moves": 0, "wrong": []}
    for each in track(range(seed, seed + seeds), "worlds", console=err, transient=True, disable=seeds == 1):
        world, wrong = run(each, events)
        told["seeds"] += 1
        told["crashes"], told["moves"] = told["crashes"] + world.crashes, told["moves"] + world.moves
        if wrong:
            told |= {"wrong": wrong[:_MOST], "repeat": f"leadline simulate --seed {each} --events {events}"}
            break
    if json:
        put_json(told)
    else:
        _tell(told)
    if told["wrong"]:
        raise SystemExit(1)


def _tell(told: dict[str, Any]) -> None:
    for line in told["wrong"]:
        put(line)
    if told["wrong"]:
        put(f"repeat it: {told['repeat']}")
    else:
        put(
            f"{told['seeds']} world(s) of {told['events']} events, {told['crashes']} crashes, {told['moves']} moves: nothing wrong"
        )
