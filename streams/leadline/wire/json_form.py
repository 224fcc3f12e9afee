"""Records in plain JSON, which the topics that applications write to take too.

Times are epoch milliseconds or ISO-8601 with zone. A feature that is absent, null or NaN is missing. Fields that are not known are ignored.
"""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JsonError(ValueError):
    """The JSON is not the record; the message names the field."""


def read_json(name: str, value: bytes) -> dict[str, Any]:
    """The fields of a PredictionRequest or an Outcome; raises JsonError.

    >>> read_json("Outcome", b'{"request_id": "r1", "outcome": 1, "outcome_time": "1970-01-01T00:00:01Z"}')
    {'request_id': 'r1', 'outcome': 1.0, 'outcome_time': 1000}
    """
    try:
        given = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from None
    if not isinstance(given, dict):
        raise JsonError("not an object")
    return _outcome(given) if name == "Outcome" else _request(given)


def _outcome(given: dict[str, Any]) -> dict[str, Any]:
    if "outcome" not in given:
        raise JsonError("outcome is missing; null takes back what was said before")
    outcome = None if given["outcome"] is None else _number(given, "outcome")
    return {"request_id": _text(given, "request_id"), "outcome": outcome, "outcome_time": _time(given, "outcome_time")}


def _request(given: dict[str, Any]) -> dict[str, Any]:
    features, categories = _object(given, "features"), _object(given, "categories")
    present = {name: _number(features, name) for name, value in features.items() if value is not None}
    said = {name: _text(categories, name) for name, value in categories.items() if value is not None}
    return {
        "request_id": _text(given, "request_id"),
        "model": _text(given, "model"),
        "user_id": _text(given, "user_id") if "user_id" in given else "",
        "event_time": _time(given, "event_time"),
        "features": {name: value for name, value in present.items() if not math.isnan(value)},
        "categories": said,
    }


def _object(given: dict[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise JsonError(f"{name} is not an object")
    return value or {}


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise JsonError(f"{name} is missing" if value is None else f"{name} is not a string")
    return value


def _number(given: dict[str, Any], name: str) -> float:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JsonError(f"{name} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise JsonError(f"{name} is too large a number") from None


def _time(given: dict[str, Any], name: str) -> int:
    value = given.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise JsonError(f"{name} is neither epoch milliseconds nor ISO-8601 with zone")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
