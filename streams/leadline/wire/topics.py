"""Every topic in one row: what is in it, which key and partition a record gets, who sends it, and how it is kept.

All that is said of topics elsewhere is made from this table: what the codec reads and writes, the keys of what the stages put out, the
plan for a cluster, the rights, the AsyncAPI document, docs/topics.md. A new topic is a row here, a record class and a schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from leadline.records import (
    Alert,
    AuditEntry,
    Candidate,
    Command,
    CommandAnswer,
    Comparison,
    DriftReport,
    JoinCounts,
    LabeledPrediction,
    LiveSettings,
    Outcome,
    PairPartial,
    Prediction,
    PredictionRequest,
    Record,
    RetrainRequest,
    Rollout,
    Training,
    Verdict,
    WindowMetrics,
    WindowPartial,
    WindowProfile,
    WorkerHealth,
)
from leadline.wire.keys import Key, array, by_class, same, text

DEAD_LETTERS = "dead-letters"
WORKERS = "workers"
ROLLOUTS = "rollouts"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, by its name without prefix.

    ``records``: the classes of its records; a topic without any holds bytes as they came, each under the ``key`` that it had (None).
    ``route``: the partition of a record is the murmur2 hash of this; None: of its key. ``columnar``: many events, all of one class, which
    are read and written as columns. ``sent_by``: who sends the records, where no part of the loop does. ``internal``: between stages only.
    ``log_append_time``: the broker stamps the records, because arrival time falls back to that stamp and no producer may set it.
    ``for_ever``: its records are kept, however long those of other topics are.
    """

    name: str
    records: tuple[type[Record], ...]
    key: Key | None
    route: Key | None = None
    cleanup: Literal["delete", "compact"] = "delete"
    description: str = ""
    columnar: bool = False
    sent_by: Literal["producer", "admin", "worker"] | None = None
    internal: bool = False
    log_append_time: bool = False
    one_partition: bool = False
    for_ever: bool = False

    @property
    def schemas(self) -> tuple[str, ...]:
        """Names of the schemas of its records."""
        return tuple(record.__name__ for record in self.records)

    @property
    def for_readers(self) -> bool:
        """Whether an application reads it: what workers and their stages write, and not for each other alone."""
        return self.sent_by in (None, "worker") and not self.internal

    @property
    def key_words(self) -> str:
        """The key in words."""
        return "as it was" if self.key is None else self.key.words


class Stage(Protocol):
    """What the table has to know of a stage; ``tables`` are the topics that it needs whole."""

    @property
    def name(self) -> str: ...

    @property
    def reads(self) -> Sequence[str]: ...

    @property
    def writes(self) -> Sequence[str]: ...

    @property
    def tables(self) -> Sequence[str]: ...

    @property
    def stateful(self) -> bool: ...


TOPICS = (
    Topic(
        "prediction-requests",
        records=(PredictionRequest,),
        key=text("request_id"),
        description="Somebody asks a model for a score.",
        columnar=True,
        sent_by="producer",
        log_append_time=True,
    ),
    Topic(
        "predictions",
        records=(Prediction,),
        key=text("request_id"),
        description="The scores, with the feature values that were used.",
        columnar=True,
        log_append_time=True,
    ),
    Topic(
        "shadow-predictions",
        records=(Prediction,),
        key=text("request_id"),
        description="What versions said that must not act, on the same requests. Nobody acts on it.",
        columnar=True,
        log_append_time=True,
    ),
    Topic(
        "outcomes",
        records=(Outcome,),
        key=text("request_id"),
        description="What really happened, whenever it becomes known: a number, a boolean or the name of a class; null takes it back.",
        columnar=True,
        sent_by="producer",
        log_append_time=True,
    ),
    Topic(
        "labeled-predictions",
        records=(LabeledPrediction,),
        key=text("prediction.request_id"),
        description="Predictions with their outcome; the highest revision of (request_id, model, model_version) holds.",
        columnar=True,
    ),
    Topic(
        "window-partials",
        records=(WindowPartial, JoinCounts),
        key=by_class(
            {
                WindowPartial: array("model", "model_version", "segment", "window_start", "source_partition"),
                JoinCounts: array("model", "source_partition", kind="counts"),
            }
        ),
        route=by_class({WindowPartial: array("model", "model_version", "segment"), JoinCounts: text("model")}),
        description="What one partition counted of each window, version and segment.",
        internal=True,
    ),
    Topic(
        "pair-partials",
        records=(PairPartial,),
        key=array("model", "first", "second", "segment", "window_start", "source_partition", "sample"),
        route=text("model"),
        description="What one partition counted of the requests that two versions scored, by segment and window.",
        internal=True,
    ),
    Topic(
        "metrics",
        records=(WindowMetrics, JoinCounts),
        key=by_class(
            {
                WindowMetrics: array("model", "model_version", "segment", "window_start"),
                JoinCounts: array("model", kind="counts"),
            }
        ),
        route=text("model"),
        description="Live metrics of each window, version and segment; the highest revision holds.",
    ),
    Topic(
        "window-profiles",
        records=(WindowProfile,),
        key=array("model", "model_version", "window_start", "source_partition"),
        route=text("model"),
        description="How the features and the score of one window were distributed in one partition.",
        internal=True,
    ),
    Topic(
        "drift",
        records=(DriftReport,),
        key=array("model", "model_version", "window_start", "feature", "finding"),
        route=text("model"),
        description="Whether a feature, or the score, of a window is as in its reference: distribution, share missing, unseen categories.",
    ),
    Topic(
        "alerts",
        records=(Alert,),
        key=text("alert_id"),
        route=text("model"),
        description="What a person should look at: opened, updated, resolved.",
    ),
    Topic(
        "retrain-requests",
        records=(RetrainRequest,),
        key=text("model"),
        description="Train this model again, and why.",
    ),
    Topic(
        "trainings",
        records=(Training,),
        key=text("model"),
        description="What becomes of a retrain request: started, with the cut of the log, progress, and how it ended.",
        log_append_time=True,
    ),
    Topic(
        "candidates",
        records=(Candidate,),
        key=text("model"),
        description="New versions that may become champion.",
        log_append_time=True,
    ),
    Topic(
        "verdicts",
        records=(Verdict,),
        key=text("model"),
        description="What is to become of a version, and by which checks: at the gate, at an approval, in a rollout.",
        log_append_time=True,
    ),
    Topic(
        "comparisons",
        records=(Comparison,),
        key=text("model"),
        description="A champion and its challenger on the same requests, by segment and window; the highest revision holds.",
    ),
    Topic(
        "rollouts",
        records=(Rollout,),
        key=text("model"),
        cleanup="compact",
        description="Which version of each model answers; the last one of a model holds.",
        one_partition=True,
    ),
    Topic(
        "commands",
        records=(Command,),
        key=text("model"),
        description="What a person, or a program in somebody's name, asks for.",
        sent_by="admin",
        log_append_time=True,
    ),
    Topic(
        "command-answers",
        records=(CommandAnswer,),
        key=text("command_id"),
        route=text("model"),
        description="Whether a command was taken, or why not; the same for the same command.",
    ),
    Topic(
        "model-settings",
        records=(LiveSettings,),
        key=text("model"),
        cleanup="compact",
        description="What of a model's settings was changed while workers run, by whom and why; the last one of a model holds.",
        one_partition=True,
    ),
    Topic(
        "audit",
        records=(AuditEntry,),
        key=array("sequence"),
        route=same("audit"),
        description="Every decision, byte for byte, as a chain: each entry has the digest of the one before it.",
        one_partition=True,
        for_ever=True,
    ),
    Topic(
        WORKERS,
        records=(WorkerHealth,),
        key=text("worker_id"),
        cleanup="compact",
        description="How each worker is, each minute and when that changes.",
        sent_by="worker",
        log_append_time=True,
        one_partition=True,
    ),
    Topic(
        DEAD_LETTERS,
        records=(),
        key=None,
        description="Records that could not be used, with the reason in their headers.",
    ),
)
BY_NAME = {topic.name: topic for topic in TOPICS}
if TYPE_CHECKING:
    TopicName = str
else:
    TopicName = Literal[tuple(BY_NAME)]
"""One of the names, as the type of an option of the command line."""
MANY = {topic.name: topic.schemas[0] for topic in TOPICS if topic.columnar}
"""Topics of many events, which are read as columns: the schema of each."""
FEW = {topic.name: topic.schemas for topic in TOPICS if topic.records and not topic.columnar}
"""Topics of few records, which are read as objects: the schemas of each."""
JSON_TOPICS = tuple(topic.name for topic in TOPICS if topic.sent_by == "producer")
"""Topics that take plain JSON too."""


def key_of(topic: str, record: Record) -> bytes:
    """The key of a record in a topic.

    >>> key_of("retrain-requests", RetrainRequest("r1", "delays", "v1", 0, "worse than its limit", "a1", {}))
    b'delays'
    """
    key = BY_NAME[topic].key
    assert key is not None, topic
    return key.of(record)
