"""The topics of a worker as they are on the cluster now: which they are, how many partitions they have, how they are cleaned up."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaError as Code
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from leadline.kafka.connections import librdkafka_connection
from leadline.wire.origins import Origin
from leadline.wire.plan import Existing

log = structlog.get_logger("leadline.inspector")

_WITHIN_S = 5.0
_AWAY = {"enable.sparse.connections": "false"}
"""Else a question to brokers that are away keeps librdkafka's threads busy, with nearly a core, until it is given up."""
_NO_ID = {"", "None", "A" * 22}
_NOT_THERE = {Code.UNKNOWN_TOPIC_OR_PART, Code.TOPIC_AUTHORIZATION_FAILED}


class Seen(NamedTuple):
    """A topic as it is. ``config`` is empty where nobody says what it is: it takes the right DescribeConfigs to see it."""

    origin: Origin
    config: Mapping[str, str]


def existing(seen: Mapping[str, Seen]) -> Existing:
    """What was seen, as `leadline.wire.plan` compares it."""
    return {name: (each.origin.partitions, each.config) for name, each in seen.items()}


class Inspector:
    """Looks at topics; connects when it first does. It may be used by several lanes."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AdminClient | None = None
        self._warned: set[str] = set()

    async def look(self, names: Iterable[str]) -> dict[str, Seen]:
        """Those of the topics that are there (and that this client may see). Raises KafkaError where no broker answers."""
        client = self._client = self._client or AdminClient(librdkafka_connection(self._bootstrap) | _AWAY)
        asked = list(names)
        try:
            cluster, topics, configs = await asyncio.gather(
                _answer(client.describe_cluster(request_timeout=_WITHIN_S)),
                _those_there(client.describe_topics(TopicCollection(asked), request_timeout=_WITHIN_S)),
                _those_there(client.describe_configs(_resources(asked), request_timeout=_WITHIN_S)),
            )
        except KafkaException as error:
            raise KafkaError(f"the topics cannot be looked at: {error.args[0].str()}") from None
        config = {
            resource.name: {name: entry.value for name, entry in all_.items()} for resource, all_ in configs.items()
        }
        if topics.keys() - config.keys():
            self._warn("how topics are cleaned up is not checked: grant DescribeConfigs (`leadline topics acls`)")
        return {name: Seen(self._origin(cluster, topic), config.get(name, {})) for name, topic in topics.items()}

    def _origin(self, cluster: Any, topic: Any) -> Origin:
        topic_id = str(topic.topic_id)
        if topic_id in _NO_ID:
            self._warn(
                "the brokers give topics no ids (they are older than 2.8): a topic that is made anew is not noticed"
            )
            topic_id = ""
        return Origin(str(cluster.cluster_id), topic_id, len(topic.partitions))

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            log.warning(message)
        self._warned.add(message)


def _resources(names: list[str]) -> list[ConfigResource]:
    return [ConfigResource(ResourceType.TOPIC, name) for name in names]


async def _those_there(asked: Mapping[Any, Any]) -> dict[Any, Any]:
    """The answers to what was asked, without those about topics that are not there, or not for this client."""
    answers = await asyncio.gather(*map(_answer, asked.values()), return_exceptions=True)
    found = {}
    for each, answer in zip(asked, answers, strict=True):
        if not isinstance(answer, BaseException):
            found[each] = answer
        elif not isinstance(answer, KafkaException) or answer.args[0].code() not in _NOT_THERE:
            raise answer
    return found


async def _answer(asked: Any) -> Any:
    """The answer to one question. Who does not wait for it any more leaves it to the client."""
    answer: asyncio.Future[Any] = asyncio.wrap_future(asked)
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # that nobody waited for it is no error
    return await asyncio.shield(answer)
