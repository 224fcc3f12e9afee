"""The ``leadline`` command."""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from leadline.cli import (
    alerts,
    approval,
    audit,
    dead_letters,
    doctor,
    forget,
    gate,
    keys,
    metrics,
    mlflow,
    model,
    notify,
    ready,
    replay,
    report,
    retrain,
    rollout,
    send,
    simulate,
    tail,
    topics,
    trainer,
    up,
    verify,
    watch,
    worker,
)
from leadline.cli.common import put, unreachable
from leadline.ending import DEBUG, exit_code
from leadline.logs import log_to_standard_error, quiet_libraries

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.command("trainer")(trainer.trainer)
app.add_typer(topics.app, name="topics")
app.command("asyncapi")(topics.asyncapi)
app.add_typer(model.app, name="model")
app.add_typer(mlflow.app, name="mlflow")
app.command("verify")(verify.verify)
app.command("forget")(forget.forget)
app.add_typer(gate.app, name="gate")
app.command("approve")(approval.approve)
app.command("reject")(approval.reject)
app.add_typer(rollout.app, name="rollout")
app.add_typer(keys.app, name="keys")
app.command("send")(send.send)
app.command("tail")(tail.tail)
app.command("metrics")(metrics.metrics)
app.add_typer(alerts.app, name="alerts")
app.command("notify")(notify.notify)
app.add_typer(watch.app, name="watch")
app.command("retrain")(retrain.retrain)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(audit.app, name="audit")
app.command("report")(report.report)
app.command("replay")(replay.replay)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)
app.command("ready")(ready.ready)


def _version(asked: bool) -> None:
    if asked:
        put(f"leadline {metadata.version('leadline')}")
        raise typer.Exit


@app.callback()
def _leadline(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and end.")
    ] = False,
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
