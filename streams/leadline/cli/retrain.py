"""``leadline retrain``: a person asks for a training."""

import time
import uuid
from typing import Annotated

import typer

from leadline.cli.asking import ask, user
from leadline.cli.common import Json, broker, duration, put, put_json, say, wait_for
from leadline.records import ACCEPTED, RETRAIN, Command

TIMED_OUT = 3


def retrain(
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: Annotated[str, typer.Option(help="Why: it stays with the request.")],
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for the cooldown, nor for a pipeline to be mended.")
    ] = False,
    actor: Annotated[str, typer.Option(help="Who asks. Default: your name on this machine.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for the answer.")] = "30s",
    command_id: Annotated[
        str, typer.Option("--id", help="Of the command: one that comes again changes nothing. Default: a new one.")
    ] = "",
    json: Json = False,
) -> None:
    """Ask for a training of the version that answers now. One of a model is under way at a time, within the budget.

    Exit code 0: accepted, with the id of the request; 1: refused, and why; 3: no worker answered in time. The command is there then, and
    is answered when one works on it.
    """
    within_ms = duration("timeout", timeout)
    settings, bootstrap = broker()
    arguments = {"force": "true"} if force else {}
    command = Command(
        command_id or uuid.uuid4().hex, RETRAIN, model, actor or user(), reason, arguments, int(time.time() * 1000)
    )
    answer = wait_for(ask(bootstrap, settings.prefix, command, within_ms / 1000))
    if answer is None:
        say(
            f"timed out: no worker answered command {command.command_id} within {timeout}; it is answered when one with the step "
            "retraining works on it. Look with `leadline doctor`, and with `leadline tail command-answers`"
        )
        raise SystemExit(TIMED_OUT)
    if json:
        put_json({"command_id": command.command_id, "answer": answer.answer, "reason": answer.reason})
    else:
        put(f"{answer.answer}: {answer.reason}")
    if answer.answer != ACCEPTED:
        raise SystemExit(1)
