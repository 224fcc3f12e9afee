"""A record as JSON has it: the same as on a topic whose form is JSON."""

from typing import Any

from leadline.records import Record
from leadline.wire.forms import to_dict
from leadline.wire.own_json import Names, no_names, told


def record_fields(record: Record, names: Names = no_names) -> dict[str, Any]:
    """The fields of a record, for `as_json`.

    >>> from leadline.records import Outcome
    >>> record_fields(Outcome("r1", 1.0, 1_767_225_600_000))
    {'request_id': 'r1', 'outcome': 1.0, 'outcome_time': '2026-01-01T00:00:00.000Z', 'class_name': None}
    """
    return told(type(record).__name__, to_dict(record), names)
