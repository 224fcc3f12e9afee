"""What each role may do on the cluster, and no more: made from the topic table and the stages."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leadline.wire.topics import DEAD_LETTERS, TOPICS, WORKERS, Stage

_LOOK = ("Describe", "DescribeConfigs")
"""A worker looks whether its topics are the same as before, and cleaned up as they should be."""


class Acl(NamedTuple):
    """What a role may do with one resource, or where ``prefixed`` with every resource whose name begins with ``name``."""

    role: str
    kind: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


def acls(prefix: str, stages: Sequence[Stage], trainer: Stage | None = None) -> list[Acl]:
    """The least rights that each role needs: producer, worker, trainer, reader and admin.

    >>> [each.name for each in acls("p", []) if each.role == "producer"]
    ['p.prediction-requests', 'p.outcomes']
    """
    return [*_producer(prefix), *_worker(prefix, stages), *_trainer(prefix, trainer), *_reader(prefix), *_admin(prefix)]


def command(acl: Acl, principal: str) -> str:
    """The rights as a command of Kafka's own tool.

    >>> command(Acl("producer", "topic", "p.outcomes", ("Write",)), "User:shop")
    'kafka-acls.sh --add --allow-principal User:shop --operation Write --topic p.outcomes'
    """
    operations = " ".join(f"--operation {operation}" for operation in acl.operations)
    pattern = " --resource-pattern-type prefixed" if acl.prefixed else ""
    return f"kafka-acls.sh --add --allow-principal {principal} {operations} --{acl.kind} {acl.name}{pattern}"


def _producer(prefix: str) -> Iterator[Acl]:
    for topic in TOPICS:
        if topic.sent_by == "producer":
            yield Acl("producer", "topic", f"{prefix}.{topic.name}", ("Write", "Describe"))


def _worker(prefix: str, stages: Sequence[Stage]) -> Iterator[Acl]:
    """What the stages read and write, their tables included. A worker writes dead letters and its health, whatever its stages are."""
    yield from _topics("worker", prefix, stages, [WORKERS, DEAD_LETTERS])
    for stage in stages:
        if stage.stateful:
            yield Acl("worker", "topic", f"{prefix}.{stage.name}-changelog", ("Read", "Write", *_LOOK))
    for stage in stages:
        yield Acl("worker", "group", f"{prefix}.{stage.name}", ("Read",))
        if stage.stateful:
            yield Acl("worker", "transactional-id", f"{prefix}.{stage.name}.", ("Write", "Describe"), prefixed=True)


def _trainer(prefix: str, trainer: Stage | None) -> Iterator[Acl]:
    """What the trainer reads and writes; it writes its health too."""
    if trainer is None:
        return
    yield from _topics("trainer", prefix, [trainer], [WORKERS])
    yield Acl("trainer", "group", f"{prefix}.{trainer.name}", ("Read",))
    yield Acl("trainer", "transactional-id", f"{prefix}.{trainer.name}.", ("Write", "Describe"), prefixed=True)


def _topics(role: str, prefix: str, stages: Sequence[Stage], tells: Sequence[str]) -> Iterator[Acl]:
    """The rights on all topics of some stages, their tables included, and on those that the role tells of itself."""
    reads = dict.fromkeys([WORKERS, *(topic for stage in stages for topic in (*stage.tables, *stage.reads))])
    writes = dict.fromkeys([*tells, *(topic for stage in stages for topic in stage.writes)])
    for topic in {**reads, **writes}:
        operations = [name for name, topics in (("Read", reads), ("Write", writes)) if topic in topics]
        look = ("Describe",) if topic in (DEAD_LETTERS, WORKERS) else _LOOK
        yield Acl(role, "topic", f"{prefix}.{topic}", (*operations, *look))


def _reader(prefix: str) -> Iterator[Acl]:
    for topic in TOPICS:
        if topic.for_readers:
            yield Acl("reader", "topic", f"{prefix}.{topic.name}", ("Read", "Describe"))


def _admin(prefix: str) -> Iterator[Acl]:
    operations = ("Create", "Describe", "DescribeConfigs", "AlterConfigs", "Read")
    yield Acl("admin", "topic", f"{prefix}.", operations, prefixed=True)
    for topic in TOPICS:
        if topic.sent_by == "admin":
            yield Acl("admin", "topic", f"{prefix}.{topic.name}", ("Write",))
    yield Acl("admin", "group", f"{prefix}.", ("Describe",), prefixed=True)
