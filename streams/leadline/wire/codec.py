"""Runs of bytes to batches, and outputs to bytes.

Topics of many events are decoded and encoded a column at a time (Rust, through Arrow); fastavro is the reference, and reads each record
that the columnar decoder refuses, or that its columns do not give back byte for byte: the decoder does not tell how far it read. Requests
that come in small runs are read one by one, since somebody waits for them. Whatever cannot be read becomes a dead letter with a reason.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from leadline.core.batch import Batch, Output
from leadline.core.columns import cut, lengths, rising
from leadline.records import (
    Alert,
    DriftReport,
    JoinCounts,
    LabeledPrediction,
    Record,
    RetrainRequest,
    Rollout,
    WindowMetrics,
    WindowPartial,
    WindowProfile,
    identity,
)
from leadline.wire.forms import to_dict, to_record
from leadline.wire.json_form import JsonError, read_json
from leadline.wire.rules import broken, broken_record
from leadline.wire.run import ARRIVAL_HEADER, DeadLetter, Run
from leadline.wire.schemas import HEAD_BYTES, TAIL, head, parsed, plain, released

MANY = {
    "prediction-requests": "PredictionRequest",
    "predictions": "Prediction",
    "outcomes": "Outcome",
    "labeled-predictions": "LabeledPrediction",
}
"""Topics of many events: one schema each, decoded to columns."""
FEW = {
    "window-partials": ("WindowPartial", "JoinCounts"),
    "metrics": ("WindowMetrics", "JoinCounts"),
    "window-profiles": ("WindowProfile",),
    "drift": ("DriftReport",),
    "alerts": ("Alert",),
    "retrain-requests": ("RetrainRequest",),
    "rollouts": ("Rollout",),
}
"""Topics of few records, decoded to record objects."""
FEW_RECORDS = 8
"""So many are read and written one by one: the columnar writer wakes another thread, which costs as much as ten records."""
FEW_REQUESTS = 32
"""So many requests come as record objects: as columns they would take longer, and somebody waits for them."""
JSON_TOPICS = ("prediction-requests", "outcomes")
NO_TIME = -(2**63)


class _UnreadableError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail[:300]  # it may name what a hostile record calls a field


# -- decoding -----------------------------------------------------------------------------------------------------------


def decode(run: Run, max_bytes: int) -> tuple[Batch, list[DeadLetter]]:
    """The readable records of a run, and a dead letter for each other one; records over ``max_bytes`` are not read."""
    arrival = _arrivals(run)
    letters: list[DeadLetter] = []
    if run.topic in MANY and not (run.topic == "prediction-requests" and len(run) <= FEW_REQUESTS):
        at, columns, bodies = _columns(run, max_bytes, letters)
        records: list[Record] = []
    else:
        columns, bodies = None, []
        at, records = _records(run, max_bytes, letters)
    whole = len(at) == len(run)
    batch = Batch(
        run.topic,
        run.partition,
        rising(run.offsets if whole else [run.offsets[i] for i in at]),
        np.array(arrival if whole else [arrival[i] for i in at], np.int64),
        _present(run.keys if whole else [run.keys[i] for i in at]),
        run.offsets[-1] if len(run) else -1,
        max(arrival, default=NO_TIME),
        columns,
        bodies,
        records,
    )
    return batch, letters


def _present(column: list[bytes | None]) -> list[bytes]:
    """Where nothing is, no bytes."""
    return [each or b"" for each in column] if column.count(None) else column  # type: ignore[return-value]


def _arrivals(run: Run) -> list[int]:
    if not any(run.headers):
        return run.timestamps
    return [
        time if not headers else _arrival(time, headers)
        for time, headers in zip(run.timestamps, run.headers, strict=True)
    ]


def _arrival(time: int, headers: Sequence[tuple[str, bytes]]) -> int:
    for name, value in headers:
        if name == ARRIVAL_HEADER:
            try:
                said = int(value)
            except (TypeError, ValueError):  # a header may be without value
                return time
            return said if abs(said) < 2**62 else time
    return time


def _letter(run: Run, i: int, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(run.topic, run.partition, run.offsets[i], run.keys[i], run.values[i], reason, detail)


def _is_clock(run: Run, i: int) -> bool:
    return run.values[i] is None and any(name == ARRIVAL_HEADER for name, _ in run.headers[i])


def _columns(
    run: Run, max_bytes: int, letters: list[DeadLetter]
) -> tuple[list[int], pa.RecordBatch | None, list[bytes]]:
    name = MANY[run.topic]
    at, bodies = _bodies(run, name, max_bytes, letters)
    columns = _to_columns(bodies, name) if len(bodies) > FEW_RECORDS else None
    odd = None if columns is None else unusual(columns, bodies, _text(name))
    if odd is None or odd:
        at, bodies = _weed(run, at, bodies, name, letters, odd)
        columns = _to_columns(bodies, name) if bodies else None
    return _lawful(run, at, bodies, columns, name, letters) if columns is not None else ([], None, [])


def _bodies(run: Run, name: str, max_bytes: int, letters: list[DeadLetter]) -> tuple[list[int], list[bytes]]:
    if _are_of_today(run.values, name, max_bytes):
        return list(range(len(run))), cut(_present(run.values), HEAD_BYTES)
    at, bodies = [], []
    for i, value in enumerate(run.values):
        if _is_clock(run, i):
            continue
        try:
            bodies.append(_body(value, run.topic, name, max_bytes))
            at.append(i)
        except _UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return at, bodies


def _are_of_today(values: list[bytes | None], name: str, max_bytes: int) -> bool:
    """Whether all are of this schema, and none is too large."""
    column = pa.array(values, pa.binary())
    same = not column.null_count and pc.all(pc.starts_with(column, pattern=head(name))).as_py()
    return bool(same) and int(lengths(column).max(initial=0)) <= max_bytes


def _body(value: bytes | None, topic: str, name: str, max_bytes: int) -> bytes:
    """The body of a record in today's schema, whatever known form it came in."""
    if value is None:
        raise _UnreadableError("empty-value", "a record without value says nothing")
    if len(value) > max_bytes:
        raise _UnreadableError("record-too-large", f"{len(value)} bytes, over the limit of {max_bytes}")
    if value[:HEAD_BYTES] == head(name):
        return value[HEAD_BYTES:]
    if topic in JSON_TOPICS and value.lstrip()[:1] == b"{":
        try:
            return _write(name, read_json(name, value))
        except JsonError as error:
            raise _UnreadableError("json-not-a-record", str(error)) from None
        except UnicodeEncodeError:
            raise _UnreadableError(
                "json-not-a-record", "a string has half a surrogate pair: it is no Unicode"
            ) from None
    older = released().get(value[:HEAD_BYTES])
    if older is None or older[0] != name:
        raise _UnreadableError(
            "unknown-schema", f"neither {name} in single-object encoding nor, where it is accepted, JSON"
        )
    return _write(name, _read(older[1], value[HEAD_BYTES:], parsed(name)))


def _to_columns(bodies: list[bytes], name: str) -> pa.RecordBatch | None:
    """Columns, or None where any body is refused; the decoder itself lets strings pass that are not UTF-8."""
    try:
        columns = pyruhvro.deserialize_array(bodies, _text(name))
        columns.validate(full=True)
    except Exception:  # noqa: BLE001 - its Rust errors come as any kind
        return None
    return columns


def unusual(columns: pa.RecordBatch, bodies: list[bytes], schema: str) -> set[int]:
    """Places of the records that are not what their columns give when written again: with bytes too many, or legal but unusual.

    >>> schema = '{"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}'
    >>> bodies = [bytes([2]), bytes([4, 0]), bytes([0x86, 0])]  # 1; 2 and a byte too many; 3 in a byte more than it needs
    >>> sorted(unusual(pyruhvro.deserialize_array(bodies, schema), bodies, schema))
    [1, 2]
    """
    given, [again] = pa.array(bodies, pa.binary()), pyruhvro.serialize_record_batch(columns, schema, 1)
    if again.equals(given):
        return set()
    return set(np.flatnonzero(pc.not_equal(again, given).to_numpy(zero_copy_only=False)).tolist())


def _weed(
    run: Run, at: list[int], bodies: list[bytes], name: str, letters: list[DeadLetter], odd: set[int] | None = None
) -> tuple[list[int], list[bytes]]:
    """Read the odd ones (None: all) by the reference decoder; what it reads is written anew, what it cannot is a dead letter."""
    kept, written = [], []
    for place, (i, body) in enumerate(zip(at, bodies, strict=True)):
        try:
            written.append(body if odd is not None and place not in odd else _write(name, _read(parsed(name), body)))
            kept.append(i)
        except _UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return kept, written


def _lawful(
    run: Run, at: list[int], bodies: list[bytes], columns: pa.RecordBatch, name: str, letters: list[DeadLetter]
) -> tuple[list[int], pa.RecordBatch, list[bytes]]:
    bad = np.zeros(len(at), bool)
    keys = run.keys if len(at) == len(run) else [run.keys[i] for i in at]
    for rows, reason, detail in broken(name, columns, keys):
        if rows.any():
            letters += [_letter(run, at[i], reason, detail) for i in np.flatnonzero(rows & ~bad).tolist()]
            bad |= rows
    if not bad.any():
        return at, columns, bodies
    good = np.flatnonzero(~bad)
    return [at[i] for i in good.tolist()], columns.take(pa.array(good)), [bodies[i] for i in good.tolist()]


def _records(run: Run, max_bytes: int, letters: list[DeadLetter]) -> tuple[list[int], list[Record]]:
    at, records = [], []
    for i, value in enumerate(run.values):
        if _is_clock(run, i):
            continue
        try:
            records.append(_lawful_record(run.topic, _record(value, run.topic, max_bytes), run.keys[i]))
            at.append(i)
        except _UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return at, records


def _lawful_record(topic: str, record: Record, key: bytes | None) -> Record:
    rule = broken_record(topic, record, key)
    if rule is not None:
        raise _UnreadableError(*rule)
    return record


def _record(value: bytes | None, topic: str, max_bytes: int) -> Record:
    names = (MANY[topic],) if topic in MANY else FEW[topic]
    name = next((each for each in names if value is not None and value[:HEAD_BYTES] == head(each)), names[0])
    return to_record(name, _read(parsed(name), _body(value, topic, name, max_bytes)))


def _read(written: dict[str, Any], body: bytes, reader: dict[str, Any] | None = None) -> dict[str, Any]:
    """One record by fastavro, all of the body; raises _UnreadableError."""
    stream = io.BytesIO(body)
    try:
        values = fastavro.schemaless_reader(stream, written, reader)
    except Exception as error:  # noqa: BLE001 - hostile bytes raise many kinds
        raise _UnreadableError("undecodable", f"{type(error).__name__}: {error}") from None
    if stream.tell() != len(body):
        raise _UnreadableError("trailing-bytes", f"{len(body) - stream.tell()} bytes behind the record")
    return values  # type: ignore[return-value]


def read(topic: str, value: bytes | None) -> Record:
    """One record of a topic, for looking at; raises ValueError with the reason."""
    try:
        return _record(value, topic, 1 << 30)
    except _UnreadableError as error:
        raise ValueError(f"{error.reason}: {error.detail}") from None


# -- encoding -----------------------------------------------------------------------------------------------------------


@cache
def _text(name: str) -> str:
    return json.dumps(plain(name))


def _write(name: str, values: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed(name), values)
    return stream.getvalue()


def encode(output: Output) -> list[bytes]:
    """The records of an output as bytes, in their order."""
    if output.columns is None:
        return [value_of(record) for record in output.records]
    if not output.columns.num_rows:
        return []
    name = MANY[output.topic]
    mark = head(name)
    if output.bodies:
        marks = repeat(mark, len(output.bodies))
        return list(map(b"".join, zip(marks, output.bodies, _written(output.columns, TAIL), strict=True)))
    return list(map(mark.__add__, _written(output.columns, name)))


def _written(columns: pa.RecordBatch, name: str) -> list[bytes]:
    if columns.num_rows <= FEW_RECORDS:
        return [_write(name, row) for row in columns.to_pylist(maps_as_pydicts="strict")]
    [written] = pyruhvro.serialize_record_batch(columns, _text(name), 1)
    bodies: list[bytes] = written.to_pylist()
    return bodies


def value_of(record: Record) -> bytes:
    """One record in single-object encoding."""
    name = type(record).__name__
    return head(name) + _write(name, to_dict(record))


@dataclass(frozen=True, slots=True)
class Wire:
    """How a lane's records look outside: the names of their topics, and their bytes.

    There is one form, which everybody speaks: this one. Another lets the stages read and write what was made for somebody else, as
    `benchmarks.peer` does. ``names``: the whole name of each topic that is not called by prefix and noun.

    >>> Wire().topic("leadline", "outcomes"), Wire(names={"outcomes": "labels"}).topic("leadline", "outcomes")
    ('leadline.outcomes', 'labels')
    """

    decode: Callable[[Run, int], tuple[Batch, list[DeadLetter]]] = decode
    encode: Callable[[Output], list[bytes]] = encode
    names: Mapping[str, str] = field(default_factory=dict)

    def topic(self, prefix: str, noun: str) -> str:
        """The name of a noun's topic."""
        return self.names.get(noun, f"{prefix}.{noun}")


WIRE = Wire()


def key_of(topic: str, record: Record) -> bytes:
    """The key of a record of a topic: the id that it carries, or what it is about as a JSON array.

    >>> key_of("retrain-requests", RetrainRequest("r1", "delays", "v1", 0, "worse than its limit", "a1", {}))
    b'delays'
    """
    match record:
        case WindowPartial():
            place = record.model, record.model_version, record.segment, record.window_start
            return identity(*place, record.source_partition)
        case WindowMetrics():
            return identity(record.model, record.model_version, record.segment, record.window_start)
        case WindowProfile():
            return identity(record.model, record.model_version, record.window_start, record.source_partition)
        case DriftReport():
            return identity(record.model, record.model_version, record.window_start, record.feature)
        case JoinCounts():
            source = [record.source_partition] if topic == "window-partials" else []
            return identity("counts", record.model, *source)
        case Rollout() | RetrainRequest():
            return record.model.encode()
        case Alert():
            return record.alert_id.encode()
        case LabeledPrediction():
            return record.prediction.request_id.encode()
        case _:
            return record.request_id.encode()
