"""Topics are made, deleted, and given partitions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from leadline.kafka.admin import apply_topics

TOPICS = (
    "prediction-requests", "predictions", "shadow-predictions", "outcomes", "labeled-predictions", "window-partials",
    "pair-partials", "window-profiles", "metrics", "dead-letters", "rollouts", "workers", "retrain-requests", "trainings",
    "candidates", "verdicts", "commands", "command-answers",
)  # fmt: skip
_STATEFUL = ("join", "performance")
ALL = (*TOPICS, *(f"{name}-changelog" for name in _STATEFUL))
PARTITIONS = 4


async def make(bootstrap: str, prefix: str, replication: int) -> None:
    """Make those that are not there."""
    await apply_topics(bootstrap, prefix, PARTITIONS, replication, None, list(_STATEFUL), TOPICS)


async def delete(bootstrap: str, prefix: str, topics: Sequence[str]) -> None:
    """Delete some, and wait until they are gone."""
    names = {f"{prefix}.{topic}" for topic in topics}
    async with _admin(bootstrap) as admin:
        await admin.delete_topics(list(names))
        while names & set(await admin.list_topics()):  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.1)


async def add_partitions(bootstrap: str, prefix: str, topic: str) -> None:
    """Give one twice as many partitions."""
    async with _admin(bootstrap) as admin:
        await admin.create_partitions({f"{prefix}.{topic}": NewPartitions(2 * PARTITIONS)})


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
