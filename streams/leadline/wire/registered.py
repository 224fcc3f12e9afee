"""Confluent's wire format: a zero byte, the id of a schema at a registry (four bytes, big endian), the Avro body.

Which schema an id means is told from outside (`KNOWN`); nothing here asks a registry. A topic with several classes of records has one
schema, the union of theirs: its bodies begin with the number of the class.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from leadline.wire.foreign import UnsafeError, parse
from leadline.wire.schemas import MARKER, Schema, fingerprint_of, released, schema
from leadline.wire.topics import BY_NAME, TOPICS
from leadline.wire.unreadable import UnreadableError

MAGIC = b"\0"
START = 5
"""Bytes before the body."""
_MOST_REFUSED, _LONGER = 1000, 0x80


class Branch(NamedTuple):
    """A kind of record that a registered schema describes.

    ``name``: the class of records whose schema it is, today's or a released one; empty: somebody else's. ``written``: the schema, as the
    reference wants it; None where it is today's.
    """

    name: str
    written: Schema | None


class Registered(NamedTuple):
    """A registered schema: a record, or a union of records."""

    branches: tuple[Branch, ...]
    is_union: bool


class Refused(NamedTuple):
    """Why records with a schema id cannot be read: ``reason`` is a short constant, ``detail`` is for a person."""

    reason: str
    detail: str


class Frame(NamedTuple):
    """What a value says of its own schema, as in `Branch`, and where its body starts."""

    name: str
    written: Schema | None
    start: int


class Known:
    """What is known of the ids of a registry. An id means one schema for ever; what was refused may be told otherwise later."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing."""
        self._schemas: dict[int, Registered] = {}
        self._refused: dict[int, Refused] = {}

    def __contains__(self, schema_id: int) -> bool:
        return schema_id in self._schemas

    def learn(self, schema_id: int, text: str) -> None:
        """An id means this schema."""
        read = _read(text)
        if isinstance(read, Refused):
            self.refuse(schema_id, read.reason, read.detail)
        else:
            self._schemas[schema_id] = read
            self._refused.pop(schema_id, None)

    def refuse(self, schema_id: int, reason: str, detail: str) -> None:
        """Records with an id cannot be read for now."""
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[schema_id] = Refused(reason, detail)

    def of(self, schema_id: int) -> Registered:
        """The schema of an id; raises UnreadableError."""
        known = self._schemas.get(schema_id)
        if known is None:
            none = Refused("schema-unknown", "nobody asked a registry for it: set LEADLINE_SCHEMA_REGISTRY")
            reason, detail = self._refused.get(schema_id, none)
            raise UnreadableError(reason, f"schema id {schema_id}: {detail}")
        return known


KNOWN = Known()
"""Of this process: it has one registry."""


def _read(text: str) -> Registered | Refused:
    try:
        given = json.loads(text)
        parse(given)
        parts = given if isinstance(given, list) else [given]
        if not parts or not all(isinstance(part, dict) and part["type"] == "record" for part in parts):
            return Refused("schema-not-usable", "its values are no records")
        return Registered(tuple(map(_branch, parts)), isinstance(given, list))
    except UnsafeError as error:
        return Refused("schema-not-usable", str(error))
    except (ValueError, RecursionError, KeyError) as error:
        return Refused("schema-not-usable", f"it is no Avro schema: {type(error).__name__}")


def _branch(part: dict[str, Any]) -> Branch:
    mark = MARKER + fingerprint_of(part)
    if mark in _today():
        return Branch(_today()[mark], None)
    if mark in released():
        return Branch(*released()[mark])
    return Branch("", parse(part))


@cache
def _today() -> dict[bytes, str]:
    """The class of records of each of today's schemas, by the head of its records in single-object encoding."""
    return {MARKER + fingerprint_of(schema(name)): name for topic in TOPICS for name in topic.schemas}


# -- reading ------------------------------------------------------------------------------------------------------------


def id_of(value: bytes) -> int | None:
    """The schema id of a value in this format.

    >>> id_of(bytes([0, 0, 0, 1, 2, 9])), id_of(b"{}")
    (258, None)
    """
    return int.from_bytes(value[1:START], "big") if value[:1] == MAGIC and len(value) >= START else None


def ids_of(values: Iterable[bytes | None]) -> set[int]:
    """The schema ids of some values."""
    starts = {value[:START] for value in values if value is not None and value[:1] == MAGIC}
    return {each for each in map(id_of, starts) if each is not None}


def frame_of(value: bytes) -> Frame:
    """What a value in this format says of its own schema; raises UnreadableError."""
    schema_id = id_of(value)
    if schema_id is None:
        raise UnreadableError("unknown-schema", "it begins as in Confluent's format, and has no schema id")
    known = KNOWN.of(schema_id)
    if not known.is_union:
        return Frame(*known.branches[0], START)
    number = value[START] if len(value) > START else 1
    if (
        number % 2 or number >= _LONGER or number // 2 >= len(known.branches)
    ):  # an Avro int below 64 is a byte, twice its number
        raise UnreadableError("undecodable", f"schema id {schema_id} is a union, and none of its records is named")
    return Frame(*known.branches[number // 2], START + 1)


# -- writing ------------------------------------------------------------------------------------------------------------


def schema_of(topic: str) -> Any:
    """The schema of the values of a topic."""
    names: Sequence[str] = BY_NAME[topic].schemas
    return schema(names[0]) if len(names) == 1 else [schema(name) for name in names]


def start_of(topic: str, name: str, schema_id: int) -> bytes:
    """The bytes before the body of a record, in a topic whose schema has this id.

    >>> start_of("alerts", "Alert", 7).hex(), start_of("metrics", "JoinCounts", 7).hex()
    ('0000000007', '000000000702')
    """
    names = BY_NAME[topic].schemas
    mark = MAGIC + schema_id.to_bytes(4, "big")
    return mark if len(names) == 1 else mark + bytes([2 * names.index(name)])
