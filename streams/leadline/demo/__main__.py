"""``python -m leadline.demo``: the main job on real flights."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from leadline.demo.run import demo
from leadline.embedded import EmbeddedError
from leadline.logs import quiet_libraries
from leadline.settings import SettingsError


def main(
    seconds: Annotated[float, typer.Option(min=5, help="How long the month takes.")] = 60,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
) -> None:
    """Score a month of real flights, join their landings hours later, and show what Leadline notices."""
    quiet_libraries()
    try:
        demo(seconds, keep)
    except (EmbeddedError, SettingsError) as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    typer.run(main)
