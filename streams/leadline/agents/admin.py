"""Topics on the cluster: looked at, created, altered."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from leadline.wire.topics import Plan, plan, wanted

Existing = dict[str, tuple[int, dict[str, str]]]


class TopicsError(Exception):
    """The topics cannot be made as wanted; the message says which and why."""


async def plan_topics(
    bootstrap: str,
    prefix: str,
    partitions: int,
    retention_ms: int | None,
    steps: Iterable[str],
    nouns: Iterable[str] | None = None,
) -> Plan:
    """What `apply_topics` would do."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = wanted(prefix, steps, nouns, retention_ms)
        return plan(await _existing(admin, [topic.name for topic in topics]), topics, partitions)
    finally:
        await admin.close()


async def apply_topics(
    bootstrap: str,
    prefix: str,
    partitions: int,
    replication: int,
    retention_ms: int | None,
    steps: Iterable[str],
    nouns: Iterable[str] | None = None,
) -> Plan:
    """Create and alter what is not as it should be, and wait until the topics are there; raises TopicsError where the plan refuses."""
    steps = list(steps)
    todo = await plan_topics(bootstrap, prefix, partitions, retention_ms, steps, nouns)
    if todo.refuse:
        raise TopicsError("; ".join(todo.refuse))
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        new = [NewTopic(name, count, replication, topic_configs=config) for name, count, config in todo.create]
        with suppress(TopicAlreadyExistsError):
            if new:
                await admin.create_topics(new)
        if todo.alter:
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, configs=config) for name, config in todo.alter]
            )
        for _ in range(100):
            if not (await plan_topics(bootstrap, prefix, partitions, retention_ms, steps, nouns)).create:
                break
            await asyncio.sleep(0.1)
    finally:
        await admin.close()
    return todo


async def _existing(admin: AIOKafkaAdminClient, names: list[str]) -> Existing:
    there = set(await admin.list_topics()) & set(names)
    if not there:
        return {}
    described = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(sorted(there))}
    found: Existing = {name: (count, {}) for name, count in described.items()}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(there)]
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise for_code(code)(message)
            found[name][1].update({entry[0]: entry[1] for entry in entries})
    return found
