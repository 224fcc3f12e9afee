"""``leadline model configure``: change the watch part of a model's settings while workers run."""

from collections.abc import Sequence
from typing import Annotated

import typer

from leadline.cli.asking import Actor, CommandId, Reason, Timeout, new_command, send_and_tell
from leadline.cli.common import Json
from leadline.records import CONFIGURE


def configure(
    model: Annotated[str, typer.Argument(help="The model.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", help="As in model.toml, such as alerts.margin=0.05; KEY= takes a change back."
        ),
    ],
    reason: Reason,
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Change settings of the watch part (alerts, drift, rollout, retrain_cooldown, runbook) on all workers, within seconds.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time. It is there then, and takes effect when one works on it.
    """
    command = new_command(CONFIGURE, model, changes_of(changes), reason, actor, command_id)
    send_and_tell(command, "configuration", timeout, f"leadline model show {model}", json)


def changes_of(changes: Sequence[str]) -> dict[str, str]:
    """What is to be changed, by key."""
    found: dict[str, str] = {}
    for each in changes:
        key, given, value = each.partition("=")
        if not given:
            raise typer.BadParameter(f"{each!r} is not KEY=VALUE: write for example alerts.margin=0.05")
        if key.strip() in found:
            raise typer.BadParameter(f"{key.strip()} is there twice")
        found[key.strip()] = value.strip()
    return found
