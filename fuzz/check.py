"""One run through the product and through the reference, and where they differ."""

import random
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from fuzz import reference
from fuzz.inputs import run
from fuzz.reference import AHEAD, CLOCK, LIMIT, REASONS, Raw
from leadline.core.processor import Batch
from leadline.wire.codec import FEW_RECORDS, FEW_REQUESTS, MANY, decode, read
from leadline.wire.dead_letters import to_record
from leadline.wire.run import DeadLetter, Run

_FIRST, _TIME = 100, 1_700_000_000_000
_ALONE = 8


@dataclass
class Found:
    """What became of the records of a run: how many were rows, how many dead letters by reason, and what is wrong, if anything."""

    topic: str
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    wrong: str = ""
    died: bool = False


class _WrongError(Exception):
    pass


def check_run(seed: int, number: int) -> Found:
    """Check one run of a seed."""
    return check(*run(seed, number))


def check(topic: str, records: list[Raw]) -> Found:
    """Decode the records together, the good ones once more without the others, and some alone, once and often; compare each time."""
    wanted = [reference.read(topic, record, _TIME) for record in records]
    found = Found(topic)
    found.accepted = sum(isinstance(each, dict) for each in wanted)
    found.rejected.update(each for each in wanted if isinstance(each, str))
    try:
        _compare(topic, records, wanted)
        good = [i for i, each in enumerate(wanted) if isinstance(each, dict)]
        if len(good) < len(records):
            _compare(topic, [records[i] for i in good], [wanted[i] for i in good])
        for i in _some(wanted):
            for times in (1, FEW_RECORDS + 1, FEW_REQUESTS + 1):
                _compare(topic, [records[i]] * times, [wanted[i]] * times)
            _look(topic, records[i], wanted[i])
    except _WrongError as wrong:
        found.wrong = str(wrong)
    except BaseException as error:  # noqa: BLE001 - Rust panics are no Exception; the decoder may raise nothing at all
        found.wrong = f"{type(error).__name__}: {error}"[:300]
    return found


def _some(wanted: list[Any]) -> list[int]:
    """Some indices, half of them of records that are no records: those the columnar decoder must refuse by itself."""
    rng = random.Random(len(wanted))  # noqa: S311 - any will do, but the same each time
    bad = [i for i, each in enumerate(wanted) if each in ("undecodable", "trailing-bytes")]
    indices = range(len(wanted))
    return [*rng.sample(bad, min(len(bad), _ALONE)), *rng.sample(indices, min(len(indices), _ALONE // 2))]


def _compare(topic: str, records: list[Raw], wanted: list[dict[str, Any] | str]) -> None:
    raw = Run(
        topic,
        3,
        list(range(_FIRST, _FIRST + len(records))),
        list(range(_TIME, _TIME + len(records))),
        [record.key for record in records],
        [record.value for record in records],
        [record.headers for record in records],  # type: ignore[misc] # a client may send a header without value
    )
    batch, letters = decode(raw, LIMIT, AHEAD)
    at = [i for i, each in enumerate(wanted) if isinstance(each, dict)]
    _letters(records, wanted, letters)
    got = [int(offset) - _FIRST for offset in batch.offsets]
    if got != at:
        raise _WrongError(f"rows are without {_few(set(at) - set(got))}, and with {_few(set(got) - set(at))}")
    _places(batch, records, at)
    if topic in MANY:
        _rows(topic, batch, records, wanted, at)
    else:
        for i, record in zip(at, batch.records, strict=True):
            _same(i, asdict(record), _as_record(wanted[i]))


def _letters(records: list[Raw], wanted: list[dict[str, Any] | str], letters: list[DeadLetter]) -> None:
    got = sorted((letter.offset - _FIRST, letter.reason) for letter in letters)
    said = [(i, each) for i, each in enumerate(wanted) if isinstance(each, str) and each != CLOCK]
    if got != said:
        raise _WrongError(f"dead letters are {_few(set(got) - set(said))}, not {_few(set(said) - set(got))}")
    for letter in letters:
        if (letter.key, letter.value) != records[letter.offset - _FIRST][:2]:
            raise _WrongError(f"the dead letter of record {letter.offset - _FIRST} has other bytes")
        if letter.reason not in REASONS:
            raise _WrongError(f"{letter.reason} is in no document")
        to_record(letter, "leadline", "fuzz")


def _places(batch: Batch, records: list[Raw], at: list[int]) -> None:
    arrivals = [reference.arrival(record, _TIME + i) for i, record in enumerate(records)]
    keys = [records[i].key or b"" for i in at]
    if batch.arrival_ms.tolist() != [arrivals[i] for i in at] or batch.keys != keys:
        raise _WrongError("arrival times or keys stand in other rows")
    if records and (batch.arrival_max_ms, batch.last_offset) != (max(arrivals), _FIRST + len(records) - 1):
        raise _WrongError("the highest arrival time or the last offset is another")


def _rows(topic: str, batch: Batch, records: list[Raw], wanted: list[Any], at: list[int]) -> None:
    if batch.columns is None:  # none, or few
        for i, record in zip(at, batch.records, strict=True):
            _same(i, asdict(record), wanted[i])
        return
    maps = [name for name in ("features", "categories") if topic == "prediction-requests"]
    for i, row, body in zip(at, batch.columns.to_pylist(), batch.bodies, strict=True):
        for name in maps:
            row[name] = dict(row[name])
        _same(i, row, wanted[i])
        if body != (records[i].value or b"")[10:]:
            _same(i, reference.body(MANY[topic], body), wanted[i])


def _look(topic: str, record: Raw, wanted: dict[str, Any] | str) -> None:
    """The way of ``leadline tail``: one record, without the rules; what it cannot read is a ValueError."""
    try:
        got = asdict(read(topic, record.value))
    except ValueError:
        if isinstance(wanted, dict):
            raise
        return
    if isinstance(wanted, dict):
        _same(0, got, _as_record(wanted))


def _as_record(fields: dict[str, Any]) -> dict[str, Any]:
    """Sums are whole numbers in a record object, and in records within it."""
    return {name: _value(name, each) for name, each in fields.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _as_record(value)
    return int.from_bytes(value, "big", signed=True) if name.endswith("_sum") else value


def _same(i: int, got: dict[str, Any], wanted: dict[str, Any]) -> None:
    """By their repr: that tells 0 from -0, 1 from 1.0 and from True, and is the same for each NaN."""
    if repr(sorted(got.items())) != repr(sorted(wanted.items())):
        names = [name for name in wanted if repr(got.get(name)) != repr(wanted[name])]
        raise _WrongError(f"record {i} differs in {names}: {_cut(got, names)}, not {_cut(wanted, names)}")


def _cut(fields: dict[str, Any], names: list[str]) -> str:
    return repr([fields.get(name) for name in names])[:200]


def _few(each: Any) -> str:
    return repr(sorted(each)[:5])
