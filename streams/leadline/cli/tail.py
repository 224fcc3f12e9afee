"""``leadline tail``: what is in a topic, decoded, as it comes."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import JsonAlways, broker, models_of, put_json, wait_for
from leadline.foreign_text import as_text
from leadline.records import iso
from leadline.wire.topics import BY_NAME, TopicName

if TYPE_CHECKING:
    from leadline.kafka.cluster import Stored
    from leadline.wire.own_json import Names


def tail(
    topic: Annotated[TopicName, typer.Argument(metavar="TOPIC", help=f"One of {', '.join(BY_NAME)}.")],
    start: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest record.")] = False,
    count: Annotated[int, typer.Option("-n", min=0, help="Stop after so many records; 0: follow.")] = 0,
    _: JsonAlways = False,
) -> None:
    """Show the records of a topic, a line of JSON for each, and follow it.

    Beside partition, offset and time it is what LEADLINE_FORMAT=json writes, whatever form the topic has.

    Values of features are told by name; by place where LEADLINE_MODELS does not have their version.
    """
    settings, bootstrap = broker()
    from leadline.cli.record_fields import record_fields

    names = _names(models_of(settings))
    wait_for(_tail(bootstrap, settings.prefix, topic, start, count, lambda record: record_fields(record, names)))


async def _tail(
    bootstrap: str, prefix: str, topic: str, start: bool, count: int, told: Callable[[Any], dict[str, Any]]
) -> None:
    from leadline.kafka.cluster import records
    from leadline.kafka.reader import Reader

    shown = 0
    async with Reader(bootstrap, f"{prefix}.{topic}") as reader:
        await (reader.from_beginning() if start else reader.from_newest(0))
        async for run in reader.follow():
            for record in records(run):
                put_json(fields(topic, record, told))
                shown += 1
                if shown == count:
                    return


def fields(topic: str, record: "Stored", told: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """What is shown of a record: where and when it is in the log, and what ``told`` says of what is in it."""
    from leadline.wire.codec import read

    place = {"partition": record.partition, "offset": record.offset, "time": iso(record.timestamp)}
    if topic == "dead-letters":
        headers = {name: as_text(value) for name, value in record.headers}
        return place | {"key": as_text(record.key), "headers": headers, "bytes": len(record.value or b"")}
    try:
        return place | told(read(topic, record.value))
    except ValueError as error:
        return place | {"unreadable": str(error)}


def _names(models: Path) -> "Names":
    from leadline.learning.errors import RegistryError
    from leadline.learning.model_files import ModelFiles
    from leadline.settings import SettingsError

    files = ModelFiles(models)

    @cache
    def names(model: str, version: str, signature: str) -> tuple[list[str], list[str]] | None:
        try:
            found = files.describe(model, version).signature
        except (RegistryError, SettingsError):
            return None
        return (found.names, found.categorical) if found.id == signature else None

    return names
