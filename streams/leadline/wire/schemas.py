"""The schemas in ``schemas/``, and the ten bytes by which a record names its own.

Avro single-object encoding: two marker bytes, the CRC-64-AVRO fingerprint of the schema (little endian), then the body.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

Schema = dict[str, Any]

MARKER = b"\xc3\x01"
HEAD_BYTES = 10
TAIL = "Tail"
"""The fields of a labeled prediction after its prediction, as a schema of their own: `plain` and `parsed` make it, there is no file."""


def schemas_dir() -> Path:
    """Where the .avsc files are: inside the package, or beside the source of an editable install."""
    packaged = Path(__file__).parents[1] / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "schemas"


def file_of(name: str) -> str:
    """The file of the schema of a record class.

    >>> file_of("WindowPartial")
    'window_partial.avsc'
    """
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower() + ".avsc"


@cache
def schema(name: str) -> Schema:
    """The schema of a record class, as it is written.

    >>> [field["name"] for field in schema("Outcome")["fields"]]
    ['request_id', 'outcome', 'outcome_time', 'class_name']
    """
    return _load(schemas_dir() / file_of(name))


def _load(path: Path) -> Schema:
    loaded: Schema = json.loads(path.read_text("utf-8"))
    return loaded


@cache
def plain(name: str) -> Schema:
    """The schema without logical types: times are longs, decimals are bytes. It reads and writes the same bytes."""
    if name == TAIL:
        return {"type": "record", "name": TAIL, "fields": plain("LabeledPrediction")["fields"][1:]}
    stripped: Schema = _plain(schema(name))
    return stripped


def _plain(part: Any) -> Any:
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "logicalType" in part:
        return part["type"]
    return {key: _plain(value) for key, value in part.items() if key != "doc"}


@cache
def text(name: str) -> str:
    """The plain schema as the columnar decoder wants it."""
    return json.dumps(plain(name))


@cache
def parsed(name: str) -> Schema:
    """The plain schema as fastavro wants it."""
    made: Schema = fastavro.parse_schema(json.loads(json.dumps(plain(name))))  # type: ignore[assignment]
    return made


@cache
def head(name: str) -> bytes:
    """The ten bytes in front of each record of this schema.

    >>> head("Outcome")[:2].hex(), len(head("Outcome"))
    ('c301', 10)
    """
    return MARKER + fingerprint_of(schema(name))


def fingerprint_of(written: Schema | str) -> bytes:
    """The CRC-64-AVRO fingerprint, little endian as in the single-object encoding.

    >>> fingerprint_of("int").hex()
    '8f5c393f1ad57572'
    """
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(written), "CRC-64-AVRO"))


@cache
def released() -> dict[bytes, tuple[str, Schema]]:
    """The name and the plain schema of every released schema, by the head of its records: a log may still hold them."""
    older = [_load(path) for path in sorted((schemas_dir() / "released").glob("*.avsc"))]
    return {MARKER + fingerprint_of(each): (each["name"], _plain(each)) for each in older}
