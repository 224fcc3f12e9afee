"""The project's Avro schemas read and written by fastavro record by record, as a plain Faust user does."""

import io
from typing import Any

import fastavro
from faust.serializers import codecs

from benchmarks import shapes
from benchmarks.shapes import HEADER

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
        return fastavro.schemaless_reader(io.BytesIO(s[HEADER:]), self._schema)

    def _dumps(self, obj: Any) -> bytes:
        out = io.BytesIO(bytes(HEADER))
        out.seek(HEADER)
        fastavro.schemaless_writer(out, self._schema, obj)
        return out.getvalue()


REQUEST, PREDICTION, OUTCOME = map(Avro, (shapes.REQUEST, shapes.PREDICTION, shapes.OUTCOME))
MATCH = Avro(_MATCH)
