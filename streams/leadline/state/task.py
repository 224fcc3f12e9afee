"""One stage on one partition: its processor, its store, and how far they have come."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from leadline.core.models import Models
from leadline.core.processor import Batch, Processor
from leadline.core.tables import Table
from leadline.state.overlay import Changes, Overlay
from leadline.topology import Step, Task
from leadline.wire.origins import Origin
from leadline.wire.run import Run

APPLIED = b"\0applied"
RESTORED = b"\0restored"
CHANGELOG = b"\0changelog"
FORMAT = 5
"""Of all that a processor keeps in its store. Rises when a worker of before could misread it."""


class StateError(Exception):
    """The state cannot be worked on; the message says why, and what to do."""


class FormatError(StateError):
    """The state is of another release."""


class PartitionsError(StateError):
    """The state was written when a topic had another number of partitions: keys have moved, and their state has not."""


class HostedTask:
    """A processor with its store. ``applied`` is the last offset of each source that the state contains, by the source's name.

    A source is a topic, of which the task has its own partition. Of a step that gathers it is one partition: ``topic/partition``.

    ``origins`` are the topics that the step reads now. What the state contains of a topic that was made anew under its name since, it
    keeps; the offsets in it mean nothing any more. ``remade`` are such topics, until something of them is in the state. To the processor
    the offsets of a source go on rising (`in_order`): it orders records by them, and numbers revisions.
    """

    def __init__(
        self,
        step: Step,
        partition: int,
        store: Overlay,
        models: Models,
        tables: Mapping[str, Table] | None = None,
        origins: Mapping[str, Origin] | None = None,
        partitions: int = 1,
        installation: str = "",
    ) -> None:
        self.step = step
        self.partition = partition
        self.store = store
        self._models = models
        self._tables = tables or {}
        self._origins = {topic: origin for topic, origin in (origins or {}).items() if topic in step.reads}
        self._partitions = max((origin.partitions for origin in self._origins.values()), default=partitions)
        self._installation = installation
        self._changelog = (origins or {}).get(f"{step.name}-changelog")
        self.remade: frozenset[str] = frozenset()
        self._firsts: dict[str, int] = {}
        self.applied: dict[str, int] = {}
        self.processor = self.begin()

    def begin(self) -> Processor:
        """Read what the store says, and start a processor on it. Raises FormatError, PartitionsError."""
        held = self.store.get(APPLIED)
        stored: dict[str, Any] = json.loads(held) if held else {"format": FORMAT, "offsets": {}}
        if stored.get("format") != FORMAT:
            raise FormatError(
                f"the state of {self.step.name}/{self.partition} has format {stored.get('format')}, and this release reads {FORMAT}: "
                f"run the release that wrote it on all workers, or count anew with another LEADLINE_PREFIX"
            )
        if self._changelog and self._changelog.is_other(Origin.read(stored.get("changelog", ""))):
            self._empty()
            stored = {"offsets": {}}
        known = {topic: Origin(*origin) for topic, origin in stored.get("origins", {}).items()}
        self._refuse_moved_keys(known)
        self.remade = frozenset(topic for topic, origin in self._origins.items() if origin.is_other(known.get(topic)))
        former = {name: at for name, at in stored["offsets"].items() if name.split("/")[0] in self.remade}
        self.applied = {name: at for name, at in stored["offsets"].items() if name not in former}
        firsts = stored.get("firsts", {})
        self._firsts = firsts | {name: firsts.get(name, 0) + at + 1 for name, at in former.items()}
        self.processor = self.step.processor(
            Task(self.partition, self.store, self._models, self._tables, self._partitions, self._installation)
        )
        return self.processor

    def _refuse_moved_keys(self, known: Mapping[str, Origin]) -> None:
        for topic in known.keys() & self._origins.keys():
            refuse_moved_keys(self.step, topic, known[topic], self._origins[topic])

    def _empty(self) -> None:
        """Delete all: it was written for a changelog that had this name before, by a worker that did not know of this one yet."""
        for kind in range(1, 255):
            for key, _ in list(self.store.scan(bytes([kind]), bytes([kind + 1]))):
                self.store.delete(key)

    def undo(self) -> None:
        """Forget what the processor has done since the last commit."""
        self.store.rollback()
        self.begin()

    def unseen(self, run: Run) -> Run:
        """The part of a run that the state does not contain yet."""
        applied = self.applied.get(self.source(run.topic, run.partition), -1)
        return run if not len(run) or run.offsets[0] > applied else run.after(applied)

    def in_order(self, batch: Batch) -> Batch:
        """The batch with offsets above all that came of topics which had its topic's name before."""
        first = self._firsts.get(self.source(batch.topic, batch.partition), 0)
        if not first:
            return batch
        glances = [each._replace(offset=each.offset + first) for each in batch.glances]
        return replace(batch, offsets=batch.offsets + first, glances=glances)

    def source(self, topic: str, partition: int) -> str:
        """The name of a source in ``applied``."""
        return f"{topic}/{partition}" if self.step.gathers else topic

    def apply(self, source: str, offset: int) -> None:
        """The state contains the source up to ``offset``; part of the uncommitted changes."""
        self.applied[source] = offset
        held: dict[str, Any] = {"format": FORMAT, "offsets": self.applied, "origins": self._origins}
        if self._firsts:
            held["firsts"] = self._firsts
        if self._changelog:
            held["changelog"] = self._changelog.tag
        self.store.put(APPLIED, json.dumps(held).encode())

    def restored_to(self) -> int:
        """The changelog offset from which on this disk has to be brought up to date."""
        held = self.store.get(RESTORED)
        return int(held) if held else 0

    def commit(self, changelog_end: int) -> None:
        """Make the changes durable on this disk; ``changelog_end`` is the offset behind them."""
        self.store.commit(restored_mark(changelog_end))


def refuse_moved_keys(step: Step, topic: str, known: Origin, now: Origin) -> None:
    """Raise PartitionsError where the state of a step is of another number of partitions."""
    if known.partitions != now.partitions and not step.gathers:
        raise PartitionsError(
            f"the state of {step.name} is of a time when {topic} had {known.partitions} partitions, and now it has {now.partitions}: keys "
            f"have moved, and their state has not. Make the topics anew with {known.partitions}, or begin with another LEADLINE_PREFIX "
            "(docs/guarantees.md)"
        )


def bind(store: Overlay, changelog: Origin) -> bool:
    """Say on this disk of which changelog it holds the state; False where it is surely of another one."""
    held = store.get(CHANGELOG)
    if held is not None and changelog.is_other(Origin.read(held.decode())):
        return False
    if held != changelog.tag.encode():
        store.load({CHANGELOG: changelog.tag.encode()})
    return True


def restored_mark(changelog_end: int) -> Changes:
    """The entry of this disk alone that says how much of the changelog it holds."""
    return {RESTORED: b"%d" % changelog_end}


def state_path(root: Path, prefix: str, step: str, partition: int) -> Path:
    """The folder of a task's state."""
    return root / prefix / step / str(partition)
