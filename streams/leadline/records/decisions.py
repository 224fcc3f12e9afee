"""What is decided about models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should look at; ``alert_id`` is stable from opened to resolved."""

    alert_id: str
    kind: str
    severity: str
    state: str
    model: str
    model_version: str
    segment: str
    window_start: int
    window_end: int
    revision: int
    evidence: dict[str, str]
    runbook: str


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """Train this model again, and why."""

    retrain_id: str
    model: str
    model_version: str
    event_time: int
    cause: str
    alert_id: str
    evidence: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which version of a model answers; the newest of a model holds."""

    model: str
    champion: str
    event_time: int
    actor: str
    reason: str
