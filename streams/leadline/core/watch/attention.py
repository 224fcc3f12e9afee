"""Commands about incidents: somebody looks at one, or nobody wants to hear of a kind for a while."""

from collections.abc import Sequence

from leadline.core.watch import rollout_incidents
from leadline.core.watch.incidents import RUNBOOKS, Incidents
from leadline.core.watch.silences import Silences
from leadline.records import ACKNOWLEDGE, SILENCE, Alert, Command, brief
from leadline.settings import SettingsError

KINDS = (ACKNOWLEDGE, SILENCE)
"""The kinds of commands that alerting answers."""


def obey(command: Command, silences: Silences, everything: Sequence[Incidents], at: int) -> tuple[str, list[Alert]]:
    """Do what a command asks: what was done, and what is told of open incidents. Raises SettingsError where it is refused.

    ``everything``: the open incidents of the command's model, those of each version and the model's own.
    """
    if command.kind == SILENCE:
        said = silences.change(command.arguments, list(RUNBOOKS), at)
        return said, heed(everything)
    asked = command.arguments.get("alert_id", "")
    alerts = [alert for incidents in everything for alert in incidents.acknowledge(asked, command.actor, at)]
    if not alerts:
        raise SettingsError(f"no incident {brief(asked)} of {brief(command.model)} is open: see `leadline alerts list`")
    over = [alert for incidents in everything for alert in rollout_incidents.acknowledged(incidents, alerts, at)]
    return f"{alerts[0].kind} of {alerts[0].model} {alerts[0].model_version} is acknowledged", [*alerts, *over]


def heed(everything: Sequence[Incidents]) -> list[Alert]:
    """Tell of the open incidents that have become silenced, or are so no longer."""
    return [alert for incidents in everything for alert in incidents.heed()]
