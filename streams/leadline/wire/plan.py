"""What to do on a cluster so that every topic exists and is configured as it should be."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from leadline.wire.limits import CHANGELOG_MESSAGE_BYTES, MESSAGE_BYTES
from leadline.wire.topics import BY_NAME, DEAD_LETTERS, TOPICS, Stage, Topic

DAY_MS = 86_400_000
KEEP_MS = 30 * DAY_MS
_CHANGELOG = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * DAY_MS),
    "max.message.bytes": str(CHANGELOG_MESSAGE_BYTES),
    "min.compaction.lag.ms": "600000",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be: its name without prefix, and its configuration."""

    name: str
    one_partition: bool
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Create:
    """A topic that does not exist."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alter:
    """A topic that is configured otherwise; ``changes``: what each entry that differs is (None: unknown), and what it should be."""

    name: str
    changes: Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to create and to alter, and why anything is refused."""

    create: list[Create] = field(default_factory=list)
    alter: list[Alter] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)


def wanted(
    steps: Iterable[str], topics: Iterable[str] | None = None, retention_ms: int | None = KEEP_MS
) -> list[Wanted]:
    """These topics (None: all) and the changelogs of these stateful steps; retention None is for ever.

    >>> [topic.name for topic in wanted(["join"], ["outcomes", "metrics"])]
    ['outcomes', 'metrics', 'join-changelog']
    """
    chosen = set(BY_NAME if topics is None else topics)
    unknown = chosen - set(BY_NAME)
    if unknown:
        raise ValueError(f"no such topics: {', '.join(sorted(unknown))}")
    own = [Wanted(t.name, t.one_partition, config_of(t, retention_ms)) for t in TOPICS if t.name in chosen]
    return own + [Wanted(f"{step}-changelog", False, _CHANGELOG) for step in steps]


def config_of(topic: Topic, retention_ms: int | None) -> dict[str, str]:
    """The configuration of a topic, as Kafka names it."""
    config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(MESSAGE_BYTES)}
    if topic.log_append_time:
        config["message.timestamp.type"] = "LogAppendTime"
    if topic.cleanup == "delete":
        config["retention.ms"] = str(-1 if retention_ms is None or topic.for_ever else retention_ms)
    return config


def plan(existing: "Existing", topics: Iterable[Wanted], prefix: str, partitions: int) -> Plan:
    """Compare the topics that exist (their partitions and configuration) with those that are wanted.

    >>> plan({"leadline.rollouts": (2, {})}, wanted([], ["rollouts"]), "leadline", 2).refuse[0]
    'leadline.rollouts has 2 partitions, wanted is 1: the rollouts are few, and read as a whole in one order'
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


Existing = Mapping[str, tuple[int, Mapping[str, str]]]
"""By full name, the partitions and the configuration of a topic that exists."""


def topics_of(stage: Stage) -> list[Wanted]:
    """What a stage reads, writes and keeps its state in."""
    named = {*stage.reads, *stage.writes, *stage.tables} - {DEAD_LETTERS}
    return wanted([stage.name] if stage.stateful else [], named & set(BY_NAME))


def disagreements(stage: Stage, existing: Existing, prefix: str) -> list[str]:
    """Why a stage must not work on these topics, each with what to do; none where it may.

    All that it reads and writes has as many partitions as most of it has; where two numbers are as frequent, as the smaller one, since
    partitions can be added, and never taken away. What it reads, and its changelog, are cleaned up as the table says. A configuration that
    is empty is not known, and not judged.
    """
    topics = topics_of(stage)
    made = plan(existing, topics, prefix, _most(topics, existing, prefix))
    counts = [f"{reason}. Make it anew with that many (docs/guarantees.md)" for reason in made.refuse]
    judged = {
        f"{prefix}.{topic.name}" for topic in topics if topic.name not in stage.writes or topic.name in stage.reads
    }
    return (
        _missing(made.create) + counts + [_policy(each) for each in made.alter if each.name in judged and _policy(each)]
    )


def _missing(topics: Sequence[Create]) -> list[str]:
    more = f" and {len(topics) - 1} more" if topics[1:] else ""
    return [f"there is no topic {topics[0].name}{more}: make it with `leadline topics apply`"] if topics else []


def _most(topics: Sequence[Wanted], existing: Existing, prefix: str) -> int:
    names = [f"{prefix}.{topic.name}" for topic in topics if not topic.one_partition]
    counts = Counter(existing[name][0] for name in names if name in existing)
    return max(sorted(counts), key=counts.__getitem__, default=1)


def _policy(topic: Alter) -> str:
    """What is wrong with how a topic is cleaned up; nothing where that is right, or not known."""
    found, right = topic.changes.get("cleanup.policy", (None, ""))
    if found is None:
        return ""
    return f"{topic.name} has cleanup.policy={found}, wanted is {right}: records get lost. Mend it with `leadline topics apply`"


def _counted(partitions: int) -> str:
    return f"{partitions} partition{'' if partitions == 1 else 's'}"


def _why(topic: Wanted) -> str:
    if topic.one_partition:
        return f"the {topic.name} are few, and read as a whole in one order"
    return "a request, its prediction, its outcome and the state that joins them must have the same partition number"
