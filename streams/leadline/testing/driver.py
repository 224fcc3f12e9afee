"""The topology in memory: topics are lists, time is an argument, and a worker can be killed between any two effects.

The processors, the codec and the order of effects are those of the real host; what is missing is said here: one broker that never fails,
no consumer group (a task runs here until it is killed), and no clock but yours.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, Output, Store, drain
from leadline.core.tables import Table
from leadline.records import Record
from leadline.state.memory import MemoryStore
from leadline.state.overlay import Changes
from leadline.state.task import HostedTask
from leadline.topology import STEPS, Step
from leadline.wire.codec import decode, encode, keys_of, routes_of, undecoded
from leadline.wire.dead_letters import to_record
from leadline.wire.glances import Glances
from leadline.wire.partitions import partition_of
from leadline.wire.run import ARRIVAL_HEADER, DeadLetter, Headers, Run

Row = tuple[bytes | None, bytes | None, Headers, int]
_MAX_AHEAD_MS = 86_400_000


class Crash(Exception):  # noqa: N818 - it is what happens, not what went wrong
    """The worker died here."""


class Driver:
    """Runs the steps over in-memory topics of ``partitions`` partitions each.

    The tables of a step are read to their present end before it does anything. A step that gathers has one task, numbered 0: each run is
    still of one partition, and the task remembers how far it has come in each.

    ``on_effect(name)`` is called before each effect of a run (outputs, transaction, state, commit); it may raise `Crash`.
    """

    def __init__(
        self,
        models: Models,
        steps: Sequence[Step] = STEPS,
        partitions: int = 1,
        on_effect: Callable[[str], None] | None = None,
    ) -> None:
        self.models = models
        self.partitions = partitions
        self.topics: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
        self._steps = steps
        self._on_effect = on_effect or (lambda _: None)
        self._changelogs: defaultdict[tuple[str, int], list[Changes]] = defaultdict(list)
        self._committed: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._tasks: dict[tuple[str, int], HostedTask] = {}
        self._owner: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._disks: defaultdict[tuple[int, str, int], MemoryStore] = defaultdict(MemoryStore)
        self._tables = {topic: Table() for step in steps for topic in step.tables}
        self._tables_at: defaultdict[tuple[str, int], int] = defaultdict(int)

    # -- in and out ---------------------------------------------------------------------------------------------------

    def publish(self, topic: str, key: bytes | None, value: bytes | None, arrival_ms: int) -> None:
        """Append a record, to the partition of its key."""
        header = [(ARRIVAL_HEADER, b"%d" % arrival_ms)]
        self.topics[topic, self._partition(key or b"")].append((key, value, header, max(0, arrival_ms)))

    def tick(self, topic: str, now_ms: int) -> None:
        """Append a record that only says what time it is, to every partition."""
        for partition in range(self.partitions):
            self.topics[topic, partition].append((b"", None, [(ARRIVAL_HEADER, b"%d" % now_ms)], max(0, now_ms)))

    def read(self, topic: str, partition: int | None = None) -> list[Record]:
        """All records of a topic of few, in a partition or (None) partition by partition."""
        partitions = range(self.partitions) if partition is None else [partition]
        return [record for each in partitions for record in self.batch(topic, each).records]

    def log(self, topic: str) -> list[dict[str, Any]]:
        """All records of a topic, partition by partition, as dicts with their arrival_time and log_time."""
        found: list[dict[str, Any]] = []
        for partition in range(self.partitions):
            batch = self.batch(topic, partition)
            rows = [asdict(record) for record in batch.records] if batch.columns is None else batch.columns.to_pylist()
            times = batch.arrival_ms.tolist(), np.maximum.accumulate(batch.arrival_ms).tolist()
            found += [row | {"arrival_time": a, "log_time": b} for row, a, b in zip(rows, *times, strict=True)]
        return found

    def batch(self, topic: str, partition: int) -> Batch:
        """All that is readable of a partition."""
        return decode(_run(topic, partition, self.topics[topic, partition], 0), 1 << 30)[0]

    # -- work ---------------------------------------------------------------------------------------------------------

    def settle(self, most: int = 1000) -> None:
        """Work, in runs of up to ``most`` records, until nothing is left."""
        sources = [
            (step, partition, topic)
            for step in self._steps
            for partition in range(self.partitions)
            for topic in step.reads
        ]
        while sum([self.work(*source, most) for source in sources]):
            pass

    def work(self, step: Step, partition: int, topic: str, most: int) -> int:
        """Let a task take one run of this partition; how many records it took. Kills the task if an effect crashes."""
        try:
            return self._work(self._task(step, partition), topic, partition, most)
        except Crash:
            self.kill(step, partition)
            raise

    def pass_time(self, now_ms: int) -> None:
        """Tell every task the time; sources that have nothing left to read follow it."""
        for step in self._steps:
            for number in {_number(step, partition) for partition in range(self.partitions)}:
                task = self._task(step, number)
                idle = frozenset(topic for topic in step.reads if not self._left(task, topic))
                self._read_tables(step)
                self._finish(task, task.processor.on_time(now_ms, idle), [])
                self._drain(task)

    def store(self, step: Step, partition: int) -> Store:
        """The state of a task."""
        return self._task(step, partition).store

    def kill(self, step: Step, partition: int, disk_too: bool = False) -> None:
        """Kill a task; it starts again from its disk, or from its changelog alone."""
        name, number = step.name, _number(step, partition)
        if self._tasks.pop((name, number), None) is None:
            return
        disk = self._owner[name, number], name, number
        if disk_too:
            self._disks.pop(disk)
        else:
            self._disks[disk].rollback()

    def move(self, step: Step, partition: int, worker: int) -> None:
        """Give a task to a worker, which may have an older state of it on its disk."""
        self.kill(step, partition)
        self._owner[step.name, _number(step, partition)] = worker

    def _task(self, step: Step, partition: int) -> HostedTask:
        name, number = step.name, _number(step, partition)
        if (name, number) not in self._tasks:
            self._tasks[name, number] = self._restored(
                step, number, self._disks[self._owner[name, number], name, number]
            )
        return self._tasks[name, number]

    def _restored(self, step: Step, number: int, store: Any) -> HostedTask:
        tables = {topic: self._tables[topic] for topic in step.tables}
        task = HostedTask(step, number, store, self.models, tables, partitions=self.partitions)
        changelog = self._changelogs[step.name, number]
        for batch in changelog[task.restored_to() :]:
            task.store.load(batch)
        task.commit(len(changelog))
        task.begin()
        return task

    def _read_tables(self, step: Step) -> None:
        """Read the tables of a step to their present end."""
        for topic in step.tables:
            for partition in range(self.partitions):
                start = self._tables_at[topic, partition]
                rows = self.topics[topic, partition][start:]
                if rows:
                    batch, letters = decode(_run(topic, partition, rows, start), 1 << 30)
                    self._tables[topic].apply(batch, [(each.key or b"", each.offset) for each in letters])
                    self._tables_at[topic, partition] += len(rows)

    def _position(self, task: HostedTask, topic: str, partition: int) -> int:
        if task.step.stateful:
            return task.applied.get(_source(task.step, topic, partition), -1) + 1
        return self._committed[task.step.name, topic, partition]

    def _left(self, task: HostedTask, topic: str) -> int:
        partitions = range(self.partitions) if task.step.gathers else [task.partition]
        return sum(len(self.topics[topic, each]) - self._position(task, topic, each) for each in partitions)

    def _work(self, task: HostedTask, topic: str, partition: int, most: int) -> int:
        start = self._position(task, topic, partition)
        rows = self.topics[topic, partition][start : start + most]
        if not rows:
            return 0
        self._read_tables(task.step)
        self._drain(task)
        run = _run(topic, partition, rows, start)
        glances = Glances([each.__name__ for each in task.step.glances], task.step.but_overall)
        batch, letters = (undecoded(run), []) if task.step.raw else decode(run, 1 << 30, _MAX_AHEAD_MS, glances)
        effects = task.processor.on_batch(batch)
        for reject in effects.rejects:
            at = run.offsets.index(int(batch.offsets[reject.index]))
            letters.append(
                DeadLetter(
                    topic, run.partition, run.offsets[at], run.keys[at], run.values[at], reject.reason, reject.detail
                )
            )
        task.apply(_source(task.step, topic, partition), run.offsets[-1])
        self._finish(task, effects, letters)
        self._on_effect("commit")
        self._committed[task.step.name, topic, partition] = run.offsets[-1] + 1
        self._drain(task)
        return len(rows)

    def _drain(self, task: HostedTask) -> None:
        for effects in drain(task.processor):
            self._finish(task, effects, [])

    def _finish(self, task: HostedTask, effects: Effects, letters: Iterable[DeadLetter]) -> None:
        """As the lane does it: with state in one transaction, without it output by output."""
        if task.step.stateful:
            self._on_effect("transaction")
        for output in effects.outputs:
            if not task.step.stateful:
                self._on_effect("outputs")
            self._send(output)
        for letter in letters:
            key, value, headers = to_record(letter, "leadline", task.step.name)
            self.topics["dead-letters", self._partition(key or b"")].append((key, value, headers, 0))
        changelog = self._changelogs[task.step.name, task.partition]
        changelog.append(task.store.changes())
        self._on_effect("state")
        task.commit(len(changelog))

    def _send(self, output: Output) -> None:
        keys, values, routes = keys_of(output), encode(output), routes_of(output)
        arrivals = output.arrival_ms.tolist() if output.arrival_ms is not None else [0] * len(keys)
        for key, route, value, arrival_ms in zip(keys, routes, values, arrivals, strict=True):
            partition = self._partition(route) if output.partition is None else output.partition
            headers = [(ARRIVAL_HEADER, b"%d" % arrival_ms)] if output.arrival_ms is not None else []
            self.topics[output.topic, partition].append((key, value, headers, max(0, arrival_ms)))

    def _partition(self, key: bytes) -> int:
        return partition_of(key, self.partitions)


def _number(step: Step, partition: int) -> int:
    """The number of the task that works on a partition."""
    return 0 if step.gathers else partition


def _source(step: Step, topic: str, partition: int) -> str:
    """The name under which a task remembers how far it has come in a topic, or where it gathers, in one of its partitions."""
    return f"{topic}/{partition}" if step.gathers else topic


def _run(topic: str, partition: int, rows: Sequence[Row], start: int) -> Run:
    keys, values, headers, times = ([row[at] for row in rows] for at in range(4))
    return Run(topic, partition, list(range(start, start + len(rows))), times, keys, values, headers)  # type: ignore[arg-type]
