"""``leadline simulate``: the whole topology in memory, under faults."""

from typing import Annotated

import typer

from leadline.cli.common import err, say


def simulate(
    seed: Annotated[int, typer.Option(help="The first world.")] = 0,
    events: Annotated[int, typer.Option(min=1, help="Requests and outcomes in a world.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds, one seed after the other.")] = 1,
) -> None:
    """Simulate worlds with crashes, lost disks, moves, repeats and delays, and compare their numbers with a batch join.

    Exit code 1 at the first world in which something is wrong, with the command that repeats it.
    """
    from rich.progress import track

    from leadline.testing import simulate as run

    crashes = moves = 0
    for each in track(range(seed, seed + seeds), "worlds", console=err, transient=True, disable=seeds == 1):
        world, wrong = run(each, events)
        crashes, moves = crashes + world.crashes, moves + world.moves
        if wrong:
            for line in wrong[:20]:
                say(line)
            say(f"repeat it: leadline simulate --seed {each} --events {events}")
            raise SystemExit(1)
    say(f"{seeds} world(s) of {events} events, {crashes} crashes, {moves} moves: nothing wrong")
