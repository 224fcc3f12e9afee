"""What is in the topics, row by row, for the naive join and its ledger."""

from typing import Any

from leadline.kafka import cluster
from leadline.wire.codec import read
from leadline.wire.run import ARRIVAL_HEADER

Position = tuple[str, int, int]
"""Topic without prefix, partition, offset."""


async def letters(bootstrap: str, prefix: str) -> dict[Position, str]:
    """The reason of each dead letter, by where its record stood: scoring may write one twice."""
    found = {}
    async for record in cluster.read_all(bootstrap, f"{prefix}.dead-letters"):
        headers = {name: value.decode() for name, value in record.headers}
        topic, partition, offset = (headers[f"__connect.errors.{name}"] for name in ("topic", "partition", "offset"))
        found[topic.removeprefix(f"{prefix}."), int(partition), int(offset)] = headers["leadline-reason"]
    return found


async def rows(bootstrap: str, prefix: str, topic: str) -> list[dict[str, Any]]:
    """The records of predictions or outcomes that can be read, as the naive join wants them."""
    found = []
    async for record in cluster.read_all(bootstrap, f"{prefix}.{topic}"):
        try:
            row = fields(read(topic, record.value)) if record.value is not None else None
        except ValueError:
            continue
        if row is None or row["request_id"].encode() != record.key:
            continue
        row["position"] = record.partition, record.offset
        row["arrival_time"] = int(dict(record.headers)[ARRIVAL_HEADER])
        if topic == "predictions":
            row |= {"label_pred": row["predicted_label"], "segment": row["segments"][0]}
        found.append(row)
    return found


def fields(record: Any) -> dict[str, Any]:
    """The fields of a record by name; `asdict` copies each value too, which takes as long as all else here."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
