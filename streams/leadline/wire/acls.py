"""What each role may do on the cluster, and no more: made from the table of stages."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Acl(NamedTuple):
    """One kind of thing that a role may do to resources: those of this name, or where ``prefixed`` all whose names begin so."""

    role: str
    kind: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


class Rights(NamedTuple):
    """What a stage touches (nouns); ``stateful`` ones have a changelog, and write in transactions."""

    name: str
    reads: Sequence[str]
    writes: Sequence[str]
    stateful: bool


def acls(prefix: str, stages: Sequence[Rights]) -> list[Acl]:
    """The least that producers of requests and outcomes, workers, readers and administrators need.

    >>> [each.name for each in acls("p", []) if each.role == "producer"]
    ['p.prediction-requests', 'p.outcomes']
    """
    return [*_producer(prefix), *_worker(prefix, stages), *_reader(prefix), *_admin(prefix)]


def command(acl: Acl, principal: str) -> str:
    """The rights as a command of Kafka's own tool.

    >>> command(Acl("producer", "topic", "p.outcomes", ("Write",)), "User:shop")
    'kafka-acls.sh --add --allow-principal User:shop --operation Write --topic p.outcomes'
    """
    operations = " ".join(f"--operation {operation}" for operation in acl.operations)
    pattern = " --resource-pattern-type prefixed" if acl.prefixed else ""
    return f"kafka-acls.sh --add --allow-principal {principal} {operations} --{acl.kind} {acl.name}{pattern}"


def _producer(prefix: str) -> Iterator[Acl]:
    for noun in ("prediction-requests", "outcomes"):
        yield Acl("producer", "topic", f"{prefix}.{noun}", ("Write", "Describe"))


def _worker(prefix: str, stages: Sequence[Rights]) -> Iterator[Acl]:
    reads = dict.fromkeys(["rollouts", *(noun for stage in stages for noun in stage.reads)])
    writes = dict.fromkeys(["dead-letters", *(noun for stage in stages for noun in stage.writes)])
    changelogs = [f"{stage.name}-changelog" for stage in stages if stage.stateful]
    for noun in {**reads, **writes}:
        operations = [name for name, nouns in (("Read", reads), ("Write", writes)) if noun in nouns]
        yield Acl("worker", "topic", f"{prefix}.{noun}", (*operations, "Describe"))
    for noun in changelogs:
        yield Acl("worker", "topic", f"{prefix}.{noun}", ("Read", "Write", "Describe"))
    for stage in stages:
        yield Acl("worker", "group", f"{prefix}.{stage.name}", ("Read",))
        if stage.stateful:
            yield Acl("worker", "transactional-id", f"{prefix}.{stage.name}.", ("Write", "Describe"), prefixed=True)


def _reader(prefix: str) -> Iterator[Acl]:
    for noun in (
        "predictions",
        "labeled-predictions",
        "metrics",
        "drift",
        "alerts",
        "retrain-requests",
        "dead-letters",
    ):
        yield Acl("reader", "topic", f"{prefix}.{noun}", ("Read", "Describe"))


def _admin(prefix: str) -> Iterator[Acl]:
    operations = ("Create", "Describe", "DescribeConfigs", "AlterConfigs", "Read")
    yield Acl("admin", "topic", f"{prefix}.", operations, prefixed=True)
    yield Acl("admin", "topic", f"{prefix}.rollouts", ("Write",))
    yield Acl("admin", "group", f"{prefix}.", ("Describe",), prefixed=True)
