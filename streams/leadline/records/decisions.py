"""What is decided about models."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Alert:
    """One state of an incident: something a person should look at.

    ``alert_id`` is the incident's, from opened to resolved or withdrawn. ``segment``: the one that is worse, ``*`` or ``several``;
    ``segments`` names them, ``features`` the drifted inputs. ``early``: it rests on what labels may yet contradict, and may be withdrawn.
    ``error_rate``: whether the number of false alarms is ``proven`` or ``calibrated``; empty where it is neither. ``at``: the stage time.
    """

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
    cause: str = ""
    segments: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    early: bool = False
    error_rate: str = ""
    at: int = 0


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
