"""One run of one worker on a backlog: topics, input, the worker as a child process, and what it cost.

The input is published before the worker starts, so that it always has work and a run does not depend on how fast we publish. The clock
and the processor time start when the worker says in its log that it is about to read: Leadline's ``assigned`` (its partitions and
state are there, nothing is fetched yet), a peer's first record (its first fetch is already done: in doubt in favour of the
peer). They end when the last expected record is in the output topic. So imports, joining the group and opening state are left out on all
sides; fetching, decoding, deciding, state, changelog and sending are in. The broker is a process of its own and counts for none.

Where several workers share the partitions, all of them have to be assigned first, each to one worker, and each worker has at least one. So
that the first worker does not eat the backlog while others join, it is published only then, in a transaction (`withheld`): the clock starts
just before the commit, which shows them all input at once.
"""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.usage import cpu_seconds, peak_rss_mb
from leadline.core.processor import Output
from leadline.embedded.child import Child
from leadline.kafka import cluster, metadata
from leadline.kafka.sender import Sender, new_producer
from leadline.topology import Step
from leadline.wire.limits import CHANGELOG_BYTES
from leadline.wire.topics import TOPICS

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
    to do once the output is complete. With ``partitions``, so many ``workers`` of Leadline's share them, and start when they have them all.
    """

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    starts: str
    output: str
    expected: int
    _: KW_ONLY
    lanes: int = 1
    workers: int = 1
    partitions: int = 0
    before: Callable[[], Awaitable[object]] = _nothing
    feed: Callable[[], Awaitable[object]] = _nothing
    left: Callable[[], Awaitable[int]] = _nothing


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost between its first and its last record: processor time, and peak memory, are the sums over all workers' processes."""

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


_ONE_PARTITION = {topic.name for topic in TOPICS if topic.one_partition}


@asynccontextmanager
async def topics(
    bootstrap: str, names: Sequence[str], compacted: Sequence[str] = (), partitions: int = PARTITIONS
) -> AsyncIterator[str]:
    """Topics under a prefix of their own; all topics of the prefix go at the end."""
    prefix = f"leadline-bench-{uuid.uuid4().hex[:8]}"
    kept, limit = {"retention.ms": "-1"}, {"max.message.bytes": str(2 * CHANGELOG_BYTES)}
    wanted = [
        NewTopic(f"{prefix}.{topic}", 1 if topic in _ONE_PARTITION else partitions, 1, topic_configs=kept | limit)
        for topic in names
    ]
    wanted += [
        NewTopic(
            f"{prefix}.{topic}",
            1 if topic in _ONE_PARTITION else partitions,
            1,
            topic_configs={"cleanup.policy": "compact"} | limit,
        )
        for topic in compacted
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
    async with new_producer(bootstrap) as producer:
        await send(producer, prefix, outputs)


@asynccontextmanager
async def withheld(
    bootstrap: str, prefix: str, outputs: Sequence[Output]
) -> AsyncIterator[tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]]]:
    """What puts all records into their topics, where workers do not see them yet; and what then shows them all at once.

    It is one transaction: no more records than can be published in its `leadline.kafka.sender.TRANSACTION_MS`.
    """
    async with new_producer(bootstrap, f"{prefix}.backlog") as producer:

        async def fill() -> None:
            await producer.begin_transaction()
            await send(producer, prefix, outputs)

        yield fill, producer.commit_transaction


async def send(producer: AIOKafkaProducer, prefix: str, outputs: Sequence[Output]) -> None:
    """Put all records into their topics by a producer that is there already."""
    sender = Sender(producer, prefix, pass_on_arrival=False)
    for start in range(0, max(len(output.keys) for output in outputs), _CHUNK):
        for part in (_part(output, start) for output in outputs if start < len(output.keys)):
            await asyncio.gather(*await sender.send_outputs([part]))


def _part(output: Output, start: int) -> Output:
    if output.columns is None:
        return output
    return Output(output.topic, output.keys[start : start + _CHUNK], columns=output.columns.slice(start, _CHUNK))


@asynccontextmanager
async def started(work: Work) -> AsyncIterator[Child]:
    """The worker's process, from when it says that it starts."""
    async with _all_started(work) as [child]:
        yield child


@asynccontextmanager
async def _all_started(work: Work) -> AsyncIterator[list[Child]]:
    """The workers' processes, each with a state of its own, from when all say that they start."""
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as folder:
        try:
            for number in range(work.workers):
                own = Path(folder) / str(number)
                own.mkdir()
                environment = {**work.environment, "LEADLINE_STATE": str(own)}
                children.append(Child(work.name, work.command, own / "worker.log", environment))
            deadline = time.monotonic() + _START_S
            while not _all_start(work, [child.log.read_text("utf-8") for child in children]):
                if time.monotonic() > deadline or not _all_run(children):
                    raise BenchError(f"{work.name} did not start:\n{_last_words(children)}")
                await asyncio.sleep(0.02)
            yield children
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.stop()


def _all_start(work: Work, logs: Sequence[str]) -> bool:
    """Whether the logs say so. While workers join, what one was given first may be another's by now: each partition must be there once."""
    if not work.partitions:
        return all(log.count(work.starts) >= work.lanes for log in logs)
    held = [_newest(log, work.starts) for log in logs]
    return all(held) and sorted(chain.from_iterable(held)) == list(range(work.partitions))


def _newest(log: str, starts: str) -> list[int]:
    """The partitions that a worker's log says it was given last; Faust's own signs to a terminal may stand before the line."""
    emitted = [line for line in log.rpartition("\n")[0].splitlines() if starts in line]
    return list(json.loads(emitted[-1][emitted[-1].index("{") :])["partitions"]) if emitted else []


def _all_run(children: Sequence[Child]) -> bool:
    return all(child.running for child in children)


def _last_words(children: Sequence[Child]) -> str:
    """The end of the log of a worker that has ended, else of the first."""
    return min(children, key=lambda child: child.running).last_lines()


async def left(bootstrap: str, prefix: str, steps: Sequence[Step]) -> int:
    """Records that these steps have still to read, or to say that they have. The ends of transactions count as output, so that it seems
    complete some records too early.
    """
    return sum([sum((await cluster.lag(bootstrap, prefix, step)).values()) for step in steps])


async def run(bootstrap: str, work: Work, events: int, answer: Callable[[], AsyncIterator[str]]) -> Cost:
    """Run the workers on what is published; ``answer`` yields what is wrong with their answer, until nothing is."""
    async with _all_started(work) as children:
        await work.before()
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_fed(work))
            cost = await _cost(bootstrap, children, work, events)
            feeding.cancel()
        await _right(work, children, answer)
    return cost


async def _fed(work: Work) -> None:
    await work.feed()


async def _cost(bootstrap: str, children: Sequence[Child], work: Work, events: int) -> Cost:
    started, before = time.monotonic(), _cpu_s(children)
    done, moved = 0, started
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as reader:
        partitions = await metadata.partitions(reader, work.output)
        while done < work.expected or await work.left():
            await asyncio.sleep(0.05)
            now = time.monotonic()
            have = sum((await reader.end_offsets(partitions)).values())
            done, moved = have, now if have > done else moved
            if not _all_run(children) or now - moved > _STALL_S:
                raise BenchError(f"{work.name} stopped at {done:,} of {work.expected:,}:\n{_last_words(children)}")
        now, cpu = time.monotonic(), _cpu_s(children)
    return Cost(work.name, events, cpu - before, now - started, sum(peak_rss_mb(child.pid) for child in children))


def _cpu_s(children: Sequence[Child]) -> float:
    return sum(cpu_seconds(child.pid) for child in children)


async def _right(work: Work, children: Sequence[Child], answer: Callable[[], AsyncIterator[str]]) -> None:
    """Wait until the answer is right; raises BenchError when it does not become so."""
    deadline = time.monotonic() + 20
    while wrong := [line async for line in answer()]:
        if time.monotonic() > deadline or not _all_run(children):
            raise BenchError(f"{work.name}: wrong answer: {'; '.join(wrong[:5])}\n{_last_words(children)}")
        await asyncio.sleep(0.5)
