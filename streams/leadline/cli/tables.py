"""Rows of a file, as records to send."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leadline.cli.rows import Row, columns_of, read_rows, twice
from leadline.records import Outcome, PredictionRequest
from leadline.settings import ModelSettings, SettingsError
from leadline.wire.codec import decode
from leadline.wire.conversion import ConversionError, missing_columns, outcome_fields, request_fields
from leadline.wire.run import Run
from leadline.wire.single import value_of

__all__ = ["Made", "RowError", "check", "check_columns", "named_columns", "read_rows", "to_outcome", "to_record", "to_request"]  # fmt: skip

OUTCOME_COLUMNS = ("request_id", "outcome", "outcome_time")
NESTED = ("features", "categories")


class RowError(ValueError):
    """A row is no record; the message says why."""


class Made(NamedTuple):
    """The record that was made of a row, and where the row is."""

    where: str
    key: bytes
    value: bytes


# -- columns ----------------------------------------------------------------------------------------------------------


def named_columns(model: ModelSettings | None) -> list[str]:
    """The columns that a file must have: of outcomes, or of requests of a model."""
    if model is None:
        return list(OUTCOME_COLUMNS)
    looked_up = {name for lookup in model.lookups.values() for name in lookup.features}
    own = [name for name in model.numeric if name not in looked_up]
    return ["request_id", "event_time", *own, *_named(model)]


def check_columns(path: Path, model: ModelSettings | None) -> None:
    """Raise SettingsError where a file lacks a column, or has one twice. JSON lines have none: `check_names` looks at all of them."""
    columns = columns_of(path)
    if columns is None:
        return
    repeated = [name for name in twice(columns) if name in named_columns(model)]
    if repeated:
        raise SettingsError(f"{path}: column {', '.join(repeated)} is there twice: rename one")
    check_names(path, columns, model)


def check_names(path: Path, names: Iterable[str], model: ModelSettings | None) -> None:
    """Raise SettingsError where a name is missing that the file has to say."""
    there = list(dict.fromkeys(names))
    wanted = named_columns(model)
    nested = [name for name in NESTED if name in there and model is not None]
    if nested:
        wanted = wanted[:2]
    missing = missing_columns(wanted, there)
    if missing:
        raise SettingsError(f"{path}: {missing}")


# -- rows -------------------------------------------------------------------------------------------------------------


def to_record(row: Row, make: Callable[[dict[str, Any]], Outcome | PredictionRequest]) -> Made:
    """The record that is made of a row; raises SettingsError."""
    try:
        record = make(row.values)
        return Made(row.where, record.request_id.encode(), value_of(record))
    except RowError as error:
        raise SettingsError(f"{row.where}: {error}") from None
    except UnicodeEncodeError:
        raise SettingsError(f"{row.where}: a text has half a surrogate pair: it is no Unicode") from None


def check(topic: str, records: Sequence[Made], most: int, now_ms: int, max_ahead_ms: int | None = None) -> None:
    """Raise SettingsError for the first record that the stages could not use; ``most``: bytes that one may have."""
    count = len(records)
    keys: list[bytes | None] = [each.key for each in records]
    values: list[bytes | None] = [each.value for each in records]
    run = Run(topic, 0, list(range(count)), [now_ms] * count, keys, values, [()] * count)
    _, letters = decode(run, most, max_ahead_ms)
    if letters:
        first = min(letters, key=lambda letter: letter.offset)
        raise SettingsError(f"{records[first.offset].where}: {first.reason}: {first.detail}")


def to_outcome(row: dict[str, Any]) -> Outcome:
    """An outcome from the columns ``request_id, outcome, outcome_time``; an empty outcome takes back."""
    try:
        return Outcome(**outcome_fields(_without_empty(row, "request_id")))
    except ConversionError as error:
        raise RowError(f"{error}, in {_short(row)}") from None


def to_request(row: dict[str, Any], model: ModelSettings) -> PredictionRequest:
    """A request from the columns ``request_id, event_time`` (``user_id``) and one column a feature, or ``features`` and ``categories``."""
    given = _without_empty(row, "request_id") | {
        "model": model.name,
        "features": _nested(row, "features", model.numeric),
        "categories": _nested(row, "categories", _named(model)),
    }
    try:
        return PredictionRequest(**request_fields(given))
    except ConversionError as error:
        raise RowError(f"{error}, in {_short(row)}") from None


def _without_empty(row: dict[str, Any], name: str) -> dict[str, Any]:
    return row | {name: None} if row.get(name) == "" else row


def _nested(row: dict[str, Any], name: str, columns: list[str]) -> dict[str, Any]:
    given = row.get(name)
    return given if isinstance(given, dict) else {column: row.get(column) for column in columns}


def _named(model: ModelSettings) -> list[str]:
    """Every category that the model's settings name: as a feature, a segment or the key of a lookup."""
    keys = [lookup.key for lookup in model.lookups.values()]
    return list(dict.fromkeys([*model.categorical, *model.segments, *keys]))


def _short(row: dict[str, Any]) -> str:
    text = json.dumps(row, default=str, ensure_ascii=False)
    return text if len(text) < 120 else text[:117] + "..."
