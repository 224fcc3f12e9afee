"""The ``leadline`` command."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from leadline.cli import dead_letters, doctor, metrics, model, notify, replay, send, simulate, tail, topics, up, worker
from leadline.cli.common import unreachable
from leadline.ending import DEBUG, exit_code
from leadline.logs import log_to_standard_error, quiet_libraries

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.add_typer(topics.app, name="topics")
app.command("asyncapi")(topics.asyncapi)
app.add_typer(model.app, name="model")
app.command("send")(send.send)
app.command("tail")(tail.tail)
app.command("metrics")(metrics.metrics)
app.command("notify")(notify.notify)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("replay")(replay.replay)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)


@app.callback()
def _leadline(
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show where an error comes from, with its traceback; as {DEBUG}=1.")
    ] = False,
) -> None:
    """Keep models true on Kafka."""
    if debug:
        os.environ[DEBUG] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; whatever goes wrong is one line and exit code 1, a wrong call one line and 2."""
    quiet_libraries()
    log_to_standard_error()
    sys.exit(exit_code(lambda: app(arguments, standalone_mode=False), unreachable))
