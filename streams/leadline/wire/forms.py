"""Records as plain dicts, the form that the reference codec reads and writes."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from leadline import records
from leadline.records import FeatureCounts, Metric, Prediction, Record

_CLASSES: dict[str, Any] = {
    name: kind
    for name, kind in vars(records).items()
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")
}


def to_dict(record: Any) -> dict[str, Any]:
    """The fields by name; sums as the bytes of an Avro decimal."""
    return {name: write(getattr(record, name)) for name, _, write in _shape(type(record))}


def to_record(name: str, values: dict[str, Any]) -> Record:
    """The record of class ``name`` with these fields."""
    kind = _CLASSES[name]
    made: Record = kind(*(read(values[field]) for field, read, _ in _shape(kind)))
    return made


Convert = Callable[[Any], Any]
_SHAPES: dict[type, list[tuple[str, Convert, Convert]]] = {}


def _shape(kind: type) -> list[tuple[str, Convert, Convert]]:
    if kind not in _SHAPES:
        _SHAPES[kind] = [(field.name, *_converters(field.name, str(field.type))) for field in fields(kind)]
    return _SHAPES[kind]


def _converters(name: str, kind: str) -> tuple[Convert, Convert]:
    if name.endswith("_sum"):
        return _read_decimal, _write_decimal
    if "Metric" in kind:
        return lambda value: value and Metric(**value), lambda value: value and to_dict(value)
    if "FeatureCounts" in kind:
        return lambda values: [FeatureCounts(**value) for value in values], lambda values: [
            to_dict(value) for value in values
        ]
    if "Prediction" in kind:
        return lambda value: Prediction(**value), to_dict
    return _same, _same


def _same(value: Any) -> Any:
    return value


def _read_decimal(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _write_decimal(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
