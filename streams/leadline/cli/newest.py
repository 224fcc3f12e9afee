"""What a topic says of each model, or of each incident, now."""

import asyncio
from contextlib import suppress

from leadline.core.release.lineage import Decisions
from leadline.records import Alert, Candidate, LiveSettings, Record, Rollout, Verdict


async def rollouts(bootstrap: str, prefix: str) -> dict[str, Rollout]:
    """Who answers, by model."""
    return {each.model: each for each in await records_of(bootstrap, prefix, "rollouts") if isinstance(each, Rollout)}


async def live_settings(bootstrap: str, prefix: str) -> dict[str, LiveSettings]:
    """What was changed while workers run, by model."""
    found = await records_of(bootstrap, prefix, "model-settings")
    return {each.model: each for each in found if isinstance(each, LiveSettings)}


async def decisions(bootstrap: str, prefix: str) -> dict[str, Decisions]:
    """What was decided about the versions of each model, as far as the log still has it."""
    rolled, candidates, verdicts = await asyncio.gather(
        *(records_of(bootstrap, prefix, topic) for topic in ("rollouts", "candidates", "verdicts"))
    )
    found: dict[str, Decisions] = {}
    for record in (*rolled, *candidates, *verdicts):
        if isinstance(record, Rollout | Candidate | Verdict):
            found.setdefault(record.model, Decisions()).add(record)
    return found


async def under(bootstrap: str, prefix: str, topic: str, key: bytes) -> list[Record]:
    """The records that can be read of a topic of few under one key, the oldest first. Raises NoTopicError."""
    from leadline.kafka.cluster import read_all
    from leadline.wire.codec import read

    found: list[Record] = []
    async for record in read_all(bootstrap, f"{prefix}.{topic}"):
        if record.key == key:
            with suppress(ValueError):
                found.append(read(topic, record.value))
    return found


async def incidents(bootstrap: str, prefix: str) -> dict[str, Alert]:
    """The newest record of each incident, by its id, in the order in which they opened."""
    found: dict[str, Alert] = {}
    for each in await records_of(bootstrap, prefix, "alerts"):
        if isinstance(each, Alert) and (each.alert_id not in found or each.revision >= found[each.alert_id].revision):
            found[each.alert_id] = each
    return found


async def records_of(bootstrap: str, prefix: str, topic: str) -> list[Record]:
    """All records that are there now, the oldest first. Raises NoTopicError."""
    from leadline.kafka.reader import Reader
    from leadline.wire.codec import decode

    found: list[Record] = []
    async with Reader(bootstrap, f"{prefix}.{topic}", topic) as reader:
        await reader.from_beginning()
        async for run in reader.until(await reader.ends()):
            found += decode(run, 1 << 30)[0].records
    return found
