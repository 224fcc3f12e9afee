"""Whether the schema registry answers, and takes the schemas of the topics that people read."""

import asyncio
from collections.abc import Iterator

from leadline.cli.checkup.findings import Finding, wrong
from leadline.kafka.schema_registry import NoRouteError, RegistryAwayError, RegistryError, SchemaRegistry
from leadline.kafka.schemas import subject_of
from leadline.settings import Settings
from leadline.wire.registered import schema_of
from leadline.wire.topics import TOPICS

_WHAT = "schema registry"
_PATH = "check the path of LEADLINE_SCHEMA_REGISTRY; that of Apicurio is /apis/ccompat/v7"
_AWAY = "check LEADLINE_SCHEMA_REGISTRY, and that it runs: meanwhile records whose id is new to a process become dead letters"
_RIGHTS = "check the user in LEADLINE_SCHEMA_REGISTRY, and its rights"
_RULE = "loosen the compatibility rule of the subject, or take a prefix of your own: no worker starts with LEADLINE_FORMAT=confluent"


async def look_at_registry(settings: Settings) -> list[Finding]:
    """All findings of the registry; none where none is named."""
    return await asyncio.to_thread(lambda: list(_looked(settings)))


def _looked(settings: Settings) -> Iterator[Finding]:
    if settings.schema_registry is None:
        return
    registry = SchemaRegistry(settings.schema_registry)
    topics = [topic.name for topic in TOPICS if topic.has_form]
    try:
        refused = [each for each in topics if not registry.takes(subject_of(settings.prefix, each), schema_of(each))]
    except RegistryError as error:
        mend = _PATH if isinstance(error, NoRouteError) else _AWAY if isinstance(error, RegistryAwayError) else _RIGHTS
        yield wrong(_WHAT, str(error), mend)
        return
    yield Finding(_WHAT, f"{registry.shown} answers, and takes the schemas of {len(topics) - len(refused)} topics")
    if settings.format == "confluent":
        for each in refused:
            yield wrong(
                f"subject {subject_of(settings.prefix, each)}", "its rule refuses the schema of this release", _RULE
            )
