"""The project's Avro schemas read and written by fastavro record by record, as a plain Faust user does."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
from faust.serializers import codecs

_SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
_HEADER = 10
_MATCH = {
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


class Avro(codecs.Codec):  # type: ignore[misc]
    """A Faust codec: Avro behind the ten bytes of the single-object header, which it skips and leaves zero."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = fastavro.parse_schema(schema)

    def _loads(self, s: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(s[_HEADER:]), self._schema)

    def _dumps(self, obj: Any) -> bytes:
        out = io.BytesIO(bytes(_HEADER))
        out.seek(_HEADER)
        fastavro.schemaless_writer(out, self._schema, obj)
        return out.getvalue()


def _schema(name: str) -> dict[str, Any]:
    """A schema with times as plain numbers, which fastavro reads faster than dates."""
    schema: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.avsc").read_text("utf-8"))
    for field in schema["fields"]:
        if isinstance(field["type"], dict) and "logicalType" in field["type"]:
            field["type"] = "long"
    return schema


REQUEST, PREDICTION, OUTCOME = (Avro(_schema(name)) for name in ("prediction_request", "prediction", "outcome"))
MATCH = Avro(_MATCH)
