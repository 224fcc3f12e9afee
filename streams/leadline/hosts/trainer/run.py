"""The trainer as a process: what it follows, and where its health is told."""

import asyncio
from contextlib import suppress

from leadline.core.scoring.routing import Deployments
from leadline.hosts.contract import Installation
from leadline.hosts.health import Health
from leadline.hosts.health_http import served
from leadline.hosts.health_record import Teller, worker_id
from leadline.hosts.tables import tables_of
from leadline.hosts.trainer.partition import NAME
from leadline.hosts.trainer.process import Trainer
from leadline.kafka.cluster import check_topics
from leadline.kafka.schemas import known_ids
from leadline.learning.cached import CachedModels
from leadline.learning.store import store_of
from leadline.settings import Settings
from leadline.settings.private import private_folder
from leadline.topology import TRAINER
from leadline.wire.writing import wire_of


async def train(settings: Settings, bootstrap: str) -> None:
    """Train until cancelled. Raises NoTopicError where topics are missing, and what trying again does not mend."""
    health = Health()
    health.expect([NAME])
    models = CachedModels(settings.models, store_of(settings))
    wire = wire_of(settings, await known_ids(settings), models)
    tables = tables_of([TRAINER], settings, bootstrap, wire, health)
    installation = Installation(settings, bootstrap, models, wire, tables, health)
    await check_topics(bootstrap, map(installation.topic_name, {*TRAINER.reads, *TRAINER.writes, *TRAINER.tables}))
    private_folder(settings.state)
    with worker_id(settings.state) as name:
        trainer = Trainer(name, installation, Deployments(tables.of(TRAINER)["rollouts"]))
        async with served(health, settings.health, lambda: True), tables.followed():
            await _tell_while(Teller(name, installation, models), trainer)


async def _tell_while(teller: Teller, trainer: Trainer) -> None:
    telling = asyncio.create_task(teller.run(lambda: None))
    try:
        await trainer.run()
    except asyncio.CancelledError:
        await teller.say_goodbye()
        raise
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
