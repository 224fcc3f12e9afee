"""``leadline tail``: what is in a topic, decoded, as it comes."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from leadline.cli.common import out, reached, wait_for
from leadline.kafka.connections import reach


def tail(
    topic: Annotated[str, typer.Argument(help="Topic without prefix, such as predictions or dead-letters.")],
    start: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest record.")] = False,
    count: Annotated[int, typer.Option("-n", help="Stop after so many records; 0: follow.")] = 0,
) -> None:
    """Show the records of a topic, one JSON line each, and follow it."""
    settings, bootstrap = reached()
    wait_for(_tail(bootstrap, settings.prefix, topic, start, count))


async def _tail(bootstrap: str, prefix: str, topic: str, start: bool, count: int) -> None:
    from leadline.kafka.cluster import partitions

    shown = 0
    async with AIOKafkaConsumer(
        **reach(bootstrap), isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        places: list[TopicPartition] = await partitions(reader, f"{prefix}.{topic}")
        reader.assign(places)
        await (reader.seek_to_beginning if start else reader.seek_to_end)(*places)
        async for record in reader:
            out.print(
                json.dumps(_shown(topic, record), ensure_ascii=False, default=str),
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
            shown += 1
            if shown == count:
                return


def _shown(topic: str, record: ConsumerRecord) -> dict[str, Any]:
    from leadline.wire.codec import read

    place = {"partition": record.partition, "offset": record.offset}
    if topic == "dead-letters":
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        return place | {
            "key": (record.key or b"").decode("utf-8", "replace"),
            "headers": headers,
            "bytes": len(record.value or b""),
        }
    try:
        return place | asdict(read(topic, record.value))
    except ValueError as error:
        return place | {"unreadable": str(error)}
