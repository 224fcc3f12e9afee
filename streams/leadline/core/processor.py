"""What goes into a processor and what comes out of it.

A **run** is what one fetch brought of one partition; decoded it is a `Batch`. A processor answers a batch, or the passing of time,
with `Effects`; its host sends them. State goes through a `Store`, whose changes the host makes durable together with the offset
of the run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.records import Record


class Raw(NamedTuple):
    """A record as it is in the log. ``unreadable``: what is wrong, where a batch as a whole could not be read."""

    offset: int
    key: bytes | None
    value: bytes | None
    unreadable: str = ""


class Glance(NamedTuple):
    """A record of which a step wants no more than whose it is, and as of when."""

    offset: int
    model: str
    as_of: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The readable records of one run, in log order.

    ``topic`` is its name without prefix. Topics of many events come as ``columns`` (one Arrow column a field, timestamps as int64
    milliseconds) with ``bodies``, the Avro body of each row in the newest schema; topics of few, and few requests, come as ``records``.
    A step that wants the log as it is gets all of it as ``raw``, readable or not. ``glances`` are no rows: they are at
    records of classes of which the step wants no more.
    ``last_offset`` and ``arrival_max_ms`` are of the whole run, unreadable and clock records included (-2**63: none).
    ``now_ms``: when a host whose clock is the wall's came to it (-2**63: nobody knows).
    """

    topic: str
    partition: int
    offsets: NDArray[np.int64]
    arrival_ms: NDArray[np.int64]
    keys: list[bytes]
    last_offset: int
    arrival_max_ms: int
    columns: pa.RecordBatch | None = None
    bodies: list[bytes] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    lookups: "Lookups | None" = None
    raw: list[Raw] = field(default_factory=list)
    glances: list[Glance] = field(default_factory=list)
    now_ms: int = -(2**63)

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True, slots=True)
class Lookups:
    """Looked-up features of a batch, fetched by the host in one round trip: one column a feature, NaN is missing.

    ``updated_ms``: when the oldest of a row's features was written, NaN where one of its views knows no such row.
    """

    values: dict[str, NDArray[np.float64]]
    updated_ms: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Output:
    """Records for one topic, as ``columns`` or as ``records``.

    ``columns`` come with their ``keys``; the keys of ``records`` may be left to the topic table (`leadline.wire.topics`), which also says
    what each record is routed by, where ``partition`` is None.
    ``arrival_ms`` says when each row came to be, in the time of the records; only a host whose clock is the records passes it on.
    With ``bodies`` each row is the Avro body of its first field, already encoded, followed by the columns.
    """

    topic: str
    keys: list[bytes] = field(default_factory=list)
    partition: int | None = None
    columns: pa.RecordBatch | None = None
    records: Sequence[Record] = ()
    bodies: list[bytes] = field(default_factory=list)
    arrival_ms: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Row ``index`` of the batch goes to the dead letters; ``reason`` is a short constant, ``detail`` is for a person."""

    index: int
    reason: str
    detail: str


class Call(NamedTuple):
    """What a version did for some requests: of ``requests`` it gave no score for ``failed``. ``calls``: 0 where none came to its model."""

    model: str
    version: str
    role: str
    calls: int
    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class Effects:
    """What a processor wants done. ``unknown``: how often (model, name) came as a feature that no version which answers has.

    ``asked``: requests of each model that is known; ``refused``: those of them that are rejected, by (model, reason).
    ``calls``: of versions, in their order.
    """

    outputs: list[Output] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)


class Store(Protocol):
    """Keyed bytes of one task (a step on one partition). Reads see the writes before them."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]: ...

    def put(self, key: bytes, value: bytes) -> None: ...

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop, in key order."""
        ...


class Processor(Protocol):
    """One stage's decisions on one partition. All its state is in its store: a new object on the same store goes on."""

    @property
    def wake_at_ms(self) -> int | None:
        """The earliest time at which `on_time` has something to do; None: never by itself."""
        ...

    @property
    def has_due(self) -> bool:
        """Whether more has fallen due than was done in one step. The host calls `drain` before it gives the next batch."""
        ...

    def on_batch(self, batch: Batch) -> Effects: ...

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        """Time has come to ``now_ms`` for the source topics in ``idle``, which have nothing left to read."""
        ...


class EventDriven:
    """The base of a processor that acts on records alone: time that passes asks nothing of it."""

    @property
    def wake_at_ms(self) -> int | None:
        """Never."""
        return None

    @property
    def has_due(self) -> bool:
        """Never."""
        return False

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:  # noqa: ARG002
        """Nothing is due."""
        return Effects()


def drain(processor: Processor) -> Iterator[Effects]:
    """What is left of that which has fallen due, step by step; time does not move."""
    while processor.has_due:
        yield processor.on_time(0, frozenset())
