"""What the topics say of the rollouts of one model, or of all."""

import asyncio

from leadline.cli.audit_log import decision, logged
from leadline.cli.newest import records_of
from leadline.core.release.story import Heard
from leadline.records import AuditEntry, Record, Rollout, WorkerHealth

_STANDING = ("rollouts", "comparisons", "verdicts")
_TOLD = (*_STANDING, "commands", "command-answers", "alerts")


async def standing(bootstrap: str, prefix: str) -> tuple[dict[str, Heard], list[WorkerHealth]]:
    """What is known of each model that has a champion, and what each worker said last."""
    found, workers = await asyncio.gather(
        _gathered(bootstrap, prefix, _STANDING), records_of(bootstrap, prefix, "workers")
    )
    models = {each.model: Heard(each.model) for each in found if isinstance(each, Rollout)}
    for record in found:
        heard = models.get(getattr(record, "model", ""))
        if heard is not None:
            heard.add(record)
    health = {each.worker_id: each for each in workers if isinstance(each, WorkerHealth)}
    return models, list(health.values())


async def heard(bootstrap: str, prefix: str, model: str) -> Heard:
    """All that the log says of a model. What was compacted away is taken from the audit."""
    found = Heard(model)
    for record in await _gathered(bootstrap, prefix, _TOLD):
        found.add(record)
    async for entry in logged(bootstrap, prefix):
        changed = decision(entry) if isinstance(entry, AuditEntry) and entry.topic == "rollouts" else None
        if changed is not None:
            found.add(changed)
    return found


async def _gathered(bootstrap: str, prefix: str, topics: tuple[str, ...]) -> list[Record]:
    return [
        record
        for each in await asyncio.gather(*(records_of(bootstrap, prefix, topic) for topic in topics))
        for record in each
    ]
