"""Of one identity the highest revision holds; of equal revisions the one that is later in the log."""

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol, TypeVar


class Revised(Protocol):
    """A record with a revision."""

    @property
    def revision(self) -> int: ...


K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound=Revised)


def holds(revision: int, held: int | None) -> bool:
    """Whether what comes with a revision holds from now on, rather than what is held (None: nothing is).

    >>> holds(1, None), holds(1, 1), holds(1, 2)
    (True, True, False)
    """
    return held is None or revision >= held


def keep(held: dict[K, R], identity: K, record: R) -> bool:
    """Keep a record where it holds; whether it does."""
    before = held.get(identity)
    if not holds(record.revision, None if before is None else before.revision):
        return False
    held[identity] = record
    return True


def latest(records: Iterable[R], identity: Callable[[R], K]) -> dict[K, R]:
    """The record that holds of each identity; records in log order.

    >>> from types import SimpleNamespace as Record
    >>> log = [Record(of="a", revision=2, n=1), Record(of="b", revision=0, n=2), Record(of="a", revision=1, n=3)]
    >>> [(name, record.n) for name, record in latest(log, lambda record: record.of).items()]
    [('a', 1), ('b', 2)]
    """
    held: dict[K, R] = {}
    for record in records:
        keep(held, identity(record), record)
    return held
