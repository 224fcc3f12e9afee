"""A task's state as a compacted topic: written with every run, read when the task moves to another disk."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from leadline.kafka.connections import reach
from leadline.kafka.fetch import by_batch, fetch, to_run
from leadline.kafka.stop import stop
from leadline.state.task import HostedTask, restored_mark
from leadline.wire.run import Run

FETCH_BYTES = 16 << 20


class ChangelogError(Exception):
    """The changelog cannot bring the state up to date; the message says which, and what to do."""


async def restore(task: HostedTask, topic: str, bootstrap: str, still_wanted: Callable[[], bool]) -> None:
    """Bring a task's store up to the end of its changelog, and start its processor anew."""
    partition = TopicPartition(topic, task.partition)
    reader = AIOKafkaConsumer(
        **reach(bootstrap),
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await reader.start()
    by_batch(reader)
    try:
        reader.assign([partition])
        first = (await reader.beginning_offsets([partition]))[partition]
        end = (await reader.end_offsets([partition]))[partition]
        start = task.restored_to()
        if start > end:
            raise ChangelogError(
                f"{topic}/{task.partition} ends at {end}, but this disk holds its state up to {start}: the topic was deleted or truncated. "
                f"Bring the topic back, or delete it, this disk's state and the group's offsets to count anew"
            )
        reader.seek(partition, max(start, first))
        while still_wanted() and await reader.position(partition) < end:
            for records in (await fetch(reader, partition, timeout_ms=500)).values():
                run = to_run(topic, task.partition, records)
                changes = {key: value for key, value in zip(run.keys, run.values, strict=True) if key}
                changes |= restored_mark(run.offsets[-1] + 1)
                task.store.load(changes)
    finally:
        await stop(reader)
    task.begin()


def check_new(task: HostedTask, topic: str, run: Run, committed: int) -> None:
    """Refuse a run that the group has committed and the state does not contain: the changelog lost something."""
    if len(run) and run.offsets[0] < committed:
        raise ChangelogError(
            f"{topic}/{task.partition} knows {run.topic} up to offset {task.applied.get(run.topic, -1)}, but {committed} was "
            "committed: the changelog lost records. Restore the topic, or delete it and the group's offsets to count anew"
        )
