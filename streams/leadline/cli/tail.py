"""``leadline tail``: what is in a topic, decoded, as it comes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import broker, put, wait_for
from leadline.foreign_text import as_json, as_text
from leadline.wire.topics import BY_NAME

if TYPE_CHECKING:
    from leadline.kafka.cluster import Stored


def tail(
    topic: Annotated[str, typer.Argument(help="Topic without prefix, such as predictions or dead-letters.")],
    start: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest record.")] = False,
    count: Annotated[int, typer.Option("-n", help="Stop after so many records; 0: follow.")] = 0,
) -> None:
    """Show the records of a topic, one JSON line each, and follow it; numbers that JSON does not know are strings, such as "NaN"."""
    if topic not in BY_NAME:
        raise typer.BadParameter(f"no topic is called {topic}: choose from {', '.join(BY_NAME)}")
    settings, bootstrap = broker()
    wait_for(_tail(bootstrap, settings.prefix, topic, start, count))


async def _tail(bootstrap: str, prefix: str, topic: str, start: bool, count: int) -> None:
    from leadline.kafka.cluster import records
    from leadline.kafka.reader import Reader

    shown = 0
    async with Reader(bootstrap, f"{prefix}.{topic}") as reader:
        await (reader.from_beginning() if start else reader.from_newest(0))
        async for run in reader.follow():
            for record in records(run):
                put(as_json(fields(topic, record)))
                shown += 1
                if shown == count:
                    return


def fields(topic: str, record: "Stored") -> dict[str, Any]:
    """What is shown of a record."""
    from leadline.wire.codec import read

    partition = {"partition": record.partition, "offset": record.offset}
    if topic == "dead-letters":
        headers = {name: as_text(value) for name, value in record.headers}
        return partition | {"key": as_text(record.key), "headers": headers, "bytes": len(record.value or b"")}
    try:
        return partition | asdict(read(topic, record.value))
    except ValueError as error:
        return partition | {"unreadable": str(error)}
