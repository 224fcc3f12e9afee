"""What Leadline's side and its peers have in common, in any Python: names, the line that a peer starts with, the shapes of records."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

MODEL, VERSION = "bench", "v1"
FEATURES = [f"f{i}" for i in range(10)]
MINUTE_MS = 60_000
STARTS = "leadline-bench: first record"
HEADER = 10
"""Bytes of the single-object header."""

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"


@cache
def tell_start() -> None:
    """A peer calls this with each record; the first time, it says so."""
    os.write(1, STARTS.encode() + b"\n")  # Faust's --quiet silences print


def _schema(name: str) -> dict[str, Any]:
    """The project's Avro schema with times as plain numbers, which fastavro reads faster than dates."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.avsc").read_text("utf-8"))
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = "long"
    return schema


REQUEST, PREDICTION, OUTCOME = map(_schema, ("prediction_request", "prediction", "outcome"))
MATCH: dict[str, Any] = {
    "type": "record",
    "name": "Match",
    "fields": [
        {"name": "request_id", "type": "string"},
        {"name": "model_version", "type": "string"},
        {"name": "event_time", "type": "long"},
        {"name": "label", "type": "long"},
        {"name": "outcome", "type": "double"},
    ],
}
