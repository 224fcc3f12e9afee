"""One run of one worker on a backlog: topics, input, the worker as a child process, and what it cost.

The input is published before the worker starts, so that it always has work and a run does not depend on how fast we publish. The clock
and the processor time start when the worker says in its log that it is about to read: Leadline's ``assigned`` (its partitions and
state are there, nothing is fetched yet), a peer's first record (its first fetch is already done: in doubt in favour of the
peer). They end when the last expected record is in the output topic. So imports, joining the group and opening state are left out on all
sides; fetching, decoding, deciding, state, changelog and sending are in. The broker is a process of its own and counts for none.
"""

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.usage import cpu_seconds, peak_rss_mb
from leadline.agents import cluster
from leadline.agents.sender import CHANGELOG_BYTES, Sender, new_producer
from leadline.core.batch import Output
from leadline.embedded.child import Child, last_lines

PARTITIONS = 2
_CHUNK = 5_000
_START_S, _STALL_S = 60.0, 60.0


class BenchError(Exception):
    """A run came to no end, or to a wrong answer."""


async def _nothing() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Work:
    """A worker's process, the words in its log with which each of its ``lanes`` starts reading, and what it has to put out.

    ``before`` is waited for between the start and the clock; ``feed`` publishes what was not published before; ``left`` says what is still
    to do once the output is complete.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    starts: str
    output: str
    expected: int
    _: KW_ONLY
    lanes: int = 1
    before: Callable[[], Awaitable[object]] = _nothing
    feed: Callable[[], Awaitable[object]] = _nothing
    left: Callable[[], Awaitable[int]] = _nothing


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost between its first and its last record."""

    name: str
    events: int
    cpu_s: float
    wall_s: float
    rss_mb: int

    @property
    def per_cpu_s(self) -> float:
        """Events per second of processor time."""
        return self.events / self.cpu_s

    @property
    def per_million(self) -> float:
        """Seconds of processor time for a million events."""
        return self.cpu_s / self.events * 1e6


@asynccontextmanager
async def topics(
    bootstrap: str, nouns: Sequence[str], compacted: Sequence[str] = (), partitions: int = PARTITIONS
) -> AsyncIterator[str]:
    """Topics under a prefix of their own; all topics of the prefix go at the end."""
    prefix = f"leadline-bench-{uuid.uuid4().hex[:8]}"
    kept, limit = {"retention.ms": "-1"}, {"max.message.bytes": str(2 * CHANGELOG_BYTES)}
    wanted = [NewTopic(f"{prefix}.{noun}", partitions, 1, topic_configs=kept | limit) for noun in nouns]
    wanted += [
        NewTopic(
            f"{prefix}.{noun}",
            1 if noun == "rollouts" else partitions,
            1,
            topic_configs={"cleanup.policy": "compact"} | limit,
        )
        for noun in compacted
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(wanted)
    finally:
        await admin.close()
    try:
        yield prefix
    finally:
        await cluster.remove(bootstrap, prefix)


async def publish(bootstrap: str, prefix: str, outputs: Sequence[Output]) -> None:
    """Put all records into their topics, side by side."""
    producer = new_producer(bootstrap)
    await producer.start()
    try:
        sender = Sender(producer, prefix, pass_on_arrival=False)
        for start in range(0, max(len(output.keys) for output in outputs), _CHUNK):
            for part in (_part(output, start) for output in outputs if start < len(output.keys)):
                await asyncio.gather(*await sender.send_outputs([part]))
    finally:
        await producer.stop()


def _part(output: Output, start: int) -> Output:
    if output.columns is None:
        return output
    return Output(output.topic, output.keys[start : start + _CHUNK], columns=output.columns.slice(start, _CHUNK))


@asynccontextmanager
async def started(work: Work) -> AsyncIterator[Child]:
    """The worker's process, from when it says that it starts."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        child = Child(
            work.name, work.command, Path(folder) / "worker.log", {**work.environment, "LEADLINE_STATE": folder}
        )
        try:
            await asyncio.to_thread(
                child.wait_until, lambda: child.log.read_text("utf-8").count(work.starts) >= work.lanes, _START_S
            )
            yield child
        finally:
            child.stop()


async def run(bootstrap: str, work: Work, events: int, answer: Callable[[], AsyncIterator[str]]) -> Cost:
    """Run the worker on what is published; ``answer`` yields what is wrong with its answer, until nothing is."""
    async with started(work) as child:
        await work.before()
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_fed(work))
            cost = await _cost(bootstrap, child, work, events)
            feeding.cancel()
        await _right(child, answer)
    return cost


async def _fed(work: Work) -> None:
    await work.feed()


async def _cost(bootstrap: str, child: Child, work: Work, events: int) -> Cost:
    started, before = time.monotonic(), cpu_seconds(child.pid)
    done, moved = 0, started
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as reader:
        partitions = await cluster.partitions(reader, work.output)
        while done < work.expected or await work.left():
            await asyncio.sleep(0.05)
            now, cpu = time.monotonic(), cpu_seconds(child.pid)
            have = sum((await reader.end_offsets(partitions)).values())
            done, moved = have, now if have > done else moved
            if not child.running or now - moved > _STALL_S:
                raise BenchError(f"{work.name} stopped at {done:,} of {work.expected:,}:\n{last_lines(child.log)}")
        now, cpu = time.monotonic(), cpu_seconds(child.pid)
    return Cost(work.name, events, cpu - before, now - started, peak_rss_mb(child.pid))


async def _right(child: Child, answer: Callable[[], AsyncIterator[str]]) -> None:
    """Wait until the answer is right; raises BenchError when it does not become so."""
    deadline = time.monotonic() + 20
    while wrong := [line async for line in answer()]:
        if time.monotonic() > deadline or not child.running:
            raise BenchError(f"{child.name}: wrong answer: {'; '.join(wrong[:5])}\n{last_lines(child.log)}")
        await asyncio.sleep(0.5)
