"""``leadline rollout``: bring a version in step by step, see how it does, and tell how it went."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import typer

from leadline.cli.approval import champion, finish
from leadline.cli.asking import Actor, CommandId, Reason, Timeout, new_command, send_and_tell
from leadline.cli.common import Json, broker, duration, wait_for
from leadline.cli.named import Model, Named, Version, named, split
from leadline.cli.newest import rollouts
from leadline.cli.rollout_status import show_status
from leadline.cli.rollout_story import show_story
from leadline.cli.rollout_what_if import simulate
from leadline.core.release.story import ENDS
from leadline.records import ABORT, PAUSE, PROMOTE, RESUME, ROLL_BACK, START, to_number
from leadline.settings import SettingsError

app = typer.Typer(no_args_is_help=True, help="Bring a version in step by step: shadow, canary, champion; and back.")
Waiting = Annotated[str, typer.Argument(help="The version that is brought in: refused if it is another one.")]
Wait = Annotated[str, typer.Option(help="How long to wait until the workers answer with it; 0s: not at all.")]
_ASKS = {
    "pause": (
        PAUSE,
        "Hold a rollout where it is: shares stay as they are, evidence is gathered on, and no step is taken.",
    ),
    "resume": (RESUME, "Let a rollout go on that was paused."),
    "abort": (
        ABORT,
        "End a rollout: the version is taken out, and the champion answers all requests. It says nothing against the version.",
    ),
    "rollback": (
        ROLL_BACK,
        "Go back to the champion before, also after a promotion while it is watched: an incident opens, and the cooldown begins.",
    ),
}
_ENDS = "Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time."


@app.command()
def start(
    model: Model,
    reason: Reason,
    version: Version = "",
    mode: Annotated[
        Literal["shadow", "canary", "ab"],
        typer.Option(help="Where it begins: it answers nobody; the first step; fixed shares, until a person ends it."),
    ] = "shadow",
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="VERSION=SHARE", help="With --mode ab: which share a version answers, such as v2=0.3."),
    ] = None,
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Begin a rollout of a version, by the rollout policy of its model. One of a model is under way at a time.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time.
    """
    shares = shares_of(share or [])
    if (mode == "ab") != bool(shares):
        raise typer.BadParameter("--share is of --mode ab, which needs it: write --mode ab --share v2=0.3")
    duration("timeout", timeout)
    one = named(model, version)
    arguments = {"version": one.version, "mode": mode}
    arguments |= {"shares": ",".join(f"{name}={value}" for name, value in shares.items())} if shares else {}
    _send(START, one.model, arguments, reason, actor, timeout, command_id, json)


@app.command()
def promote(
    model: Model,
    reason: Reason,
    version: Waiting = "",
    actor: Actor = "",
    timeout: Wait = "90s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Make the version champion now, whatever is proven of it, and wait until the workers took it.

    Exit code 0: they did, or persons have to agree first, or no worker works now and the command is left; 1: refused, and why, or a worker
    does not answer with it; 3: no worker answered in time.
    """
    within_ms = duration("timeout", timeout)
    one = _brought_in(model, version)
    finish(
        champion(new_command(PROMOTE, one.model, {"version": one.version}, reason, actor, command_id), within_ms), json
    )


def _of_rollout(kind: str) -> Callable[..., None]:
    """A command about the rollout that is under way."""

    def ask(
        model: Model,
        reason: Reason,
        version: Waiting = "",
        actor: Actor = "",
        timeout: Timeout = "30s",
        command_id: CommandId = "",
        json: Json = False,
    ) -> None:
        duration("timeout", timeout)
        one = split(model, version)
        one = named(*one) if one.version else one
        arguments = {"version": one.version} if one.version else {}
        _send(kind, one.model, arguments, reason, actor, timeout, command_id, json)

    return ask


for name, (kind, told) in _ASKS.items():
    app.command(name, help=f"{told}\n\n{_ENDS}")(_of_rollout(kind))
app.command("status")(show_status)
app.command("story")(show_story)
app.command("simulate")(simulate)


def shares_of(given: list[str]) -> Mapping[str, str]:
    """The shares by version, as they were written. Raises BadParameter.

    >>> shares_of(["v2=0.3", "v3 = 0.2"])
    {'v2': '0.3', 'v3': '0.2'}
    """
    found: dict[str, str] = {}
    for each in given:
        name, _, value = (part.strip() for part in each.rpartition("="))
        if not name or name in found or not 0 < _share(value) < 1:
            raise typer.BadParameter(f"--share: {each!r} is not VERSION=SHARE, once for each and between 0 and 1")
        found[name] = value
    if sum(map(float, found.values())) > 1:
        raise typer.BadParameter("--share: together they are more than 1, and the champion answers the rest")
    return found


def _share(text: str) -> float:
    try:
        return to_number(text)
    except ValueError:
        return 0.0


def _send(
    kind: str,
    model: str,
    arguments: Mapping[str, str],
    reason: str,
    actor: str,
    timeout: str,
    command_id: str,
    json: bool,
) -> None:
    command = new_command(kind, model, arguments, reason, actor, command_id)
    send_and_tell(command, "rollout", timeout, f"leadline rollout status {model}", json)


def _brought_in(model: str, version: str) -> Named:
    """The version that is meant, or that the newest rollout is about."""
    one = split(model, version)
    if one.version:
        return named(*one)
    settings, bootstrap = broker()
    newest = wait_for(rollouts(bootstrap, settings.prefix)).get(one.model)
    if newest is None or not newest.challenger or newest.state in ENDS:
        raise SettingsError(
            f"no rollout of {one.model} is under way: name the version, or begin one with `leadline rollout start`"
        )
    return Named(one.model, newest.challenger)
