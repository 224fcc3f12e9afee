"""What was known when a training began: the labeled predictions before its cut, for a thread that may wait."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from leadline.core.processor import Batch
from leadline.hosts.contract import Installation
from leadline.kafka.reader import Reader
from leadline.wire.run import Run

TOPIC = "labeled-predictions"


async def ends(installation: Installation) -> dict[int, int]:
    """Where the log of labeled predictions ends now, by partition."""
    async with _reader(installation) as reader:
        return await reader.ends()


def rows(installation: Installation, cut: Mapping[str, int], stop: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
    """All labeled predictions before the cut, of all models, partition by partition as they come; what cannot be read is left out.

    It runs an event loop of its own: call it where none runs. ``stop`` ends it before all was read.
    """
    with asyncio.Runner() as runner:
        reader = runner.run(_begun(installation))
        try:
            behind = {partition: cut.get(str(partition), 0) for partition in reader.partitions}
            while not stop() and (runs := runner.run(_some(reader, behind))) is not None:
                for run in runs:
                    batch, _ = installation.wire.decode(run, installation.settings.record_bytes, None)
                    if batch.columns is not None and len(batch):
                        yield _placed(batch, batch.columns)
        finally:
            runner.run(reader.stop())


def _placed(batch: Batch, columns: pa.RecordBatch) -> pa.RecordBatch:
    """The columns, and where each row was in the log, and since when."""
    places = {
        "partition": np.full(len(batch), batch.partition),
        "offset": batch.offsets,
        "arrival_ms": batch.arrival_ms,
    }
    for name, values in places.items():
        columns = columns.append_column(name, pa.array(values, pa.int64()))
    return columns


async def _begun(installation: Installation) -> Reader:
    reader = _reader(installation)
    await reader.start()
    await reader.from_beginning()
    return reader


def _reader(installation: Installation) -> Reader:
    return Reader(installation.bootstrap, installation.topic_name(TOPIC), TOPIC)


async def _some(reader: Reader, behind: Mapping[int, int]) -> list[Run] | None:
    """What comes soon of the records before these offsets; None: there are no more."""
    if await reader.has_reached(behind):
        return None
    parts = [run.part(0, bisect_left(run.offsets, behind[run.partition])) for run in await reader.take()]
    return [part for part in parts if part]  # of a partition that is read to its cut more may come meanwhile
