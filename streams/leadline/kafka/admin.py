"""Topics on the cluster: looked at, created, altered.

aiokafka's admin client leaves three things to its caller. It does not raise the errors inside a response. It sets the configuration of a
topic as a whole, so that an entry that is left out is lost. And to ask for a topic by name may create it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from leadline.kafka.connections import connection
from leadline.settings import SettingsError
from leadline.wire.plan import Alter, Create, Plan, Wanted, plan, wanted

WAIT_S = 30.0
_SET_ON_TOPIC = 1


class TopicsError(SettingsError):
    """The topics cannot be made as wanted; the message says which and why."""


@dataclass(slots=True)
class _Found:
    """A topic on the cluster: every entry of its configuration, and those that were set on it rather than inherited."""

    partitions: int
    ready: bool
    config: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)


async def plan_topics(
    bootstrap: str,
    prefix: str,
    partitions: int,
    retention_ms: int | None,
    steps: Iterable[str],
    only: Iterable[str] | None = None,
) -> Plan:
    """What `apply_topics` would do, or refuse to do; ``steps`` are the stateful ones; ``only`` these topics, or (None) all."""
    topics = wanted(steps, only, retention_ms)
    async with _admin(bootstrap) as admin:
        return _plan(await _existing(admin, _names(prefix, topics)), topics, prefix, partitions)


async def apply_topics(
    bootstrap: str,
    prefix: str,
    partitions: int,
    replication: int,
    retention_ms: int | None,
    steps: Iterable[str],
    only: Iterable[str] | None = None,
) -> Plan:
    """Create and alter what is not as it should be, wait until every partition has a leader, and return what was done.

    Raises TopicsError where the plan refuses (then nothing was done), and where the cluster does.
    """
    topics = wanted(steps, only, retention_ms)
    names = _names(prefix, topics)
    async with _admin(bootstrap) as admin:
        todo = _checked(_plan(await _existing(admin, names), topics, prefix, partitions))
        await _create(admin, todo.create, replication)
        found = await _all_ready(admin, names)
        late = _checked(_plan(found, topics, prefix, partitions))  # others may have been quicker, with other settings
        await _alter(admin, late.alter, found)
    return Plan(todo.create, late.alter)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(bootstrap))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _names(prefix: str, topics: Iterable[Wanted]) -> set[str]:
    return {f"{prefix}.{topic.name}" for topic in topics}


def _plan(found: dict[str, _Found], topics: Iterable[Wanted], prefix: str, partitions: int) -> Plan:
    return plan({name: (each.partitions, each.config) for name, each in found.items()}, topics, prefix, partitions)


def _checked(made: Plan) -> Plan:
    if made.refuse:
        raise TopicsError("\n".join(made.refuse))
    return made


# -- looking ------------------------------------------------------------------------------------------------------------


async def _existing(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, _Found]:
    """Those of the topics that are there. It lists all topics, since to ask for one by name may create it."""
    found = {
        topic["topic"]: _Found(len(topic["partitions"]), all(part["leader"] >= 0 for part in topic["partitions"]))
        for topic in await admin.describe_topics()
        if topic["topic"] in names and topic["partitions"]
    }
    if found:
        await _describe(admin, found)
    return found


async def _describe(admin: AIOKafkaAdminClient, found: dict[str, _Found]) -> None:
    """Fill in the configurations; leave out a topic that the broker does not know yet, or any more."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(found)]
    for response in await admin.describe_configs(asked):
        for code, message, _, name, entries in response.resources:
            if code == UnknownTopicOrPartitionError.errno:
                del found[name]
                continue
            if code:
                raise TopicsError(_message(name, "cannot be looked at", code, message))
            found[name].config = {entry[0]: entry[1] for entry in entries}
            found[name].own = {entry[0]: entry[1] for entry in entries if entry[3] == _SET_ON_TOPIC}


async def _all_ready(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, _Found]:
    """The topics, when all are there and every partition has a leader."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = await _existing(admin, names)
        waiting = sorted(name for name in names if name not in found or not found[name].ready)
        if not waiting:
            return found
        if time.monotonic() > deadline:
            raise TopicsError(f"no leader after {WAIT_S:.0f} s: {', '.join(waiting)}; look at the brokers' logs")
        await asyncio.sleep(0.1)


# -- doing --------------------------------------------------------------------------------------------------------------


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Create], replication: int) -> None:
    """Create the topics; one that somebody else has created meanwhile is as good."""
    deadline = time.monotonic() + WAIT_S
    left = {each.name: NewTopic(each.name, each.partitions, replication, topic_configs=each.config) for each in topics}
    while left:
        response = await admin.create_topics(list(left.values()))
        for name, code, message in response.topic_errors:
            if code in (0, TopicAlreadyExistsError.errno):
                del left[name]
            elif not for_code(code).retriable or time.monotonic() > deadline:
                raise TopicsError(_message(name, "cannot be created", code, message))
        if left:
            await asyncio.sleep(0.2)


async def _alter(admin: AIOKafkaAdminClient, topics: Sequence[Alter], found: dict[str, _Found]) -> None:
    """Change the entries that differ, and repeat all others that were set on the topic: else they would be lost."""
    if not topics:
        return
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, each.name, found[each.name].own | _new(each)) for each in topics
    ]
    for response in await admin.alter_configs(resources):
        for code, message, _, name in response.resources:
            if code:
                raise TopicsError(_message(name, "cannot be altered", code, message))


def _new(topic: Alter) -> dict[str, str]:
    return {entry: value for entry, (_, value) in topic.changes.items()}


def _message(name: str, what: str, code: int, message: str | None) -> str:
    return f"{name} {what}: {message or for_code(code).description}"
