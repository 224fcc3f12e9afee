"""What was known when a training began: the labeled predictions before its cut, for a thread that may wait."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping

import pyarrow as pa

from leadline.hosts.contract import Installation
from leadline.kafka.reader import Reader
from leadline.wire.run import Run

TOPIC = "labeled-predictions"


async def ends(installation: Installation) -> dict[int, int]:
    """Where the log of labeled predictions ends now, by partition."""
    async with _reader(installation) as reader:
        return await reader.ends()


def rows(installation: Installation, cut: Mapping[str, int]) -> Iterator[pa.RecordBatch]:
    """All labeled predictions before the cut, of all models, partition by partition as they come; what cannot be read is left out.

    It runs an event loop of its own: call it where none runs.
    """
    with asyncio.Runner() as runner:
        reader = _reader(installation)
        runner.run(reader.start())
        try:
            runner.run(reader.from_beginning())
            behind = {partition: cut.get(str(partition), 0) for partition in reader.partitions}
            runs = reader.until(behind)
            while (run := runner.run(_next(runs))) is not None:
                batch, _ = installation.wire.decode(run, installation.settings.record_bytes, None)
                if batch.columns is not None and len(batch):
                    yield batch.columns
        finally:
            runner.run(reader.stop())


def _reader(installation: Installation) -> Reader:
    return Reader(installation.bootstrap, installation.topic_name(TOPIC), TOPIC)


async def _next(runs: AsyncIterator[Run]) -> Run | None:
    return await anext(runs, None)
