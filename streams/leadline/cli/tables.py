"""Rows of a CSV, JSONL or Parquet file, as records to send."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadline.records import Outcome, PredictionRequest, to_number
from leadline.settings import ModelSettings, SettingsError
from leadline.wire.codec import decode
from leadline.wire.run import Run
from leadline.wire.single import value_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RowError(ValueError):
    """A row is no record; the message says why."""


class Row(NamedTuple):
    """A row of a file, and where it is."""

    where: str
    values: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; CSV and JSONL may be gzipped. Raises SettingsError that names the file, and the line where it can."""
    name = path.name.removesuffix(".gz")
    try:
        if name.endswith(".parquet"):
            yield from _numbered(path, pyarrow.parquet.read_table(path).to_pylist())
        elif name.endswith(".csv"):
            yield from _numbered(path, _csv_rows(path))
        elif name.endswith((".jsonl", ".ndjson")):
            with (
                pa.OSFile(str(path)) as file,
                pa.CompressedInputStream(file, "gzip") if path.suffix == ".gz" else file as stream,
            ):
                yield from _json_rows(path, stream.read())
        else:
            raise SettingsError(f"{path}: send takes .csv, .jsonl and .parquet (the first two also as .gz)")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _numbered(path: Path, rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    return (Row(f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


class Made(NamedTuple):
    """The record that was made of a row, and where the row is."""

    where: str
    key: bytes
    value: bytes


def to_record(row: Row, make: Callable[[dict[str, Any]], Outcome | PredictionRequest]) -> Made:
    """The record that is made of a row; raises SettingsError."""
    try:
        record = make(row.values)
        return Made(row.where, record.request_id.encode(), value_of(record))
    except RowError as error:
        raise SettingsError(f"{row.where}: {error}") from None
    except UnicodeEncodeError:
        raise SettingsError(f"{row.where}: a text has half a surrogate pair: it is no Unicode") from None


def check(topic: str, records: Sequence[Made], most: int, now_ms: int) -> None:
    """Raise SettingsError for the first record that the stages could not use; ``most``: bytes that one may have."""
    count = len(records)
    keys: list[bytes | None] = [each.key for each in records]
    values: list[bytes | None] = [each.value for each in records]
    _, letters = decode(Run(topic, 0, list(range(count)), [now_ms] * count, keys, values, [()] * count), most)
    if letters:
        first = min(letters, key=lambda letter: letter.offset)
        raise SettingsError(f"{records[first.offset].where}: {first.reason}: {first.detail}")


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    header = pyarrow.csv.open_csv(path).schema.names
    kinds = dict.fromkeys(header, pa.string())
    for batch in pyarrow.csv.open_csv(
        path, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    ):
        yield from batch.to_pylist()


def _json_rows(path: Path, text: bytes) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SettingsError(f"{path}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise SettingsError(f"{path}, line {number}: not an object")
            yield Row(f"{path}, line {number}", row)


def to_outcome(row: dict[str, Any]) -> Outcome:
    """An outcome from the columns ``request_id, outcome, outcome_time``; an empty outcome takes back."""
    return Outcome(_text(row, "request_id"), _number(row, "outcome"), _time(row, "outcome_time"))


def to_request(row: dict[str, Any], model: ModelSettings) -> PredictionRequest:
    """A request from the columns ``request_id, event_time`` (``user_id``) and one column a feature, or ``features`` and ``categories``."""
    given = (
        row["features"] if isinstance(row.get("features"), dict) else {name: row.get(name) for name in model.numeric}
    )
    said = (
        row["categories"]
        if isinstance(row.get("categories"), dict)
        else {name: row.get(name) for name in _named(model)}
    )
    features = {name: value for name in given if (value := _number(given, name)) is not None and not math.isnan(value)}
    categories = {name: str(value) for name, value in said.items() if value not in (None, "")}
    user_id = str(row.get("user_id") or "")
    return PredictionRequest(
        request_id=_text(row, "request_id"),
        model=model.name,
        event_time=_time(row, "event_time"),
        features=features,
        user_id=user_id,
        categories=categories,
    )


def _named(model: ModelSettings) -> list[str]:
    """Every category that the model's settings name: as a feature, a segment or the key of a lookup."""
    keys = [lookup.key for lookup in model.lookups.values()]
    return list(dict.fromkeys([*model.categorical, *model.segments, *keys]))


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value in (None, ""):
        raise RowError(f"{name} is missing in {_short(row)}")
    return str(value)


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        return to_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"{name} is {value!r}, not a number, in {_short(row)}") from None


def _time(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    if isinstance(value, int) and abs(value) < 2**62:
        return value
    moment = value
    if isinstance(value, str):
        if re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise RowError(f"{name} is {value!r}, neither epoch milliseconds nor ISO-8601 with zone, in {_short(row)}")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _short(row: dict[str, Any]) -> str:
    text = json.dumps(row, default=str, ensure_ascii=False)
    return text if len(text) < 120 else text[:117] + "..."
