"""``leadline retrain``: a person asks for a training."""

from typing import Annotated

import typer

from leadline.cli.asking import Actor, CommandId, Timeout, new_command, send_and_tell
from leadline.cli.common import Json
from leadline.records import RETRAIN


def retrain(
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: Annotated[str, typer.Option(help="Why: it stays with the request.")],
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for the cooldown, nor for a pipeline to be mended.")
    ] = False,
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Ask for a training of the version that answers now. One of a model is under way at a time, within the budget.

    Exit code 0: accepted, with the id of the request; 1: refused, and why; 3: no worker answered in time. The command is there then, and
    is answered when one works on it.
    """
    command = new_command(RETRAIN, model, {"force": "true"} if force else {}, reason, actor, command_id)
    send_and_tell(command, "retraining", timeout, "leadline tail command-answers", json)
