"""One record of any topic as bytes and back, by fastavro: the reference, which also reads what the columnar decoder refuses.

Every reader of records comes through here, or through `leadline.wire.decoding`, which asks here for what is not plain. So all forms are
read by all of them, on every topic: single-object Avro, Confluent's format, JSON, and each of them of somebody else on the topics that
others write.
"""

import io
from collections.abc import Sequence
from typing import Any

import fastavro

from leadline.records import Record
from leadline.wire import own_json, registered
from leadline.wire.conversion import ConversionError, outcome_fields, request_fields
from leadline.wire.foreign import values_of
from leadline.wire.forms import to_dict, to_record
from leadline.wire.json_form import is_json, read_json
from leadline.wire.json_values import JsonError
from leadline.wire.registered import Frame
from leadline.wire.schemas import HEAD_BYTES, Schema, head, parsed, released
from leadline.wire.topics import FEW, JSON_TOPICS, MANY
from leadline.wire.unreadable import UnreadableError

_NO_LIMIT = 1 << 30


def read(topic: str, value: bytes | None) -> Record:
    """One record of a topic, for looking at; raises ValueError with the reason."""
    try:
        return read_record(value, topic, _NO_LIMIT)
    except UnreadableError as error:
        raise ValueError(f"{error.reason}: {error.detail}") from None


def form_of(value: bytes) -> str:
    """In which form a value is, as ``LEADLINE_FORMAT`` names them.

    >>> form_of(b"{}"), form_of(bytes(5)), form_of(bytes([0xC3, 1]))
    ('json', 'confluent', 'avro')
    """
    return "json" if is_json(value) else "confluent" if value[:1] == registered.MAGIC else "avro"


def value_of(record: Record) -> bytes:
    """One record in single-object encoding."""
    name = type(record).__name__
    return head(name) + write_body(name, to_dict(record))


def read_record(value: bytes | None, topic: str, max_bytes: int) -> Record:
    """One record of a topic in any known form; raises UnreadableError."""
    value = _checked(value, max_bytes)
    if is_json(value) and topic not in JSON_TOPICS:
        return to_record(*own_json.read(topic, value))
    name = _name(value, (MANY[topic],) if topic in MANY else FEW[topic])
    return to_record(name, read_body(parsed(name), _body(value, topic, name)))


def _checked(value: bytes | None, max_bytes: int) -> bytes:
    """A value that is there, and not too large."""
    if value is None:
        raise UnreadableError("empty-value", "a record without value says nothing")
    if len(value) > max_bytes:
        raise UnreadableError("record-too-large", f"{len(value)} bytes, over the limit of {max_bytes}")
    return value


def _name(value: bytes, names: Sequence[str]) -> str:
    """Which of these schemas a value is of, today's or a released one; the first where it is of none."""
    if len(names) == 1:
        return names[0]
    frame = _frame(value, names)
    return frame.name if frame is not None and frame.name in names else names[0]


def body_of(value: bytes | None, topic: str, name: str, max_bytes: int) -> bytes:
    """The body of a record in today's schema, whatever known form the record came in; raises UnreadableError."""
    return _body(_checked(value, max_bytes), topic, name)


def _body(value: bytes, topic: str, name: str) -> bytes:
    if value[:HEAD_BYTES] == head(name):
        return value[HEAD_BYTES:]
    if is_json(value):
        return _body_of_json(topic, name, value)
    frame = _frame(value, (name,))
    if frame is not None and frame.name == name:
        body = value[frame.start :]
        return body if frame.written is None else write_body(name, read_body(frame.written, body, parsed(name)))
    if frame is not None and frame.written is not None and not frame.name and topic in JSON_TOPICS:
        return _body_of_others(name, value[frame.start :], frame.written)
    raise UnreadableError("unknown-schema", f"neither {name} in Avro with a schema that is known nor JSON")


def start_of(value: bytes | None, name: str) -> int | None:
    """Where the body of a value starts, if it is of today's schema; None where it is not, or that cannot be said."""
    try:
        frame = None if value is None else _frame(value, (name,))
    except UnreadableError:
        return None
    return frame.start if frame is not None and frame.name == name and frame.written is None else None


def _frame(value: bytes, names: Sequence[str]) -> Frame | None:
    """What a value says of its own schema; None where it says nothing that is known. Raises UnreadableError."""
    if value[:1] == registered.MAGIC:
        return registered.frame_of(value)
    start = value[:HEAD_BYTES]
    for name in names:
        if start == head(name):
            return Frame(name, None, HEAD_BYTES)
    older = released().get(start)
    return None if older is None else Frame(*older, HEAD_BYTES)


def _body_of_json(topic: str, name: str, value: bytes) -> bytes:
    if topic not in JSON_TOPICS:
        return write_body(name, own_json.read(topic, value)[1])
    try:
        return write_body(name, read_json(name, value))
    except JsonError as error:
        raise UnreadableError("json-not-a-record", str(error)) from None
    except UnicodeEncodeError:
        raise UnreadableError("json-not-a-record", "a string has half a surrogate pair: it is no Unicode") from None


def _body_of_others(name: str, body: bytes, written: Schema) -> bytes:
    """The body of a request or an outcome that somebody wrote by a schema of his own: its fields are converted as those of JSON are."""
    try:
        given = values_of(body, written)
    except Exception as error:  # noqa: BLE001 - hostile bytes raise many kinds
        raise UnreadableError("undecodable", f"{type(error).__name__}: {error}") from None
    try:
        return write_body(name, outcome_fields(given) if name == "Outcome" else request_fields(given))
    except ConversionError as error:
        raise UnreadableError("avro-not-a-record", f"by its own schema: {error}") from None


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
