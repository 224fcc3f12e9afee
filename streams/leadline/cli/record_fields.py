"""A record as JSON has it: times as ISO-8601, sums as numbers, bytes in base64, values of features under their names.

Which fields are times and sums, the schemas say: a new one is told right by itself.
"""

import math
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from leadline.core.models import Signature
from leadline.records import Record, iso
from leadline.wire.schemas import schema

Signatures = Callable[[str, str], Signature | None]
"""The signature of a version of a model; None where it is not known here."""
_SCALE = 12


def record_fields(record: Record, signatures: Signatures) -> dict[str, Any]:
    """The fields of a record, for `as_json`.

    >>> from leadline.records import Outcome
    >>> record_fields(Outcome("r1", 1.0, 1_767_225_600_000), lambda *_: None)
    {'request_id': 'r1', 'outcome': 1.0, 'outcome_time': '2026-01-01T00:00:00Z', 'class_name': None}
    """
    name = type(record).__name__
    fields: dict[str, Any] = _told(asdict(record), schema(name), _named(name))
    prediction = fields if name == "Prediction" else fields.get("prediction")
    if prediction:
        prediction |= _by_name(prediction, signatures)
    return fields


def _told(value: Any, form: Any, named: dict[str, Any]) -> Any:
    """A value of this schema; ``named``: the schemas that others refer to."""
    form = named.get(form, form) if isinstance(form, str) else form
    if isinstance(form, list):
        form = next((each for each in form if each != "null"), "null")
        return _told(value, form, named)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if value is None or isinstance(form, str):
        return value
    match form.get("logicalType"), form["type"]:
        case "timestamp-millis", _:
            return iso(value)
        case "decimal", _:
            return value / 10**_SCALE
        case _, "record":
            return {each["name"]: _told(value[each["name"]], each["type"], named) for each in form["fields"]}
        case _, "array":
            return [_told(each, form["items"], named) for each in value]
        case _, "map":
            return {name: _told(each, form["values"], named) for name, each in value.items()}
    return value


@cache
def _named(name: str) -> dict[str, Any]:
    return {each["name"]: each for each in _records(schema(name))}


def _records(form: Any) -> Iterator[dict[str, Any]]:
    """The schemas of records in a schema."""
    if isinstance(form, list):
        for each in form:
            yield from _records(each)
    elif isinstance(form, dict):
        if form["type"] == "record":
            yield form
        inner = [each["type"] for each in form.get("fields", ())]
        for each in (*inner, form.get("items"), form.get("values")):
            yield from _records(each)


# -- names of features --------------------------------------------------------------------------------------------------


def _by_name(prediction: dict[str, Any], signatures: Signatures) -> dict[str, Any]:
    """The values of a prediction under the names of its version; under their places where these are not known. Missing is null."""
    known = signatures(prediction["model"], prediction["model_version"])
    fits = known is not None and known.id == prediction["signature"]
    names, categorical = (known.names, known.categorical) if known and fits else ([], [])
    values = [None if math.isnan(each) else each for each in prediction["features"]]
    texts = [each or None for each in prediction["categories"]]
    return {"features": _zipped(names, values), "categories": _zipped(categorical, texts)}


def _zipped(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values by name, or by place where there are not as many names.

    >>> _zipped(["age", "sum"], [1.0, 2.0]), _zipped([], [1.0])
    ({'age': 1.0, 'sum': 2.0}, {'0': 1.0})
    """
    fitting = names if len(names) == len(values) else map(str, range(len(values)))
    return dict(zip(fitting, values, strict=True))
