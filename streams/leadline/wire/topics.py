"""Every topic: what is in it, how it is kept, and what has to be changed on a cluster so that it is so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DAY_MS = 86_400_000
KEEP_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, by its noun. ``log_append_time``: the broker stamps arrival, because nothing else may be trusted to."""

    noun: str
    schemas: tuple[str, ...]
    key: str
    about: str
    compacted: bool = False
    log_append_time: bool = False
    one_partition: bool = False


TOPICS = (
    Topic(
        "prediction-requests",
        ("PredictionRequest",),
        "request_id",
        "Somebody asks a model for a score.",
        log_append_time=True,
    ),
    Topic(
        "predictions",
        ("Prediction",),
        "request_id",
        "The scores, with the features that were used.",
        log_append_time=True,
    ),
    Topic(
        "outcomes", ("Outcome",), "request_id", "What really happened, whenever it becomes known.", log_append_time=True
    ),
    Topic(
        "labeled-predictions",
        ("LabeledPrediction",),
        "request_id",
        "Predictions with their outcome; the highest revision holds.",
    ),
    Topic(
        "window-partials", ("WindowPartial", "JoinCounts"), "identity and source partition", "Counts of one partition."
    ),
    Topic(
        "metrics",
        ("WindowMetrics", "JoinCounts"),
        "identity",
        "Live metrics by window, version and segment; the highest revision holds.",
    ),
    Topic("window-profiles", ("WindowProfile",), "identity and source partition", "Feature counts of one partition."),
    Topic("drift", ("DriftReport",), "identity", "Whether features and scores are distributed as in the reference."),
    Topic("alerts", ("Alert",), "alert_id", "What a person should look at: opened, updated, resolved."),
    Topic("retrain-requests", ("RetrainRequest",), "model", "Train this model again, and why."),
    Topic(
        "rollouts", ("Rollout",), "model", "Which version of each model answers.", compacted=True, one_partition=True
    ),
    Topic("dead-letters", (), "as it was", "Records that could not be used, with the reason in their headers."),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be on a cluster; ``partitions`` None is the number of all."""

    name: str
    config: dict[str, str]
    partitions: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done, and why it cannot be."""

    create: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    alter: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)


def wanted(
    prefix: str, steps: Iterable[str], nouns: Iterable[str] | None = None, retention_ms: int | None = KEEP_MS
) -> list[Wanted]:
    """The topics of these nouns (None: all) and the changelogs of these stateful steps; retention None keeps for ever."""
    chosen = None if nouns is None else set(nouns)
    topics = [
        Wanted(f"{prefix}.{t.noun}", _config(t, retention_ms), 1 if t.one_partition else None)
        for t in TOPICS
        if chosen is None or t.noun in chosen
    ]
    changelog = {
        "cleanup.policy": "compact",
        "max.message.bytes": str(16 << 20),
        "min.compaction.lag.ms": "600000",
        "delete.retention.ms": str(7 * DAY_MS),
    }
    return topics + [Wanted(f"{prefix}.{step}-changelog", changelog) for step in steps]


def _config(topic: Topic, retention_ms: int | None) -> dict[str, str]:
    config = {"max.message.bytes": str(4 << 20), "cleanup.policy": "compact" if topic.compacted else "delete"}
    if not topic.compacted:
        config["retention.ms"] = str(-1 if retention_ms is None else retention_ms)
    if topic.log_append_time:
        config["message.timestamp.type"] = "LogAppendTime"
    return config


def plan(existing: Mapping[str, tuple[int, Mapping[str, str]]], topics: Iterable[Wanted], partitions: int) -> Plan:
    """What to create and to alter, given the partitions and the configuration of the topics that exist.

    >>> plan({"leadline.outcomes": (3, {})}, wanted("leadline", [], ["outcomes"]), 2).refuse
    ['leadline.outcomes has 3 partitions, not 2: a request, its prediction and its outcome need one partition number']
    """
    made = Plan()
    for topic in topics:
        count = topic.partitions or partitions
        if topic.name not in existing:
            made.create.append((topic.name, count, topic.config))
            continue
        found, config = existing[topic.name]
        if found != count:
            made.refuse.append(
                f"{topic.name} has {found} partitions, not {count}: a request, its prediction and its outcome need one partition number"
            )
        other = {name: value for name, value in topic.config.items() if config.get(name) != value}
        if other:
            made.alter.append((topic.name, other))
    return made
