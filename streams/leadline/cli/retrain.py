"""``leadline retrain``: a person asks for a training, or ends one."""

from typing import Annotated

import typer

from leadline.cli.asking import Actor, CommandId, Timeout, new_command, send_and_tell
from leadline.cli.common import Json
from leadline.records import CANCEL, RETRAIN


def retrain(
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: Annotated[str, typer.Option(help="Why: it stays with the request.")],
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for the cooldown, nor for a pipeline to be mended.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End what is asked for or under way, in place of asking: trainers answer.")
    ] = False,
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Ask for a training of the version that answers now. One of a model is under way at a time, within the budget.

    Exit code 0: accepted, with the id of the request; 1: refused, and why; 3: nobody answered in time. The command is there then, and
    is answered when a worker, or with --cancel a trainer, works on it.
    """
    if cancel and force:
        raise typer.BadParameter("--force asks for a training, and --cancel ends one: say one of them")
    kind, arguments = (CANCEL, {}) if cancel else (RETRAIN, {"force": "true"} if force else {})
    command = new_command(kind, model, arguments, reason, actor, command_id)
    send_and_tell(command, "trainer" if cancel else "retraining", timeout, "leadline tail command-answers", json)
