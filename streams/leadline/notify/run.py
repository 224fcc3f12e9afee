"""The notifier: one delivery for each target, side by side, until it is stopped."""

import asyncio
import os

from leadline.hosts.health import Health
from leadline.kafka.cluster import check_topics
from leadline.notify.alertmanager import Alertmanager
from leadline.notify.deliver import TOPIC, follow
from leadline.notify.services import Services
from leadline.notify.target import Sink
from leadline.settings import Settings
from leadline.settings.notify import NotifySettings, Target


def sink_of(target: Target) -> Sink:
    """The way to a target. Raises SettingsError."""
    url = target.address(os.environ)
    return Alertmanager(url) if target.kind == "alertmanager" else Services(target.name, url)


async def notify(bootstrap: str, settings: Settings, wanted: NotifySettings) -> None:
    """Deliver until cancelled; raises what ends a delivery, NoTopicError first of all."""
    await check_topics(bootstrap, [f"{settings.prefix}.{TOPIC}"])
    sinks = [(target, sink_of(target)) for target in wanted.targets]
    health, session_ms = Health(), settings.session_timeout
    async with asyncio.TaskGroup() as group:
        for target, sink in sinks:
            replays = target.kind == "alertmanager"
            group.create_task(follow(bootstrap, settings.prefix, target, sink, health, session_ms, replays))
