"""The project's Avro schemas read and written by fastavro record by record, as a user of a plain stream processor does."""

import io
from typing import Any

import fastavro

from benchmarks import shapes
from benchmarks.shapes import HEADER


class Avro:
    """Avro behind the ten bytes of the single-object header, which it skips and leaves zero."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = fastavro.parse_schema(schema)

    def loads(self, data: bytes) -> Any:
        """The record in the bytes."""
        return fastavro.schemaless_reader(io.BytesIO(data[HEADER:]), self._schema)

    def dumps(self, record: Any) -> bytes:
        """The bytes of the record."""
        out = io.BytesIO(bytes(HEADER))
        out.seek(HEADER)
        fastavro.schemaless_writer(out, self._schema, record)
        return out.getvalue()


REQUEST, PREDICTION, OUTCOME, MATCH = map(Avro, (shapes.REQUEST, shapes.PREDICTION, shapes.OUTCOME, shapes.MATCH))
