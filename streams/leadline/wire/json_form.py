"""Records in plain JSON, which the topics that applications write to take too.

Values become fields by `leadline.wire.conversion`. Fields that are not known are ignored.
"""

import json
from typing import Any

from leadline.wire.conversion import ConversionError, outcome_fields, request_fields
from leadline.wire.json_values import JsonError

_MARK = b"\xef\xbb\xbf"


def read_json(name: str, value: bytes) -> dict[str, Any]:
    """The fields of a PredictionRequest or an Outcome; raises JsonError.

    >>> read_json("Outcome", b'{"request_id": "r1", "outcome": 1, "outcome_time": "1970-01-01T00:00:01Z"}')
    {'request_id': 'r1', 'outcome': 1.0, 'outcome_time': 1000, 'class_name': None}
    """
    try:
        given = json.loads(value.removeprefix(_MARK))
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from None
    if not isinstance(given, dict):
        raise JsonError("not an object")
    try:
        return outcome_fields(given) if name == "Outcome" else request_fields(given)
    except ConversionError as error:
        raise JsonError(str(error)) from None


def is_json(value: bytes) -> bool:
    r"""Whether a value looks like an object in JSON.

    >>> is_json(b' {"a": 1}'), is_json(b"\xef\xbb\xbf{}"), is_json(b"[1]")
    (True, True, False)
    """
    return value.removeprefix(_MARK).lstrip()[:1] == b"{"
