"""The loop as a table: each stage, what it reads and writes, and the object that decides.

A stage is its own consumer group. Its instance on one partition number is a task: one processor, one store.
"""

from collections.abc import Callable
from dataclasses import dataclass

from leadline.core.batch import Processor, Store
from leadline.core.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Task:
    """What a processor is made with."""

    partition: int
    store: Store
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Step:
    """One stage. ``stateful`` stages keep a store with a changelog; ``lookups`` stages want features from Redis with each batch."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    processor: Callable[[Task], Processor]
    stateful: bool = True
    lookups: bool = False
