"""Records written by one who knows a schema and the ten bytes before a record, and nothing else of Leadline."""

import io
from decimal import Decimal

import fastavro


def value(message, payload):
    """The value of a record, by its message in the AsyncAPI document; numbers whose names end in _sum are decimals."""
    out = io.BytesIO(bytes.fromhex(message["x-single-object-head"]))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(
        out, fastavro.parse_schema(message["payload"]["schema"]), _with_decimals(payload), strict=True
    )
    return out.getvalue()


def _with_decimals(value, name=""):
    if isinstance(value, dict):
        return {field: _with_decimals(each, field) for field, each in value.items()}
    return Decimal(str(value)) if name.endswith("_sum") else value
