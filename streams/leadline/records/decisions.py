"""What is decided about models."""

from dataclasses import dataclass, field

CONFIGURE = "configure"
"""The kind of the commands that change settings."""
ACKNOWLEDGE, SILENCE = "acknowledge", "silence"
"""Commands to who alerts: somebody looks at an incident; nobody wants to hear of a kind for a while."""
RETRAIN, CANCEL = "retrain", "cancel"
"""Commands to train a model again now, and to end a training that is under way."""
PROMOTE, APPROVE, REJECT = "promote", "approve", "reject"
"""Commands to make a version champion, and a person's answer where an approval is asked for."""
START, PAUSE, RESUME, ABORT, ROLL_BACK = "start", "pause", "resume", "abort", "roll-back"
"""Commands to begin a rollout, to hold it where it is and let it go on, to end it, and to go back to the champion before."""
LEAD_MS = 3000
"""So long after the arrival of its cause an assignment holds: until then all who score have heard of it."""
ACCEPTED, REFUSED = "accepted", "refused"
"""Answers to commands."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One state of an incident: something a person should look at.

    ``alert_id`` is the incident's, from opened to resolved or withdrawn. ``segment``: the one that is worse, ``*`` or ``several``;
    ``segments`` names them, ``features`` the drifted inputs. ``early``: it rests on what labels may yet contradict, and may be withdrawn.
    ``error_rate``: whether the number of false alarms is ``proven`` or ``calibrated``; empty where it is neither. ``at``: the stage time;
    of a confirmed incident the instant of log time in which its window became mature.
    ``acknowledged_by``: who looks at it, since ``acknowledged_at``. ``silenced_until``: nobody wants to hear of it until then.
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
    acknowledged_by: str = ""
    acknowledged_at: int | None = None
    silenced_until: int | None = None


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
    trigger: str = "alert"
    actor: str = ""
    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Training:
    """One state of a retrain request at the trainer; the newest of a ``retrain_id`` holds.

    ``cut``: by partition of the labeled predictions, the offset at which the training set ends; the same from started to the end.
    ``attempt``: counts from 1, and up each time another trainer begins anew. ``version``: of the candidate, once there is one.
    ``topic_ids``: which topic the cut is of; a next attempt is at the same one.
    """

    retrain_id: str
    model: str
    state: str
    attempt: int
    cut: dict[str, int]
    message: str
    version: str
    trainer: str
    as_of: int
    topic_ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new version that may become champion.

    ``receipt``: the sha256 of its receipt.json; ``origin``: trainer, online, mlflow or person.
    """

    model: str
    version: str
    parent: str
    retrain_id: str
    receipt: str
    origin: str
    metrics: dict[str, float]
    as_of: int


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a verdict: its value, the limit that it has to keep, and what came of it: passed, failed, or no evidence."""

    name: str
    segment: str
    value: float | None
    limit: float | None
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a version at one place (gate, approval, shadow, canary, watch), with its checks and in one sentence.

    ``verdict``: promote, hold, reject, roll-back, inconclusive or no-labels. ``cause``: the record that it answers, such as a command.
    """

    verdict_id: str
    model: str
    version: str
    champion: str
    at: str
    verdict: str
    checks: list[Check]
    reason: str
    actor: str
    cause: str
    as_of: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who answers the requests of a model that arrive from ``effective_at`` on.

    ``shares``: of each version beside the champion, which share of the requests it answers; 0: none, it scores them in shadow alone.
    ``sample``: of which share of the requests those versions say what they would have answered that did not. ``salt``: goes into the
    bucket of a request.
    """

    champion: str
    effective_at: int
    shares: dict[str, float]
    salt: str
    sample: float
    rollout_id: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which versions of a model answer; the newest of a model holds, for requests that arrive from ``effective_at`` on.

    ``before``: the champion until then, to which a rollback goes. ``cause``: the id of the verdict or command that let it.
    ``rollout_id``: the same from the start of a rollout to its end, empty where none is under way; ``challenger``: the version that it is
    about; ``mode``: none, shadow, canary or ab; ``state``: of the rollout; ``step``: of its canary, from 0. ``shares``, ``salt`` and
    ``sample``: as in `Assignment`. ``earlier``: the assignments that held before, the newest first.
    """

    model: str
    champion: str
    event_time: int
    actor: str
    reason: str
    before: str = ""
    cause: str = ""
    revision: int = 0
    rollout_id: str = ""
    challenger: str = ""
    mode: str = "none"
    state: str = ""
    step: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    salt: str = ""
    sample: float = 1.0
    effective_at: int = 0
    earlier: list[Assignment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Command:
    """What a person, or a program in somebody's name, asks for; the stage that owns the ``kind`` answers it.

    ``actor`` is what the sender claims. ``signature``: by the ed25519 key ``public_key`` of a person, in hexadecimal; then it is proof.
    """

    command_id: str
    kind: str
    model: str
    actor: str
    reason: str
    arguments: dict[str, str]
    event_time: int
    public_key: str = ""
    signature: str = ""


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


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision in the chain: the bytes of its record as they are in the log, and the digest of the entry before it.

    ``digest``: the sha256 of all other fields, in hexadecimal. ``left_out``: of key or value that are not in the entry, why: how long they
    are and their sha256, or why the log does not give them. ``arrival_time``: when the record came to be in its topic.
    """

    sequence: int
    previous: str
    topic: str
    partition: int
    offset: int
    arrival_time: int
    key: bytes | None
    value: bytes | None
    left_out: dict[str, str]
    digest: str
