"""The loop's own records as JSON, for people who read topics without Avro; and back.

Names are those of the schema. Times are ISO-8601 in UTC with milliseconds. What is missing is null, and so is NaN; infinity is the text
``Infinity``. Exact sums are decimals in a text, since a JSON number would be rounded by most readers. Bytes are in base64. The features of
a prediction and its categories are objects, by name, in the order of the signature; by place (``"0"``) where nobody knew the names.
In a topic with several classes of records ``record`` names the class.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from leadline.wire.conversion import ConversionError
from leadline.wire.json_values import (
    DOUBLES,
    PLAIN,
    JsonError,
    Way,
    decimal_bytes,
    decimal_text,
    iso_ms,
    listed,
    read_text,
    read_time,
)
from leadline.wire.schemas import schema
from leadline.wire.topics import BY_NAME
from leadline.wire.unreadable import UnreadableError

CLASS = "record"
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

Values = dict[str, Any]
Names = Callable[[str, str, str], "tuple[Sequence[str], Sequence[str]] | None"]
"""The names of features and of categories, by model, version and signature; None where they are not known here."""


def no_names(model: str, version: str, signature: str) -> None:
    """Nobody knows the names of features here."""


def write(topic: str, name: str, values: Values, names: Names = no_names) -> bytes:
    """The JSON of a record, from its fields as the reference codec has them.

    >>> write("outcomes", "Outcome", {"request_id": "r1", "outcome": float("nan"), "outcome_time": 0, "class_name": None})
    b'{"request_id":"r1","outcome":null,"outcome_time":"1970-01-01T00:00:00.000Z","class_name":null}'
    """
    fields = told(name, values, names)
    if len(BY_NAME[topic].schemas) > 1:
        fields = {CLASS: name} | fields
    try:
        return _dumps(fields).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return _dumps(fields).encode(errors="replace")


def told(name: str, values: Values, names: Names = no_names) -> Values:
    """The fields of a record as JSON has them, from those that the reference codec has."""
    fields = _write_record(_fields(name), values)
    _name_features(name, fields, names)
    return fields


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


def _name_features(name: str, fields: Values, names: Names) -> None:
    prediction = fields if name == "Prediction" else fields.get("prediction")
    if isinstance(prediction, dict):
        found = names(prediction["model"], prediction["model_version"], prediction["signature"])
        features, categories = found or ((), ())
        prediction["features"] = _zipped(features, prediction["features"])
        prediction["categories"] = _zipped(categories, [each or None for each in prediction["categories"]])


def _zipped(names: Sequence[str], values: Sequence[Any]) -> Values:
    """Values by name, or by place where there are not as many names.

    >>> _zipped(["age", "sum"], [1.0, 2.0]), _zipped([], [1.0])
    ({'age': 1.0, 'sum': 2.0}, {'0': 1.0})
    """
    return dict(zip(names if len(names) == len(values) else map(str, range(len(values))), values, strict=True))


# -- by schema ----------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    name: str
    way: Way
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


def _way(form: Any, named: dict[str, Any]) -> Way:
    """How values of a schema are written and read; ``named``: the records that it may refer to."""
    form = named.get(form, form) if isinstance(form, str) else form
    if isinstance(form, list):
        [one] = (each for each in form if each != "null")
        inner = _way(one, named)
        return Way(inner.write, lambda value: None if value is None else inner.read(value))
    if isinstance(form, str):
        return PLAIN[form]
    match form.get("logicalType"), form["type"]:
        case "timestamp-millis", _:
            return Way(iso_ms, read_time)
        case "decimal", _:
            return Way(decimal_text, decimal_bytes)
        case _, "record":
            fields = _fields_of(form, named)
            return Way(lambda value: _write_record(fields, value), lambda value: _read_record(fields, value))
        case _, "array":
            if form["items"] == "double":
                return DOUBLES
            return _array(_way(form["items"], named), may_lack=form["items"] == "string")
        case _, "map":
            return _map(_way(form["values"], named))
    return PLAIN[form["type"]]


def _array(item: Way, may_lack: bool) -> Way:
    """``may_lack``: where items are named, as categories are, null is one that is missing, which is an empty text."""

    def read_all(value: Any) -> list[Any]:
        lacks = may_lack and isinstance(value, dict)
        return ["" if each is None and lacks else item.read(each) for each in listed(value)]

    write = item.write
    return Way(None if write is None else lambda value: [write(each) for each in value], read_all)


def _map(item: Way) -> Way:
    def read_all(value: Any) -> Values:
        if not isinstance(value, dict):
            raise JsonError("is not an object")
        return {read_text(name): item.read(each) for name, each in value.items()}

    write = item.write
    return Way(None if write is None else lambda value: {name: write(each) for name, each in value.items()}, read_all)
