"""A task's state as a compacted topic: written with every run, read when the task moves to another disk."""

from collections.abc import Callable

from leadline.kafka.reader import Reader
from leadline.state.task import HostedTask, StateError, restored_mark
from leadline.wire.run import Run

FETCH_BYTES = 16 << 20


class ChangelogError(StateError):
    """The changelog cannot bring the state up to date; the message says which, and what to do."""


async def restore(task: HostedTask, topic_name: str, bootstrap: str, still_wanted: Callable[[], bool]) -> None:
    """Bring a task's store up to the end of its changelog, and start its processor anew; stop early where nobody wants it any more."""
    async with Reader(bootstrap, topic_name, partitions=[task.partition], fetch_bytes=FETCH_BYTES) as reader:
        start, ends = task.restored_to(), await reader.ends()
        if start > ends[task.partition]:
            raise ChangelogError(
                f"{topic_name}/{task.partition} ends at {ends[task.partition]}, but this disk holds its state up to {start}: the topic was "
                "deleted or truncated. Bring the topic back, or delete it, this disk's state and the group's offsets to count anew"
            )
        reader.from_offset(task.partition, max(start, (await reader.beginnings())[task.partition]))
        while still_wanted() and not await reader.has_reached(ends):
            for run in await reader.take():
                for wrong in run.unreadable.values():
                    raise ChangelogError(
                        f"{topic_name}/{task.partition}: {wrong}. Delete the topic, this disk's state and the group's offsets to count anew"
                    )
                changes = {key: value for key, value in zip(run.keys, run.values, strict=True) if key}
                task.store.load(changes | restored_mark(run.offsets[-1] + 1))
    task.undo()


def check_new(task: HostedTask, topic_name: str, run: Run, committed: int) -> None:
    """Raise ChangelogError for a run that the group has committed and the state does not contain."""
    if len(run) and run.offsets[0] < committed:
        applied = task.applied.get(task.source(run.topic, run.partition), -1)
        raise ChangelogError(
            f"{topic_name}/{task.partition} knows {run.topic} up to offset {applied}, but {committed} was committed: the changelog lost "
            "records. Restore the topic, or delete it and the group's offsets to count anew"
        )
