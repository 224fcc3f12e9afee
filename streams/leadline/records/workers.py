"""What workers say of themselves."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StageHealth:
    """One stage of a worker; see `leadline.hosts.health` for its states."""

    stage: str
    state: str
    since: int
    partitions: list[int]
    lag: int | None
    round_at: int | None
    moved_at: int | None
    joined_again: int
    failing_since: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class StageTrouble:
    """Something that keeps a stage from going on, and does not pass by itself."""

    stage: str
    what: str
    message: str
    since: int


@dataclass(frozen=True, slots=True)
class VersionHealth:
    """How a version scored in a role in the last ten minutes.

    ``failed``: requests for which it gave no score; ``seconds``: that it took, ``calls``: in so many batches. ``stopped``: why it scores
    no more there, empty while it does.
    """

    model: str
    version: str
    role: str
    requests: int
    failed: int
    calls: int
    seconds: float
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """How a worker is; the newest of a worker holds. ``answers``: of each model the version that answers requests there.

    ``asked``: how many requests of each model came in the last ten minutes; ``refused``: how many of them became dead letters, by reason.
    """

    worker_id: str
    release: str
    state: str
    started_at: int
    told_at: int
    stages: list[StageHealth]
    versions: list[str]
    unusable: dict[str, str]
    troubles: list[StageTrouble]
    free_bytes: dict[str, int]
    answers: dict[str, str] = field(default_factory=dict)
    unknown_features: dict[str, dict[str, int]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    refused: dict[str, dict[str, int]] = field(default_factory=dict)
    scored: list[VersionHealth] = field(default_factory=list)
