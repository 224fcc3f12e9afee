"""One stage on one partition: its processor, its store, and how far they have come."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leadline.core.models import Models
from leadline.core.processor import Processor
from leadline.core.tables import Table
from leadline.state.overlay import Changes, Overlay
from leadline.topology import Step, Task
from leadline.wire.run import Run

APPLIED = b"\0applied"
RESTORED = b"\0restored"
FORMAT = 3
"""Of all that a processor keeps in its store. Rises when a worker of before could misread it."""


class FormatError(Exception):
    """The state is of another release; the message says which, and what to do."""


class HostedTask:
    """A processor with its store. ``applied`` is the last offset of each source that the state contains, by the source's name.

    A source is a topic, of which the task has its own partition. Of a step that gathers it is one partition: ``topic/partition``.
    """

    def __init__(
        self, step: Step, partition: int, store: Overlay, models: Models, tables: Mapping[str, Table] | None = None
    ) -> None:
        self.step = step
        self.partition = partition
        self.store = store
        self._models = models
        self._tables = tables or {}
        self.applied: dict[str, int] = {}
        self.processor = self.begin()

    def begin(self) -> Processor:
        """Read what the store says, and start a processor on it. Raises FormatError."""
        held = self.store.get(APPLIED)
        stored: dict[str, Any] = json.loads(held) if held else {"format": FORMAT, "offsets": {}}
        if stored.get("format") != FORMAT:
            raise FormatError(
                f"the state of {self.step.name}/{self.partition} has format {stored.get('format')}, and this release reads {FORMAT}: "
                f"run the release that wrote it on all workers, or count anew with another LEADLINE_PREFIX"
            )
        self.applied = stored["offsets"]
        self.processor = self.step.processor(Task(self.partition, self.store, self._models, self._tables))
        return self.processor

    def undo(self) -> None:
        """Forget what the processor has done since the last commit."""
        self.store.rollback()
        self.begin()

    def unseen(self, run: Run) -> Run:
        """The part of a run that the state does not contain yet."""
        applied = self.applied.get(self.source(run.topic, run.partition), -1)
        return run if not len(run) or run.offsets[0] > applied else run.after(applied)

    def source(self, topic: str, partition: int) -> str:
        """The name of a source in ``applied``."""
        return f"{topic}/{partition}" if self.step.gathers else topic

    def apply(self, source: str, offset: int) -> None:
        """The state contains the source up to ``offset``; part of the uncommitted changes."""
        self.applied[source] = offset
        self.store.put(APPLIED, json.dumps({"format": FORMAT, "offsets": self.applied}).encode())

    def restored_to(self) -> int:
        """The changelog offset from which on this disk has to be brought up to date."""
        held = self.store.get(RESTORED)
        return int(held) if held else 0

    def commit(self, changelog_end: int) -> None:
        """Make the changes durable on this disk; ``changelog_end`` is the offset behind them."""
        self.store.commit(restored_mark(changelog_end))


def restored_mark(changelog_end: int) -> Changes:
    """The entry of this disk alone that says how much of the changelog it holds."""
    return {RESTORED: b"%d" % changelog_end}


def state_path(root: Path, prefix: str, step: str, partition: int) -> Path:
    """The folder of a task's state."""
    return root / prefix / step / str(partition)
