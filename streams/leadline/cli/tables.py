"""Rows of a CSV, JSONL or Parquet file, as records to send."""

import json
import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadline.records import Outcome, PredictionRequest, to_number
from leadline.settings import ModelSettings, SettingsError


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file as dicts; CSV and JSONL may be gzipped. Raises SettingsError that names the file, and the line where it can."""
    name = path.name.removesuffix(".gz")
    try:
        if name.endswith(".parquet"):
            yield from pyarrow.parquet.read_table(path).to_pylist()
        elif name.endswith(".csv"):
            yield from _csv_rows(path)
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
    except (pa.ArrowInvalid, OSError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    header = pyarrow.csv.open_csv(path).schema.names
    kinds = dict.fromkeys(header, pa.string())
    for batch in pyarrow.csv.open_csv(
        path, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    ):
        yield from batch.to_pylist()


def _json_rows(path: Path, text: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SettingsError(f"{path}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise SettingsError(f"{path}, line {number}: not an object")
            yield row


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
        raise SettingsError(f"{name} is missing in {_short(row)}")
    return str(value)


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        return to_number(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        raise SettingsError(f"{name} is {value!r}, not a number, in {_short(row)}") from None


def _time(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    if isinstance(value, int):
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
        raise SettingsError(f"{name} is {value!r}, neither epoch milliseconds nor ISO-8601 with zone, in {_short(row)}")
    return round(moment.timestamp() * 1000)


def _short(row: dict[str, Any]) -> str:
    text = json.dumps(row, default=str, ensure_ascii=False)
    return text if len(text) < 120 else text[:117] + "..."
