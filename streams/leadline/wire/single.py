"""One record of any topic as bytes and back, by fastavro: the reference, which also reads what the columnar decoder refuses."""

import io
from collections.abc import Sequence
from typing import Any

import fastavro

from leadline.records import Record
from leadline.wire.forms import to_dict, to_record
from leadline.wire.json_form import JsonError, is_json, read_json
from leadline.wire.schemas import HEAD_BYTES, Schema, head, parsed, released
from leadline.wire.topics import FEW, JSON_TOPICS, MANY

_NO_LIMIT = 1 << 30


class UnreadableError(Exception):
    """A record that cannot be used: ``reason`` is a short constant, ``detail`` is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail[:300]  # it may name what a hostile record calls a field


def read(topic: str, value: bytes | None) -> Record:
    """One record of a topic, for looking at; raises ValueError with the reason."""
    try:
        return read_record(value, topic, _NO_LIMIT)
    except UnreadableError as error:
        raise ValueError(f"{error.reason}: {error.detail}") from None


def value_of(record: Record) -> bytes:
    """One record in single-object encoding."""
    name = type(record).__name__
    return head(name) + write_body(name, to_dict(record))


def read_record(value: bytes | None, topic: str, max_bytes: int) -> Record:
    """One record of a topic in any known form; raises UnreadableError."""
    names = (MANY[topic],) if topic in MANY else FEW[topic]
    name = _name(value, names)
    return to_record(name, read_body(parsed(name), body_of(value, topic, name, max_bytes)))


def _name(value: bytes | None, names: Sequence[str]) -> str:
    """Which of these schemas a value is of, today's or a released one; the first where it is of none."""
    start = (value or b"")[:HEAD_BYTES]
    older = released().get(start)
    found = (each for each in names if start == head(each) or (older is not None and older[0] == each))
    return next(found, names[0])


def body_of(value: bytes | None, topic: str, name: str, max_bytes: int) -> bytes:
    """The body of a record in today's schema, whatever known form the record came in; raises UnreadableError."""
    if value is None:
        raise UnreadableError("empty-value", "a record without value says nothing")
    if len(value) > max_bytes:
        raise UnreadableError("record-too-large", f"{len(value)} bytes, over the limit of {max_bytes}")
    if value[:HEAD_BYTES] == head(name):
        return value[HEAD_BYTES:]
    if topic in JSON_TOPICS and is_json(value):
        return _body_of_json(name, value)
    older = released().get(value[:HEAD_BYTES])
    if older is None or older[0] != name:
        raise UnreadableError(
            "unknown-schema", f"neither {name} in single-object encoding nor, where it is accepted, JSON"
        )
    return write_body(name, read_body(older[1], value[HEAD_BYTES:], parsed(name)))


def _body_of_json(name: str, value: bytes) -> bytes:
    try:
        return write_body(name, read_json(name, value))
    except JsonError as error:
        raise UnreadableError("json-not-a-record", str(error)) from None
    except UnicodeEncodeError:
        raise UnreadableError("json-not-a-record", "a string has half a surrogate pair: it is no Unicode") from None


def read_body(written: Schema, body: bytes, reader: Schema | None = None) -> dict[str, Any]:
    """The fields of one record, which takes all of the body; raises UnreadableError."""
    stream = io.BytesIO(body)
    try:
        values = fastavro.schemaless_reader(stream, written, reader)
    except Exception as error:  # noqa: BLE001 - hostile bytes raise many kinds
        raise UnreadableError("undecodable", f"{type(error).__name__}: {error}") from None
    if stream.tell() != len(body):
        raise UnreadableError("trailing-bytes", f"{len(body) - stream.tell()} bytes behind the record")
    return values  # type: ignore[return-value]


def write_body(name: str, values: dict[str, Any]) -> bytes:
    """The body of one record with these fields."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed(name), values)
    return stream.getvalue()
