"""Records as plain dicts, which the reference codec reads and writes."""

import re
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

from leadline import records
from leadline.records import Record

_CLASSES: dict[str, Any] = {
    name: kind
    for name, kind in vars(records).items()
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")
}


def to_dict(record: Any) -> dict[str, Any]:
    """The fields of a record by name; a sum becomes the bytes of an Avro decimal."""
    shape = _shape(type(record))
    values = dict(zip(shape.names, shape.fields(record), strict=True))
    for name, write in shape.write.items():
        values[name] = write(values[name])
    return values


def to_record(name: str, values: dict[str, Any]) -> Record:
    """The record of class ``name`` with these fields."""
    shape = _shape(_CLASSES[name])
    converted = {field: read(values[field]) for field, read in shape.read.items()}
    made: Record = _CLASSES[name](*map((values | converted).__getitem__, shape.names))
    return made


Convert = Callable[[Any], Any]


class _Shape(NamedTuple):
    """How records of a class become dicts and back: ``fields`` gets all values, ``read`` and ``write`` convert those that differ."""

    names: list[str]
    fields: Callable[[Any], tuple[Any, ...]]
    read: dict[str, Convert]
    write: dict[str, Convert]


_SHAPES: dict[type, _Shape] = {}


def _shape(kind: type) -> _Shape:
    if kind not in _SHAPES:
        names = [field.name for field in fields(kind)]
        other = {field.name: _converters(field.name, str(field.type)) for field in fields(kind)}
        read, write = ({name: found[i] for name, found in other.items() if found} for i in (0, 1))
        _SHAPES[kind] = _Shape(names, attrgetter(*names), read, write)
    return _SHAPES[kind]


def _converters(name: str, kind: str) -> tuple[Convert, Convert] | None:
    if name.endswith("_sum"):
        return _read_decimal, _write_decimal
    nested = re.fullmatch(r".*\.(\w+) \| None", kind)
    if nested is not None:
        return lambda value: value and to_record(nested[1], value), lambda value: value and to_dict(value)
    of_list = re.fullmatch(r"list\[.*\.(\w+)\]", kind)
    if of_list is not None:
        item = _CLASSES[of_list[1]]
        return lambda values: [item(**value) for value in values], lambda values: list(map(to_dict, values))
    inside = re.fullmatch(r"<class '.*\.(\w+)'>", kind)
    if inside is not None:
        return lambda value: to_record(inside[1], value), to_dict
    return None


def _read_decimal(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _write_decimal(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
