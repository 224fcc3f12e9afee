"""``python -m leadline.demo``: the main job on real flights."""

import sys
from typing import Annotated

import typer

from leadline.demo.run import demo
from leadline.ending import exit_code
from leadline.logs import log_to_standard_error, quiet_libraries, why_refused

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(min=5, help="How long the six weeks take.")] = 100,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
) -> None:
    """Score six weeks of real flights, join their landings hours later, and show what Leadline notices."""
    demo(seconds, keep)


if __name__ == "__main__":
    quiet_libraries()
    log_to_standard_error()
    sys.exit(exit_code(lambda: app(standalone_mode=False), lambda: f"Kafka does not answer ({why_refused()})"))
