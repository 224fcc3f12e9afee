"""Reads what a page needs from the topics, as they are now."""

from leadline.kafka.cluster import read_runs
from leadline.kafka.metadata import NoTopicError
from leadline.report.collect import Collected
from leadline.wire.codec import decode

WATCHED = ("drift", "alerts")
LABELS = 20_000
"""So many of the newest labeled predictions of each partition say how late labels come."""
_ANY_BYTES = 1 << 30


async def read_topics(bootstrap: str, prefix: str, found: Collected, watched: bool = True) -> None:
    """Take in all that the topics say of the model; ``watched``: of drift and incidents too. Raises NoTopicError."""
    for topic in ("metrics", *(WATCHED if watched else ())):
        await _take(bootstrap, prefix, topic, found)
    try:
        await _take(bootstrap, prefix, "window-partials", found)
    except NoTopicError:  # the broker shows it to those alone who have a right to it
        found.has_partials = False
    async for run in read_runs(bootstrap, f"{prefix}.labeled-predictions", "labeled-predictions", LABELS):
        found.label(decode(run, _ANY_BYTES)[0])


async def _take(bootstrap: str, prefix: str, topic: str, found: Collected) -> None:
    async for run in read_runs(bootstrap, f"{prefix}.{topic}", topic):
        for record in decode(run, _ANY_BYTES)[0].records:
            found.take(record)
