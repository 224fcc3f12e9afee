"""What is decided about models."""

from dataclasses import dataclass, field

CONFIGURE = "configure"
"""The kind of the commands that change settings."""
ACCEPTED, REFUSED = "accepted", "refused"
"""Answers to commands."""


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


@dataclass(frozen=True, slots=True)
class Command:
    """What a person, or a program in somebody's name, asks for; the stage that owns the ``kind`` answers it."""

    command_id: str
    kind: str
    model: str
    actor: str
    reason: str
    arguments: dict[str, str]
    event_time: int


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """Whether a command was taken: ``answer`` is accepted or refused, with the reason. The same command gets the same answer."""

    command_id: str
    model: str
    kind: str
    answer: str
    reason: str
    as_of: int


@dataclass(frozen=True, slots=True)
class LiveSetting:
    """A setting that was changed while workers run: its key as in model.toml, its value as it was written, and who changed it, why."""

    key: str
    value: str
    actor: str
    reason: str
    command_id: str
    as_of: int


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """All settings of a model that differ from its model.toml, and the command that changed them last; the newest of a model holds."""

    model: str
    settings: list[LiveSetting]
    actor: str
    reason: str
    command_id: str
    revision: int
    as_of: int
