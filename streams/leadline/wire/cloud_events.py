"""Decisions as CloudEvents 1.0, in Kafka's binary mode: the value stays as it is, headers say what it is.

Whoever routes events by their headers needs no schema of ours. The id is made of the topic and the fields: a record that is written again
after a crash, or in another form, is the same event.
"""

import re
from hashlib import sha256

from leadline.core.processor import Output
from leadline.core.release.audit import DECISIONS
from leadline.records import Record
from leadline.wire.forms import to_dict
from leadline.wire.json_values import iso_ms
from leadline.wire.run import Headers
from leadline.wire.single import write_body
from leadline.wire.times import EARLIEST_MS, LATEST_MS
from leadline.wire.topics import BY_NAME

AVRO, JSON = "application/avro", "application/json"
_TIMES = ("as_of", "event_time", "at")
_ID_CHARS = 32


def headers_of(output: Output, prefix: str, content_type: str = AVRO) -> list[Headers] | None:
    """The headers of each record of an output; None where its topic holds no decisions. ``content_type``: of topics that people read."""
    if output.topic not in DECISIONS:
        return None
    content_type = content_type if BY_NAME[output.topic].has_form else AVRO
    return [_headers(output.topic, prefix, record, content_type) for record in output.records]


def _headers(topic: str, prefix: str, record: Record, content_type: str) -> Headers:
    said = {
        "ce_specversion": "1.0",
        "ce_id": _id(topic, record),
        "ce_source": f"/leadline/{prefix}",
        "ce_type": type_of(type(record).__name__),
        "ce_time": _time(record),
        "ce_subject": getattr(record, "model", ""),
        "content-type": content_type,
    }
    return [(name, value.encode()) for name, value in said.items() if value]


def type_of(name: str) -> str:
    """The type of the events of a record class.

    >>> type_of("RetrainRequest")
    'leadline.retrain-request'
    """
    return "leadline." + re.sub("(?<!^)(?=[A-Z])", "-", name).lower()


def _id(topic: str, record: Record) -> str:
    body = write_body(type(record).__name__, to_dict(record))
    return sha256(topic.encode() + b"\0" + body).hexdigest()[:_ID_CHARS]


def _time(record: Record) -> str:
    """When it was decided; empty where RFC 3339 has no such year."""
    time_ms = next(getattr(record, name) for name in _TIMES if hasattr(record, name))
    return iso_ms(time_ms) if EARLIEST_MS <= time_ms <= LATEST_MS else ""
