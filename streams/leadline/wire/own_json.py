"""The loop's own records as JSON, for people who read topics without Avro; and back.

Names are those of the schema. Times are ISO-8601 in UTC with milliseconds. What is missing is null, and so is NaN; infinity is the text
``Infinity``. Exact sums are decimals in a text, since a JSON number would be rounded by most readers. Bytes are in base64. The features of
a prediction and its categories are objects, by name, in the order of the signature; by place (``"0"``) where nobody knew the names.
In a topic with several classes of records ``record`` names the class.
"""

import json
import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from leadline.wire.conversion import ConversionError, moment
from leadline.wire.schemas import schema
from leadline.wire.topics import BY_NAME
from leadline.wire.unreadable import UnreadableError

CLASS = "record"
_UNITS = 10**12
_LONGS = 2**63
_ANY_YEAR = re.compile(r"-?[0-9]{3,9}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_FAR = {"Infinity": math.inf, "-Infinity": -math.inf}
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

Values = dict[str, Any]
Names = Callable[[str, str, str], "tuple[Sequence[str], Sequence[str]] | None"]
"""The names of features and of categories, by model, version and signature; None where they are not known here."""


class JsonError(ValueError):
    """The JSON is not the record; the message names the field."""


class _Way(NamedTuple):
    """How a value of some schema is written and read; None: as it is."""

    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any]


def no_names(model: str, version: str, signature: str) -> None:
    """Nobody knows the names of features here."""


def write(topic: str, name: str, values: Values, names: Names = no_names) -> bytes:
    """The JSON of a record, from its fields as the reference codec has them.

    >>> write("outcomes", "Outcome", {"request_id": "r1", "outcome": math.nan, "outcome_time": 0, "class_name": None})
    b'{"request_id":"r1","outcome":null,"outcome_time":"1970-01-01T00:00:00.000Z","class_name":null}'
    """
    told = _write_record(_fields(name), values)
    _name_features(name, told, names)
    if len(BY_NAME[topic].schemas) > 1:
        told = {CLASS: name} | told
    try:
        return _dumps(told).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return _dumps(told).encode(errors="replace")


def read(topic: str, value: bytes) -> tuple[str, Values]:
    """The class of a record, and its fields as the reference codec wants them; raises UnreadableError."""
    try:
        return _read(topic, value)
    except (JsonError, ConversionError) as error:
        raise UnreadableError("json-not-a-record", str(error)) from None


def _read(topic: str, value: bytes) -> tuple[str, Values]:
    try:
        given = json.loads(value.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from None
    names = BY_NAME[topic].schemas
    if not isinstance(given, dict):
        raise JsonError("not an object")
    name = given.get(CLASS) if len(names) > 1 else names[0]
    if name not in names:
        raise JsonError(f"{CLASS} names none of {', '.join(names)}")
    return name, _read_record(_fields(name), given)


# -- features by name ---------------------------------------------------------------------------------------------------


def _name_features(name: str, told: Values, names: Names) -> None:
    prediction = told if name == "Prediction" else told.get("prediction")
    if isinstance(prediction, dict):
        found = names(prediction["model"], prediction["model_version"], prediction["signature"])
        features, categories = found or ((), ())
        prediction["features"] = _zipped(features, prediction["features"])
        prediction["categories"] = _zipped(categories, prediction["categories"])


def _zipped(names: Sequence[str], values: Sequence[Any]) -> Values:
    """Values by name, or by place where there are not as many names.

    >>> _zipped(["age", "sum"], [1.0, 2.0]), _zipped([], [1.0])
    ({'age': 1.0, 'sum': 2.0}, {'0': 1.0})
    """
    return dict(zip(names if len(names) == len(values) else map(str, range(len(values))), values, strict=True))


# -- by schema ----------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    name: str
    way: _Way
    default: Any
    is_optional: bool


@cache
def _fields(name: str) -> tuple[_Field, ...]:
    return _fields_of(schema(name), {})


def _fields_of(written: Mapping[str, Any], named: dict[str, Any]) -> tuple[_Field, ...]:
    named[written["name"]] = written
    return tuple(
        _Field(each["name"], _way(each["type"], named), _default(each), "default" in each) for each in written["fields"]
    )


def _default(field: Mapping[str, Any]) -> Any:
    """The default of a field, as the reference codec has values: that of bytes is a text in a schema."""
    kind, default = field["type"], field.get("default")
    is_bytes = isinstance(kind, dict) and kind["type"] == "bytes" and isinstance(default, str)
    return default.encode("latin-1") if is_bytes and default is not None else default


def _write_record(fields: tuple[_Field, ...], values: Values) -> Values:
    return {
        name: values[name] if way.write is None or values[name] is None else way.write(values[name])
        for name, way, _, _ in fields
    }


def _read_record(fields: tuple[_Field, ...], given: Any) -> Values:
    if not isinstance(given, dict):
        raise JsonError("is not an object")
    found = {}
    for name, way, default, is_optional in fields:
        if name not in given and not is_optional:
            raise JsonError(f"{name} is missing")
        try:
            found[name] = way.read(given[name]) if name in given else default
        except (JsonError, ConversionError) as error:
            raise JsonError(f"{name} {error}") from None
    return found


def _way(form: Any, named: dict[str, Any]) -> _Way:
    """How values of a schema are written and read; ``named``: the records that it may refer to."""
    form = named.get(form, form) if isinstance(form, str) else form
    if isinstance(form, list):
        [one] = (each for each in form if each != "null")
        inner = _way(one, named)
        return _Way(inner.write, lambda value: None if value is None else inner.read(value))
    if isinstance(form, str):
        return _PLAIN[form]
    match form.get("logicalType"), form["type"]:
        case "timestamp-millis", _:
            return _Way(iso_ms, _time)
        case "decimal", _:
            return _Way(_decimal_text, _decimal_bytes)
        case _, "record":
            fields = _fields_of(form, named)
            return _Way(lambda value: _write_record(fields, value), lambda value: _read_record(fields, value))
        case _, "array":
            return _DOUBLES if form["items"] == "double" else _array(_way(form["items"], named))
        case _, "map":
            return _map(_way(form["values"], named))
    return _PLAIN[form["type"]]


def _array(item: _Way) -> _Way:
    def read_all(value: Any) -> list[Any]:
        return [item.read(each) for each in _listed(value)]

    write = item.write
    return _Way(None if write is None else lambda value: [write(each) for each in value], read_all)


def _listed(value: Any) -> list[Any]:
    """The values of an array; features and categories are objects, by name or by place."""
    if isinstance(value, dict):
        return list(value.values())
    if not isinstance(value, list):
        raise JsonError("is not an array")
    return value


def _map(item: _Way) -> _Way:
    def read_all(value: Any) -> Values:
        if not isinstance(value, dict):
            raise JsonError("is not an object")
        return {_text(name): item.read(each) for name, each in value.items()}

    write = item.write
    return _Way(None if write is None else lambda value: {name: write(each) for name, each in value.items()}, read_all)


# -- values -------------------------------------------------------------------------------------------------------------


def iso_ms(time_ms: int) -> str:
    """A time as ISO-8601 in UTC with milliseconds, of any year.

    >>> iso_ms(0), iso_ms(2**53)
    ('1970-01-01T00:00:00.000Z', '287396-10-12T08:59:00.992Z')
    """
    return str(np.datetime64(time_ms, "ms")) + "Z"


def _time(value: Any) -> int:
    if isinstance(value, str) and _ANY_YEAR.fullmatch(value):
        try:
            return int(np.datetime64(value[:-1], "ms").astype(np.int64))
        except ValueError:
            raise JsonError("is no day of the calendar") from None
    return moment(value)


def _decimal_text(value: bytes) -> str:
    """An exact sum, whose unit is 1e-12.

    >>> _decimal_text((-2_500_000_000_000).to_bytes(8, "big", signed=True)), _decimal_text(bytes(1))
    ('-2.5', '0')
    """
    units = int.from_bytes(value, "big", signed=True)
    whole, places = divmod(abs(units), _UNITS)
    return f"{'-' if units < 0 else ''}{whole}.{places:012d}".rstrip("0").rstrip(".")


def _decimal_bytes(value: Any) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,99}(\.[0-9]{1,12})?", value):
        raise JsonError("is not a decimal with at most twelve places, in a text")
    whole, _, places = value.partition(".")
    units = int(whole + places.ljust(12, "0"))
    return units.to_bytes(units.bit_length() // 8 + 1, "big", signed=True)


def _double(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _read_double(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _FAR:
        return _FAR[value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise JsonError("is not a number")
    try:
        return float(value)
    except OverflowError:
        raise JsonError("is too large a number") from None


def _doubles(values: list[float]) -> list[Any]:
    """Mostly they are all finite: then no single one is looked at."""
    return values if math.isfinite(sum(values)) else list(map(_double, values))


def _read_doubles(value: Any) -> list[float]:
    values = _listed(value)
    return values if set(map(type, values)) == {float} else list(map(_read_double, values))


def _long(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_LONGS <= value < _LONGS:
        raise JsonError("is not a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise JsonError("is not a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise JsonError("has half a surrogate pair: it is no Unicode") from None
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise JsonError("is not true or false")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return b64decode(_text(value), validate=True)
    except ValueError:
        raise JsonError("is not base64") from None


_PLAIN = {
    "string": _Way(None, _text),
    "long": _Way(None, _long),
    "int": _Way(None, _long),
    "double": _Way(_double, _read_double),
    "float": _Way(_double, _read_double),
    "boolean": _Way(None, _boolean),
    "bytes": _Way(lambda value: b64encode(value).decode(), _bytes),
}
_DOUBLES = _Way(_doubles, _read_doubles)
