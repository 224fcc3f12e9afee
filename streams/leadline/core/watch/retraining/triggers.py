"""What asks for a training: an incident, the schedule, new labels, or a person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from leadline.records import Alert, Command, RetrainRequest

MOST_BYTES = 8192
"""Of the evidence of an incident that waits; more is left out."""
MOST_CHARS = 1000
"""Of a cause."""
EARLY = ("estimated-performance", "data-drift", "prediction-drift")
"""Kinds that labels do not confirm: they ask where ``training.on`` names them."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something that asks for a training of the version that answers. ``force``: a person who knows that the cooldown is not over."""

    kind: Literal["alert", "schedule", "labels", "person"]
    version: str
    cause: str
    alert_id: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    actor: str = ""
    command_id: str = ""
    force: bool = False

    @property
    def name(self) -> str:
        """What it is known by: the id of the incident or command, or its kind."""
        return self.alert_id or self.command_id or self.kind

    def retrain_id(self, model: str, at: int) -> str:
        """The id of a request: the same for the same incident or command, of schedule and labels one for a time."""
        said = self.alert_id or json.dumps([self.kind, model, self.command_id or at])
        return sha256(said.encode()).hexdigest()[:16]

    def request(self, model: str, retrain_id: str, at: int) -> RetrainRequest:
        """The request."""
        return RetrainRequest(
            retrain_id=retrain_id,
            model=model,
            model_version=self.version,
            event_time=at,
            cause=self.cause,
            alert_id=self.alert_id,
            evidence=dict(self.evidence),
            trigger=self.kind,
            actor=self.actor,
            command_id=self.command_id,
        )


def of_incident(alert: Alert) -> Trigger:
    """That of an incident which is open."""
    large = len(json.dumps(alert.evidence)) > MOST_BYTES
    evidence = {"left out": "the evidence is too large: see the alert"} if large else alert.evidence
    return Trigger("alert", alert.model_version, cause_of(alert), alert.alert_id, evidence)


def cause_of(alert: Alert) -> str:
    """What an incident says of its cause; of records without one, what their evidence says."""
    names = "metric value interval limit reference windows".split()
    metric, value, interval, limit, reference, windows = (alert.evidence.get(name, "unknown") for name in names)
    said = f"{metric} {value} ({interval}) is worse than its limit {limit} (reference {reference}) in the windows of {windows}"
    return (alert.cause or (said if alert.evidence else alert.kind))[:MOST_CHARS]


def of_person(command: Command, version: str) -> Trigger:
    """That of a command."""
    force = command.arguments.get("force") == "true"
    return Trigger(
        "person",
        version,
        command.reason[:MOST_CHARS],
        actor=command.actor,
        command_id=command.command_id,
        force=force,
    )
