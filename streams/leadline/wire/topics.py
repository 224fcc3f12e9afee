"""Every topic: what is in it, how it is kept, and what has to be done on a cluster so that it is so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

DAY_MS = 86_400_000
KEEP_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, by its noun. ``key`` is in words; a topic without ``schemas`` holds bytes as they came.

    ``log_append_time``: the broker stamps the records, because arrival time falls back to that stamp and no producer may set it.
    """

    noun: str
    schemas: tuple[str, ...]
    key: str
    description: str
    cleanup: Literal["delete", "compact"] = "delete"
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
        "The scores, with the feature values that were used.",
        log_append_time=True,
    ),
    Topic(
        "outcomes",
        ("Outcome",),
        "request_id",
        "What really happened, whenever it becomes known; null takes it back.",
        log_append_time=True,
    ),
    Topic(
        "labeled-predictions",
        ("LabeledPrediction",),
        "request_id",
        "Predictions with their outcome; the highest revision of (request_id, model, model_version) holds.",
    ),
    Topic(
        "window-partials",
        ("WindowPartial", "JoinCounts"),
        'JSON array: model, model_version, segment, window_start, source_partition; of counts: "counts", model, source_partition',
        "What one partition counted; its partition here is the hash of model, version, segment and window.",
    ),
    Topic(
        "metrics",
        ("WindowMetrics", "JoinCounts"),
        'JSON array: model, model_version, segment, window_start; of counts: "counts", model',
        "Live metrics of each window, version and segment; the highest revision holds.",
    ),
    Topic(
        "window-profiles",
        ("WindowProfile",),
        "JSON array: model, model_version, window_start, source_partition",
        "How the features and the score of one window were distributed in one partition.",
    ),
    Topic(
        "drift",
        ("DriftReport",),
        "JSON array: model, model_version, window_start, feature",
        "Whether a feature, or the score, of one window is distributed as in the reference.",
    ),
    Topic("alerts", ("Alert",), "alert_id", "What a person should look at: opened, updated, resolved."),
    Topic("retrain-requests", ("RetrainRequest",), "model", "Train this model again, and why."),
    Topic(
        "rollouts",
        ("Rollout",),
        "model",
        "Which version of each model answers; the last one of a model holds.",
        cleanup="compact",
        one_partition=True,
    ),
    Topic("dead-letters", (), "as it was", "Records that could not be used, with the reason in their headers."),
)

_MESSAGE_BYTES = 4 << 20
_CHANGELOG = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * DAY_MS),
    "max.message.bytes": str(16 << 20),
    "min.compaction.lag.ms": "600000",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be: its name behind the prefix and its configuration."""

    name: str
    one_partition: bool
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """A topic that is not there."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alter:
    """A topic that is kept otherwise; ``changes`` has what is (None: not known) and what is wanted, of each entry that differs."""

    name: str
    changes: Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done, and the reasons why it may not be."""

    create: list[Create] = field(default_factory=list)
    alter: list[Alter] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)


def wanted(
    steps: Iterable[str], nouns: Iterable[str] | None = None, retention_ms: int | None = KEEP_MS
) -> list[Wanted]:
    """The topics of these nouns (None: all) and the changelogs of these stateful steps; retention None is for ever.

    >>> [topic.name for topic in wanted(["join"], ["outcomes", "metrics"])]
    ['outcomes', 'metrics', 'join-changelog']
    """
    chosen = {topic.noun for topic in TOPICS} if nouns is None else set(nouns)
    unknown = chosen - {topic.noun for topic in TOPICS}
    if unknown:
        raise ValueError(f"no such topics: {', '.join(sorted(unknown))}")
    topics = [Wanted(t.noun, t.one_partition, config_of(t, retention_ms)) for t in TOPICS if t.noun in chosen]
    return topics + [Wanted(f"{step}-changelog", False, _CHANGELOG) for step in steps]


def config_of(topic: Topic, retention_ms: int | None) -> dict[str, str]:
    """The configuration of a topic, as Kafka names it."""
    config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(_MESSAGE_BYTES)}
    if topic.log_append_time:
        config["message.timestamp.type"] = "LogAppendTime"
    if topic.cleanup == "delete":
        config["retention.ms"] = str(-1 if retention_ms is None else retention_ms)
    return config


def plan(
    existing: Mapping[str, tuple[int, Mapping[str, str]]], topics: Iterable[Wanted], prefix: str, partitions: int
) -> Plan:
    """What to create, to alter and to refuse, given the number of partitions and the configuration of each topic that exists.

    >>> plan({"leadline.rollouts": (2, {})}, wanted([], ["rollouts"]), "leadline", 2).refuse[0]
    'leadline.rollouts has 2 partitions, wanted is 1: rollouts of all models are read in one order'
    """
    made = Plan()
    for topic in topics:
        name, count = f"{prefix}.{topic.name}", 1 if topic.one_partition else partitions
        if name not in existing:
            made.create.append(Create(name, count, topic.config))
            continue
        found, config = existing[name]
        if found != count:
            made.refuse.append(f"{name} has {_counted(found)}, wanted is {count}: {_why(topic)}")
        changes = {entry: (config.get(entry), value) for entry, value in topic.config.items()}
        changes = {entry: change for entry, change in changes.items() if change[0] != change[1]}
        if changes:
            made.alter.append(Alter(name, changes))
    return made


def _counted(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"


def _why(topic: Wanted) -> str:
    if topic.one_partition:
        return "rollouts of all models are read in one order"
    return "a request, its prediction, its outcome and the state that joins them must have the same partition number"
