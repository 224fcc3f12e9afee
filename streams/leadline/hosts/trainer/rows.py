"""What was known when a training began: the labeled predictions before its cut, for a thread that may wait."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from leadline.core.processor import Batch
from leadline.hosts.contract import Installation
from leadline.kafka.errors import KafkaConnectionError, KafkaError, said
from leadline.kafka.reader import Reader
from leadline.learning.training import Log
from leadline.learning.training.errors import OtherLogError, TrainingError
from leadline.learning.training.receipt import Receipt
from leadline.settings import SettingsError
from leadline.wire.origins import Origin
from leadline.wire.run import Run

TOPIC = "labeled-predictions"
_ANSWERS_S = 15.0


async def log_now(installation: Installation) -> Log:
    """The log of labeled predictions as it is now. Raises NoTopicError."""
    async with _reader(installation) as reader:
        start, end = await reader.beginnings(), await reader.ends()
        origin = await _origin_now(installation)
    return Log(_named(end), _named(start), {} if origin is None else {TOPIC: origin.tag})


def rows(installation: Installation, log: Log, stop: Callable[[], bool]) -> Generator[pa.RecordBatch]:
    """All labeled predictions before a cut, of all models, partition by partition as they come; what cannot be read is counted.

    It runs an event loop of its own: call it where none runs. ``stop`` ends it before all was read. Raises OtherLogError where the topic
    is not that of the log, or ends before the cut.
    """
    with asyncio.Runner() as runner:
        reader = runner.run(_begun(installation))
        try:
            behind = {partition: log.end.get(str(partition), 0) for partition in reader.partitions}
            runner.run(_check(installation, reader, log))
            while not stop() and (runs := runner.run(_some(installation, reader, log, behind))) is not None:
                for run in runs:
                    batch, unread = installation.wire.decode(run, installation.settings.record_bytes, None)
                    log.unread.update(f"the record cannot be read: {each.reason}" for each in unread)
                    if batch.columns is not None and len(batch):
                        yield _placed(batch, batch.columns)
            runner.run(_check(installation, reader, log))
        finally:
            runner.run(reader.stop())


class LogAgain:
    """The log, for who compares it with a receipt; where no event loop runs."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def rows(self, receipt: Receipt) -> Iterator[pa.RecordBatch]:
        """As `rows` up to the cut of a receipt."""
        with _readable():
            yield from rows(self._installation, Log(receipt.cut, receipt.start, receipt.topic_ids), lambda: False)

    def has_lost(self, receipt: Receipt) -> bool:
        """Whether the log begins later than when the receipt was made."""
        start = self._now().start
        return any(start.get(partition, 0) > receipt.needs_from(partition) for partition in receipt.cut)

    def _now(self) -> Log:
        with _readable():
            return asyncio.run(asyncio.wait_for(log_now(self._installation), _ANSWERS_S))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except KafkaConnectionError as error:
        raise TrainingError("the broker that KAFKA_BOOTSTRAP names does not answer") from error
    except TimeoutError as error:
        raise TrainingError(f"the broker does not answer within {_ANSWERS_S:.0f} s") from error
    except KafkaError as error:
        raise TrainingError(f"{TOPIC} cannot be read: {said(error)}") from error
    except SettingsError as error:
        raise TrainingError(str(error)) from error


async def _origin_now(installation: Installation) -> Origin | None:
    """Which topic it is; None where it is not there, or this client may not see it."""
    name = installation.topic_name(TOPIC)
    seen = (await installation.inspector.look([name])).get(name)
    return None if seen is None else seen.origin._replace(partitions=0)


def _named(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


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


async def _check(installation: Installation, reader: Reader, log: Log) -> None:
    """Raise OtherLogError where the topic is another one now, or a partition ends before the cut: nobody would ever come to it."""
    now, ends = await _origin_now(installation), await reader.ends()
    if now is not None and now.is_other(Origin.read(log.topic_ids.get(TOPIC, ""))):
        raise OtherLogError(f"{reader.topic_name} was made anew since the training began: ask for the training again")
    for partition, end in log.end.items():
        if ends.get(int(partition), 0) < end:
            raise OtherLogError(
                f"{reader.topic_name}/{partition} ends before the cut at {end}: it was made anew since; ask for the training again"
            )


async def _some(installation: Installation, reader: Reader, log: Log, behind: Mapping[int, int]) -> list[Run] | None:
    """What comes soon of the records before these offsets; None: there are no more."""
    if await reader.has_reached(behind):
        return None
    taken = await reader.take()
    if not taken:
        await _check(installation, reader, log)
    parts = [run.part(0, bisect_left(run.offsets, behind[run.partition])) for run in taken]
    return [part for part in parts if part]  # of a partition that is read to its cut more may come meanwhile
