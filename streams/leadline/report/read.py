"""Reads what a page needs from the topics, as they are now."""

from leadline.kafka.cluster import read_runs
from leadline.report.collect import Collected
from leadline.wire.codec import decode

MEASURED, WATCHED = ("metrics", "window-partials"), ("drift", "alerts")
LABELS = 20_000
"""So many of the newest labeled predictions of each partition say how late labels come."""
_ANY_BYTES = 1 << 30


async def read(bootstrap: str, prefix: str, found: Collected, watched: bool = True) -> None:
    """Take in all that the topics say of the model; ``watched``: of drift and incidents too. Raises NoTopicError."""
    for topic in (*MEASURED, *(WATCHED if watched else ())):
        async for run in read_runs(bootstrap, f"{prefix}.{topic}", topic):
            for record in decode(run, _ANY_BYTES)[0].records:
                found.take(record)
    async for run in read_runs(bootstrap, f"{prefix}.labeled-predictions", "labeled-predictions", LABELS):
        found.label(decode(run, _ANY_BYTES)[0])
