"""The tasks of a stateful lane: opened for what its group gives it, restored, and closed."""

import asyncio
import time
from collections.abc import Callable, Collection

import structlog

from leadline.hosts.changelog import restore
from leadline.hosts.contract import Installation
from leadline.hosts.footing import Standing
from leadline.hosts.work import OpenTask
from leadline.kafka.group import Source
from leadline.kafka.sender import Sender, new_producer
from leadline.state.rocksdb import RocksStore, discard_stale, set_aside
from leadline.state.task import HostedTask, bind, state_path
from leadline.topology import Step

log = structlog.get_logger("leadline.tasks")

STALE_S = 6 * 86_400
"""A state on disk that is older is read anew. Shorter than the changelogs' delete.retention.ms."""


class Tasks:
    """The open tasks of a step on this worker, by partition.

    An ordinary task has its partition of each source topic. Of a step that gathers there is one, on partition 0, for all sources.
    """

    def __init__(self, step: Step, installation: Installation, standing: Standing) -> None:
        self._step = step
        self._standing = standing
        self._installation = installation
        self._changelog = installation.topic_name(f"{step.name}-changelog")
        self._open: dict[int, OpenTask] = {}
        self._senders: dict[int, Sender] = {}

    @property
    def open(self) -> dict[int, OpenTask]:
        return self._open

    def partition_of(self, source: Source) -> int:
        """The partition of the task that works on a source."""
        return 0 if self._step.gathers else source.partition

    def task_of(self, source: Source) -> OpenTask | None:
        """The open task that works on a source."""
        return self._open.get(self.partition_of(source))

    async def open_for(self, sources: Collection[Source], still_wanted: Callable[[], bool]) -> bool:
        """Open the tasks that work on some sources. False: before that was done, nobody wanted it any more; then none is open."""
        partitions = sorted({self.partition_of(source) for source in sources})
        await asyncio.gather(*map(self._start_sender, partitions))
        for partition in partitions:
            hosted = self._hosted(partition)
            self._open[partition] = OpenTask(hosted, self._senders[partition], self._changelog, self._installation)
            await restore(hosted, self._changelog, self._installation.bootstrap, still_wanted)
            if not still_wanted():
                await self.close()
                return False
            self._tell_remade(hosted)
        return True

    async def close(self) -> None:
        """Close all stores and producers; what a store had not committed is lost."""
        tasks, senders = list(self._open.values()), list(self._senders.values())
        self._open.clear()
        self._senders.clear()
        for task in tasks:
            task.hosted.store.close()
        await asyncio.gather(*(sender.close() for sender in senders))

    async def _start_sender(self, partition: int) -> None:
        """Fence the former owner of a task: from here on it changes nothing any more."""
        installation = self._installation
        producer = new_producer(installation.bootstrap, f"{installation.group(self._step)}.{partition}")
        pass_on_arrival = installation.settings.clock == "records"
        self._senders[partition] = Sender(producer, installation.settings.prefix, pass_on_arrival, installation.wire)
        await self._senders[partition].start()

    def _hosted(self, partition: int) -> HostedTask:
        installation = self._installation
        store = self._store(partition)
        tables = installation.tables.of(self._step)
        named = self._standing[self._step.reads[0]].installation(installation.settings.prefix)
        return HostedTask(self._step, partition, store, installation.models, tables, self._standing, installation=named)

    def _tell_remade(self, hosted: HostedTask) -> None:
        for topic in sorted(hosted.remade):
            log.warning(
                "a topic was made anew: it is read from its beginning, and the state stays",
                step=self._step.name,
                partition=hosted.partition,
                topic=topic,
            )

    def _store(self, partition: int) -> RocksStore:
        settings = self._installation.settings
        path = state_path(settings.state, settings.prefix, self._step.name, partition)
        if discard_stale(path, time.time() - STALE_S):
            log.warning("state on this disk is too old, and read anew from the changelog", path=str(path))
        store = RocksStore(path)
        changelog = self._standing[f"{self._step.name}-changelog"]
        if not bind(store, changelog):
            store.close()
            log.warning(
                "state on this disk is of another cluster or changelog: it is set aside, and read anew from the changelog",
                now_in=str(set_aside(path, "other")),
            )
            store = RocksStore(path)
            bind(store, changelog)
        return store
