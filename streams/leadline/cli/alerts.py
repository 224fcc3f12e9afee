"""``leadline alerts``: the incidents that are open, who looks at them, and which nobody wants to hear of for a while."""

from typing import Annotated

import typer

from leadline.cli.asking import Actor, CommandId, Reason, Timeout, new_command, send_and_tell
from leadline.cli.common import Json, JsonLines, broker, duration, put, put_json, wait_for
from leadline.errors import LeadlineError
from leadline.foreign_text import shown
from leadline.records import ACKNOWLEDGE, SILENCE, Alert, iso

app = typer.Typer(no_args_is_help=True, help="Incidents: list and show them, acknowledge one, silence a kind.")
OVER = ("resolved", "withdrawn")
_STAGE, _LOOK = "alerting", "leadline alerts list"
AlertId = Annotated[str, typer.Argument(metavar="ID", help="Of the incident, as `leadline alerts list` shows it.")]
Model = Annotated[str, typer.Argument(help="The model.")]
Kind = Annotated[str, typer.Option(help="Of incidents, such as performance or data-drift.")]
Segment = Annotated[str, typer.Option(help="Only incidents of this segment alone, such as country=de.")]


@app.command("list")
def list_(
    model: Annotated[str, typer.Option(help="Only those of this model.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those too that are over.")] = False,
    json: JsonLines = False,
) -> None:
    """List the incidents that are open, a line for each: the oldest first."""
    found = [each for each in _incidents().values() if not model or each.model == model]
    for alert in found:
        if everything or alert.state not in OVER:
            _put_json(alert) if json else put(line(alert))


@app.command()
def show(alert_id: AlertId, json: Json = False) -> None:
    """Show an incident as it is now: its cause, its evidence, and what to do."""
    from leadline.notify.texts import body, title

    alert = _incident(alert_id)
    _put_json(alert) if json else put(f"{title(alert)}\n{body(alert)}")


@app.command()
def acknowledge(
    alert_id: AlertId,
    reason: Reason = "",
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Say that somebody looks at an incident: its records name who from now on.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time.
    """
    duration("timeout", timeout)
    arguments, model = {"alert_id": alert_id}, _incident(alert_id).model
    command = new_command(ACKNOWLEDGE, model, arguments, reason, actor, command_id)
    send_and_tell(command, _STAGE, timeout, _LOOK, json)


@app.command()
def silence(
    model: Model,
    kind: Kind,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 2d; it ends by itself.")],
    reason: Reason,
    segment: Segment = "",
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """Notify nobody of a kind of incidents for a while. They are found all the same, and stand in the topic as silenced.

    Exit code 0: accepted; 1: refused, and why; 3: no worker answered in time.
    """
    duration("for", for_)
    arguments = {"kind": kind, "for": for_, "segment": segment}
    command = new_command(SILENCE, model, arguments, reason, actor, command_id)
    send_and_tell(command, _STAGE, timeout, _LOOK, json)


@app.command()
def unsilence(
    model: Model,
    kind: Kind,
    reason: Reason = "",
    segment: Segment = "",
    actor: Actor = "",
    timeout: Timeout = "30s",
    command_id: CommandId = "",
    json: Json = False,
) -> None:
    """End a silence now: what is open of the kind is notified again."""
    arguments = {"kind": kind, "for": "0s", "segment": segment}
    command = new_command(SILENCE, model, arguments, reason, actor, command_id)
    send_and_tell(command, _STAGE, timeout, _LOOK, json)


def line(alert: Alert) -> str:
    """An incident in one line.

    >>> alert = Alert("i1", "performance", "critical", "opened", "fraud", "v3", "*", 0, 3_600_000, 1, {}, "", cause="it fell")
    >>> line(alert)
    'i1 OPENED critical: performance of fraud v3, since 1970-01-01T01:00:00Z: it fell'
    """
    from leadline.notify.texts import attention, title

    heeded = "".join(f", {each}" for each in attention(alert))
    return f"{shown(alert.alert_id)} {title(alert)}, since {iso(alert.window_end)}{heeded}: {shown(alert.cause)}"


def _put_json(alert: Alert) -> None:
    from leadline.cli.record_fields import record_fields

    put_json(record_fields(alert))


def _incidents() -> dict[str, Alert]:
    """The newest record of each incident, in the order in which they opened."""
    from leadline.cli.newest import incidents

    settings, bootstrap = broker()
    return wait_for(incidents(bootstrap, settings.prefix))


def _incident(alert_id: str) -> Alert:
    found = _incidents().get(alert_id)
    if found is None:
        raise LeadlineError(f"there is no incident {shown(alert_id)}: see `leadline alerts list --all`")
    return found
