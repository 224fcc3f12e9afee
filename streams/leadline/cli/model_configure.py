"""``leadline model configure``: change the watch part of a model's settings while workers run."""

import time
import uuid
from collections.abc import Sequence
from typing import Annotated

import typer

from leadline.cli.asking import TIMED_OUT, ask, user
from leadline.cli.common import Json, broker, duration, put, put_json, say, wait_for
from leadline.records import ACCEPTED, CONFIGURE, Command


def configure(
    model: Annotated[str, typer.Argument(help="The model.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...", help="As in model.toml, such as alerts.margin=0.05; KEY= takes a change back."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why: it stays with the change.")],
    actor: Annotated[str, typer.Option(help="Who changes it. Default: your name on this machine.")] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for the answer.")] = "30s",
    command_id: Annotated[
        str, typer.Option("--id", help="Of the command: one that comes again changes nothing. Default: a new one.")
    ] = "",
    json: Json = False,
) -> None:
    """Change settings of the watch part (alerts, drift, retrain_cooldown, runbook) on all workers, within seconds.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time. It is there then, and takes effect when one works on it.
    """
    arguments, within_ms = changes_of(changes), duration("timeout", timeout)
    settings, bootstrap = broker()
    command = Command(
        command_id or uuid.uuid4().hex, CONFIGURE, model, actor or user(), reason, arguments, int(time.time() * 1000)
    )
    answer = wait_for(ask(bootstrap, settings.prefix, command, within_ms / 1000))
    if answer is None:
        say(
            f"timed out: no worker answered command {command.command_id} within {timeout}; it takes effect when one with the step "
            f"configuration works on it. Look with `leadline doctor`, and with `leadline model show {model}`"
        )
        raise SystemExit(TIMED_OUT)
    if json:
        put_json({"command_id": command.command_id, "answer": answer.answer, "reason": answer.reason})
    else:
        put(f"{answer.answer}: {answer.reason}")
    if answer.answer != ACCEPTED:
        raise SystemExit(1)


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
