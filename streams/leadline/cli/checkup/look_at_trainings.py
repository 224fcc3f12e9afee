"""What is to be seen of trainings: the newest request of each model, and what a trainer told of it last."""

from collections.abc import AsyncIterator

from leadline.cli.checkup.findings import Asked
from leadline.kafka.reader import Reader
from leadline.records import Record, RetrainRequest, Training
from leadline.wire.codec import decode

_NEWEST = 2000
"""Records of each topic that are looked at."""


async def asked(bootstrap: str, prefix: str) -> list[Asked]:
    """The newest request of each model."""
    found: dict[str, Asked] = {}
    async for record, at_ms in _newest(bootstrap, f"{prefix}.retrain-requests", "retrain-requests"):
        if isinstance(record, RetrainRequest):
            found[record.model] = Asked(record.model, record.model_version, record.retrain_id, at_ms)
    async for record, at_ms in _newest(bootstrap, f"{prefix}.trainings", "trainings"):
        if isinstance(record, Training) and record.model in found:
            found[record.model] = found[record.model].told(record, at_ms)
    return [found[model] for model in sorted(found)]


async def _newest(bootstrap: str, topic_name: str, topic: str) -> AsyncIterator[tuple[Record, int]]:
    """The newest records, with the times of their log."""
    async with Reader(bootstrap, topic_name, topic) as reader:
        await reader.from_newest(_NEWEST)
        async for run in reader.until(await reader.ends()):
            batch = decode(run, 1 << 30)[0]
            at_ms = dict(zip(run.offsets, run.timestamps, strict=True))
            for offset, record in zip(batch.offsets.tolist(), batch.records, strict=True):
                yield record, at_ms[offset]
