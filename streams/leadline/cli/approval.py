"""``leadline approve`` and ``leadline reject``: persons say who may become champion; and what the commands that make one show."""

from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.asking import TIMED_OUT, ask, new_command
from leadline.cli.common import Json, broker, duration, put, put_json, say, wait_for
from leadline.cli.named import Model, Version, named
from leadline.records import ACCEPTED, APPROVE, PROMOTE, REJECT, Command
from leadline.settings import SettingsError

if TYPE_CHECKING:
    from leadline.cli.promotion import Asked

Reason = Annotated[str, typer.Option(help="Why: it stays with the decision.")]
Actor = Annotated[str, typer.Option(help="Who says so. Default: your name on this machine.")]
Timeout = Annotated[str, typer.Option(help="How long to wait until the workers answer with it; 0s: not at all.")]
Within = Annotated[str, typer.Option(help="How long to wait for the answer.")]


def approve(
    model: Model, reason: Reason, version: Version = "", actor: Actor = "", timeout: Timeout = "90s", json: Json = False
) -> None:
    """Agree that a version that waits becomes champion. When as many persons have agreed as the policy wants, it is.

    Exit code 0: accepted; 1: refused, and why, or a worker does not answer with it; 3: no worker answered in time.
    """
    within_ms = duration("timeout", timeout)
    one = named(model, version)
    finish(champion(new_command(APPROVE, one.model, {"version": one.version}, reason, actor), within_ms), json)


def reject(
    model: Model, reason: Reason, version: Version = "", actor: Actor = "", timeout: Within = "30s", json: Json = False
) -> None:
    """Say no to a version: whoever promotes it begins anew.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time.
    """
    within_ms = duration("timeout", timeout)
    one = named(model, version)
    settings, bootstrap = broker()
    command = new_command(REJECT, one.model, {"version": one.version}, reason, actor)
    answer = wait_for(ask(bootstrap, settings.prefix, command, within_ms / 1000))
    from leadline.cli.promotion import Asked

    finish(Asked(command, answer, timed_out=answer is None), json)


def promotion(model: str, version: str, reason: str, within_ms: int) -> "Asked":
    """Ask for a champion, and see what comes of it."""
    return champion(new_command(PROMOTE, model, {"version": version}, reason), within_ms)


def champion(command: Command, within_ms: int) -> "Asked":
    """Send a command of which a champion may come, and see who took it."""
    settings, bootstrap = broker()
    from leadline.cli.promotion import ask_for_champion

    return wait_for(ask_for_champion(command, settings, bootstrap, within_ms / 1000, say))


def finish(asked: "Asked", json: bool) -> None:
    """Show what came of a command, and end as it did."""
    if json:
        put_json(fields(asked))
    else:
        put_lines(asked)
    check(asked)


def put_lines(asked: "Asked") -> None:
    """Show what came of a command to a person."""
    for line in lines(asked):
        put(line)


def fields(asked: "Asked") -> dict[str, object]:
    """What came of a command, for `as_json`."""
    answer = asked.answer
    said = {
        "command_id": asked.command.command_id,
        "answer": answer and answer.answer,
        "said": answer and answer.reason,
    }
    made = asked.made.as_fields() if asked.made else None
    named = {"model": asked.command.model, "version": asked.command.arguments["version"]}
    return said | (made or named) | {"champion": made is not None, "left": asked.nobody}


def lines(asked: "Asked") -> list[str]:
    """What came of a command, for a person."""
    command = asked.command
    if asked.made is not None:
        return list(asked.made.lines())
    if asked.answer is not None or asked.timed_out:
        return [f"accepted: {asked.answer.reason}"] if asked.answer and asked.answer.answer == ACCEPTED else []
    what = f"{command.kind} {command.model} {command.arguments['version']} is left as command {command.command_id}"
    return (
        [f"{what}: no worker with the stage rollout works now, and the next one obeys it"] if asked.nobody else [what]
    )


def check(asked: "Asked") -> None:
    """End with exit code 1 where a command was refused or not all workers took the champion, with 3 where nobody answered in time."""
    if asked.timed_out:
        say(
            f"timed out: no worker answered command {asked.command.command_id} in time; it takes effect when one with the step rollout "
            "works on it. Look with `leadline doctor`"
        )
        raise SystemExit(TIMED_OUT)
    if asked.made is not None:
        asked.made.check()
    elif asked.answer is not None and asked.answer.answer != ACCEPTED:
        raise SettingsError(f"refused: {asked.answer.reason}")
