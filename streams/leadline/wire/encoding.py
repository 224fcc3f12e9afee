"""Outputs as bytes: the values and keys of their records, and what decides their partition."""

from collections.abc import Callable
from itertools import repeat

import pyarrow as pa
import pyruhvro

from leadline.core.processor import Output
from leadline.wire.forms import to_dict
from leadline.wire.schemas import TAIL, head, text
from leadline.wire.single import write_body
from leadline.wire.topics import BY_NAME, MANY

FEW_RECORDS = 8
"""So many are read and written one by one: the columnar writer wakes another thread, which costs as much as ten records."""
Start = Callable[[str, str], bytes]
"""The bytes before the body of a record, by its topic and its class."""


def single_object(topic: str, name: str) -> bytes:  # noqa: ARG001
    """The start of a record in single-object encoding."""
    return head(name)


def encode(output: Output, start: Start = single_object) -> list[bytes]:
    """The values of an output in Avro, in the order of its records."""
    if output.columns is None:
        named = [(type(record).__name__, record) for record in output.records]
        return [start(output.topic, name) + write_body(name, to_dict(record)) for name, record in named]
    if not output.columns.num_rows:
        return []
    name = MANY[output.topic]
    mark = start(output.topic, name)
    if output.bodies:
        marks = repeat(mark, len(output.bodies))
        return list(map(b"".join, zip(marks, output.bodies, _written(output.columns, TAIL), strict=True)))
    return list(map(mark.__add__, _written(output.columns, name)))


def _written(columns: pa.RecordBatch, name: str) -> list[bytes]:
    if columns.num_rows <= FEW_RECORDS:
        return [write_body(name, row) for row in columns.to_pylist(maps_as_pydicts="strict")]
    [written] = pyruhvro.serialize_record_batch(columns, text(name), 1)
    bodies: list[bytes] = written.to_pylist()
    return bodies


def keys_of(output: Output) -> list[bytes]:
    """The keys of an output: its own, or those that the topic table gives its records.

    >>> from leadline.records import JoinCounts
    >>> counts = Output("metrics", records=[JoinCounts("delays", -1, 1, 0, *[0] * 16)])
    >>> keys_of(counts), routes_of(counts)
    ([b'["counts","delays"]'], [b'delays'])
    """
    key = BY_NAME[output.topic].key
    if output.keys or key is None:
        return output.keys
    return [key.of(record) for record in output.records]


def routes_of(output: Output) -> list[bytes]:
    """The bytes whose murmur2 hash decides the partition of each record. An output that names its partition does not need them."""
    route = BY_NAME[output.topic].route
    return keys_of(output) if route is None else [route.of(record) for record in output.records]
