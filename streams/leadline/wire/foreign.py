"""Schemas that somebody else wrote: which of them are safe to read by, and what a record of theirs says.

A body of a few bytes must not ask for more work than its bytes: items of no size can be claimed by the quintillion, a schema that contains
itself nests as deep as the body is long, and records without bytes multiply.
"""

import io
from collections.abc import Mapping
from typing import Any

import fastavro

from leadline.wire.schemas import Schema

_SIZES = {"null": 0, "float": 4, "double": 8}
_MOST_PARTS, _MOST_DEPTH = 10_000, 50


class UnsafeError(ValueError):
    """A schema that is not read by; the message says why."""


def parse(schema: Any) -> Any:
    """The schema as fastavro wants it; raises UnsafeError.

    >>> parse({"type": "array", "items": "null"})
    Traceback (most recent call last):
    leadline.wire.foreign.UnsafeError: it has an array whose items have no size
    """
    named: dict[str, Any] = {}
    try:
        parsed = fastavro.parse_schema(schema, named_schemas=named)
    except Exception as error:  # noqa: BLE001 - a schema from outside raises many kinds
        raise UnsafeError(f"it is no Avro schema: {type(error).__name__}: {error}") from None
    _Walk(named).size(parsed, ())
    return parsed


class _Walk:
    """Counts the parts of a schema, each name that is used as all that it stands for."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._parts = 0

    def size(self, part: Any, within: tuple[str, ...]) -> int:
        """The fewest bytes that a value takes; raises UnsafeError."""
        self._parts += 1
        if self._parts > _MOST_PARTS or len(within) > _MOST_DEPTH:
            raise UnsafeError(f"it has more than {_MOST_PARTS} parts, or nests deeper than {_MOST_DEPTH}")
        if isinstance(part, list):
            return 1 + min((self.size(each, (*within, "")) for each in part), default=0)
        if isinstance(part, str):
            return self._of_name(part, within)
        match part["type"]:
            case "record" | "error":
                inside = (*within, part["name"])
                return sum(self.size(field["type"], inside) for field in part["fields"])
            case "array":
                if not self.size(part["items"], (*within, "")):
                    raise UnsafeError("it has an array whose items have no size")
            case "map":
                self.size(part["values"], (*within, ""))
            case "fixed":
                return int(part["size"])
            case dict() | list() | str() as inner if inner != "enum":
                return self.size(inner, (*within, ""))
        return 1

    def _of_name(self, name: str, within: tuple[str, ...]) -> int:
        if name in within:
            raise UnsafeError("it contains itself")
        return self.size(self._named[name], within) if name in self._named else _SIZES.get(name, 1)


def values_of(body: bytes, written: Schema) -> dict[str, Any]:
    """The fields of one record, which takes all of the body. Raises ValueError, and whatever hostile bytes bring about."""
    stream = io.BytesIO(body)
    values = fastavro.schemaless_reader(stream, written, None)
    if stream.tell() != len(body):
        raise ValueError(f"{len(body) - stream.tell()} bytes behind the record")
    return values  # type: ignore[return-value]
