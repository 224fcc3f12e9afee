"""The project's Avro schemas with times as plain numbers, which fastavro reads faster than dates."""

import json
from pathlib import Path
from typing import Any

HEADER = 10
"""Bytes of the single-object header."""

_SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"


def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.avsc").read_text("utf-8"))
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = "long"
    return schema


REQUEST, PREDICTION, OUTCOME = map(_schema, ("prediction_request", "prediction", "outcome"))
