"""Runs of bytes to batches. What cannot be read becomes a dead letter with a reason.

Topics of many events are read a column at a time (Rust, through Arrow), except requests that come in small runs: somebody waits for them,
and one by one they are read sooner. The columnar decoder does not say which record it refuses, nor how far it read. So where it refuses
a run, or the columns written again are not the bytes that came, the reference (`leadline.wire.single`) reads the records in question.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from leadline.core.columnar.columns import Ints, cut, lengths, rising
from leadline.core.processor import Batch, Glance, Raw
from leadline.records import Record
from leadline.wire.encoding import FEW_RECORDS
from leadline.wire.glances import NO_GLANCES, Glances, glances_at
from leadline.wire.rules import broken, broken_record
from leadline.wire.run import ARRIVAL_HEADER, DeadLetter, Run
from leadline.wire.schemas import parsed, text
from leadline.wire.single import body_of, read_body, read_record, start_of, write_body
from leadline.wire.topics import MANY
from leadline.wire.unreadable import UnreadableError

FEW_REQUESTS = 32
"""So many requests come as record objects: as columns they would take longer, and somebody waits for them."""
NO_TIME = -(2**63)

Letters = list[DeadLetter]


class _Rules(NamedTuple):
    """What the rules have to know besides the records: their arrival times, and how far ahead of them other times may be."""

    arrival_ms: Ints
    max_ahead_ms: int | None


def decode(
    run: Run, max_bytes: int, max_ahead_ms: int | None = None, glances: Glances = NO_GLANCES
) -> tuple[Batch, Letters]:
    """The readable records of a run, and a dead letter for each other one.

    Records over ``max_bytes`` are not read; those whose time is further ahead of their arrival than ``max_ahead_ms`` cannot be used.
    ``glances``: at whose records a glance is enough, in topics of few.
    """
    arrival = np.array(_arrivals(run), np.int64)
    rules = _Rules(arrival, max_ahead_ms)
    letters: Letters = []
    records: list[Record] = []
    columns: pa.RecordBatch | None = None
    bodies: list[bytes] = []
    seen: list[Glance] = []
    if run.topic in MANY and not (run.topic == "prediction-requests" and len(run) <= FEW_REQUESTS):
        indexes, columns, bodies = _columns(run, max_bytes, rules, letters)
    else:
        seen, some = glances_at(run, glances, max_bytes) if glances.names else ([], range(len(run)))
        indexes, records = _records(run, some, max_bytes, rules, letters)
    whole = len(indexes) == len(run)
    batch = Batch(
        run.topic,
        run.partition,
        rising(run.offsets if whole else [run.offsets[i] for i in indexes]),
        arrival if whole else arrival[indexes],
        _present(run.keys if whole else [run.keys[i] for i in indexes]),
        run.offsets[-1] if len(run) else -1,
        int(arrival.max(initial=NO_TIME)),
        columns,
        bodies,
        records,
        glances=seen,
    )
    return batch, letters


def undecoded(run: Run) -> Batch:
    """All records of a run as they are, but for those that only say what time it is."""
    rows = [i for i in range(len(run)) if not _is_clock(run, i)]
    arrival = np.array(_arrivals(run), np.int64)
    raw = [Raw(run.offsets[i], run.keys[i], run.values[i], run.unreadable.get(run.offsets[i], "")) for i in rows]
    return Batch(
        run.topic,
        run.partition,
        rising([each.offset for each in raw]),
        arrival[rows],
        [each.key or b"" for each in raw],
        run.offsets[-1] if len(run) else -1,
        int(arrival.max(initial=NO_TIME)),
        raw=raw,
    )


def _present(column: list[bytes | None]) -> list[bytes]:
    """The column with empty bytes for None."""
    return [each or b"" for each in column] if column.count(None) else column  # type: ignore[return-value]


# -- arrival times ------------------------------------------------------------------------------------------------------


def _arrivals(run: Run) -> list[int]:
    """The arrival time of each record: its header, or else the time that the log gives it.

    What cannot be read has none: its headers may say another time than the log, years away where that is replayed.
    """
    if not any(run.headers) and not run.unreadable:
        return run.timestamps
    columns = zip(run.offsets, run.timestamps, run.headers, strict=True)
    return [NO_TIME if offset in run.unreadable else _arrival(time, headers) for offset, time, headers in columns]


def _arrival(time: int, headers: Sequence[tuple[str, bytes]]) -> int:
    for name, value in headers:
        if name == ARRIVAL_HEADER:
            try:
                said = time if b"_" in value else int(value)
            except (TypeError, ValueError):  # a header may be without value
                return time
            return said if abs(said) < 2**62 else time
    return time


def _is_clock(run: Run, i: int) -> bool:
    return run.values[i] is None and any(name == ARRIVAL_HEADER for name, _ in run.headers[i])


# -- record by record ---------------------------------------------------------------------------------------------------


def _records(
    run: Run, some: Iterable[int], max_bytes: int, rules: _Rules, letters: Letters
) -> tuple[list[int], list[Record]]:
    """The readable records of some in the run, and their indexes."""
    indexes, records = [], []
    for i in some:
        value = run.values[i]
        if _is_clock(run, i):
            continue
        try:
            record = read_record(value, run.topic, max_bytes)
            rule = broken_record(run.topic, record, run.keys[i], int(rules.arrival_ms[i]), rules.max_ahead_ms)
            if rule is None:
                records.append(record)
                indexes.append(i)
            else:
                letters.append(_letter(run, i, *rule))
        except UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return indexes, records


def _letter(run: Run, i: int, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(run.topic, run.partition, run.offsets[i], run.keys[i], run.values[i], reason, detail)


# -- a column at a time -------------------------------------------------------------------------------------------------


def _columns(
    run: Run, max_bytes: int, rules: _Rules, letters: Letters
) -> tuple[list[int], pa.RecordBatch | None, list[bytes]]:
    """The readable records: their indexes in the run, columns and bodies."""
    name = MANY[run.topic]
    indexes, bodies = _bodies(run, name, max_bytes, letters)
    columns = _to_columns(bodies, name) if len(bodies) > FEW_RECORDS else None
    odd = set(range(len(bodies))) if columns is None else unusual(columns, bodies, text(name))
    if columns is None or odd:
        indexes, bodies = _rewritten(run, indexes, bodies, name, letters, odd)
        columns = _to_columns(bodies, name) if bodies else None
    return _lawful(run, indexes, bodies, columns, name, rules, letters) if columns is not None else ([], None, [])


def _bodies(run: Run, name: str, max_bytes: int, letters: Letters) -> tuple[list[int], list[bytes]]:
    """The bodies in today's schema of all records that have one, and their indexes in the run."""
    start = _start_of_all(run.values, name, max_bytes)
    if start is not None:
        return list(range(len(run))), cut(_present(run.values), start)
    indexes, bodies = [], []
    for i, value in enumerate(run.values):
        if _is_clock(run, i):
            continue
        try:
            bodies.append(body_of(value, run.topic, name, max_bytes))
            indexes.append(i)
        except UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return indexes, bodies


def _start_of_all(values: list[bytes | None], name: str, max_bytes: int) -> int | None:
    """Where the bodies of all records start, if they begin in one way, are of today's schema, and none is too large."""
    first = values[0] if values else None
    start = start_of(first, name)
    if first is None or start is None:
        return None
    column = pa.array(values, pa.binary())
    same = not column.null_count and pc.all(pc.starts_with(column, pattern=first[:start])).as_py()
    return start if same and int(lengths(column).max(initial=0)) <= max_bytes else None


def _to_columns(bodies: list[bytes], name: str) -> pa.RecordBatch | None:
    """Columns; None where the decoder refuses a body. Strings are checked here: the decoder lets pass what is not UTF-8."""
    try:
        columns = pyruhvro.deserialize_array(bodies, text(name))
        columns.validate(full=True)
    except Exception:  # noqa: BLE001 - its Rust errors come as any kind
        return None
    return columns


def unusual(columns: pa.RecordBatch, bodies: list[bytes], schema: str) -> set[int]:
    """Write the columns again: which bodies differ from what came. They have bytes too many, or are legal in an unusual form.

    >>> schema = '{"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]}'
    >>> bodies = [bytes([2]), bytes([4, 0]), bytes([0x86, 0])]  # 1; 2 and a byte too many; 3 in a byte more than it needs
    >>> sorted(unusual(pyruhvro.deserialize_array(bodies, schema), bodies, schema))
    [1, 2]
    """
    given, [again] = pa.array(bodies, pa.binary()), pyruhvro.serialize_record_batch(columns, schema, 1)
    if again.equals(given):
        return set()
    return set(np.flatnonzero(pc.not_equal(again, given).to_numpy(zero_copy_only=False)).tolist())


def _rewritten(
    run: Run, indexes: list[int], bodies: list[bytes], name: str, letters: Letters, odd: set[int]
) -> tuple[list[int], list[bytes]]:
    """The bodies, with the odd ones read by the reference and written in the usual form; those that it cannot read are left out."""
    kept, written = [], []
    for row, (i, body) in enumerate(zip(indexes, bodies, strict=True)):
        try:
            written.append(write_body(name, read_body(parsed(name), body)) if row in odd else body)
            kept.append(i)
        except UnreadableError as error:
            letters.append(_letter(run, i, error.reason, error.detail))
    return kept, written


def _lawful(
    run: Run,
    indexes: list[int],
    bodies: list[bytes],
    columns: pa.RecordBatch,
    name: str,
    rules: _Rules,
    letters: Letters,
) -> tuple[list[int], pa.RecordBatch, list[bytes]]:
    """The rows that keep every rule of `leadline.wire.rules`; each other one is a dead letter, by the first rule that it breaks."""
    bad = np.zeros(len(indexes), bool)
    keys = run.keys if len(indexes) == len(run) else [run.keys[i] for i in indexes]
    arrival_ms = rules.arrival_ms if len(indexes) == len(run) else rules.arrival_ms[indexes]
    for rows, reason, detail in broken(name, columns, keys, arrival_ms, rules.max_ahead_ms):
        if rows.any():
            letters += [_letter(run, indexes[row], reason, detail) for row in np.flatnonzero(rows & ~bad).tolist()]
            bad |= rows
    if not bad.any():
        return indexes, columns, bodies
    good = np.flatnonzero(~bad)
    return [indexes[row] for row in good.tolist()], columns.take(pa.array(good)), [bodies[row] for row in good.tolist()]
