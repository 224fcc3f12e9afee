"""Rows of a CSV, JSONL or Parquet file, and where each is."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from leadline.settings import SettingsError
from leadline.wire.column_conversion import plain
from leadline.wire.conversion import untyped_identifier

_IDS = ("request_id", "user_id")
_TIMES = ("event_time", "outcome_time")


class Row(NamedTuple):
    """A row of a file, and where it is."""

    where: str
    values: dict[str, Any]


def columns_of(path: Path) -> list[str] | None:
    """The columns that a file has; None for JSON lines, each of which says what it has. Raises as `read_rows`."""
    with _readable(path) as kind:
        if kind == "parquet":
            return list(pyarrow.parquet.read_schema(path).names)
        if kind == "csv":
            with _opened(path) as file, pyarrow.csv.open_csv(file, _READ, _PARSE) as reader:
                return list(reader.schema.names)
        return None


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file; CSV and JSONL may be gzipped. Raises SettingsError that names the file, and the row or line where it can."""
    with _readable(path) as kind:
        if kind == "parquet":
            yield from _numbered(path, _parquet_rows(path))
        elif kind == "csv":
            yield from _numbered(path, _csv_rows(path))
        else:
            with _opened(path) as file:
                yield from _json_rows(path, file)


@contextmanager
def _readable(path: Path) -> Iterator[str]:
    """The kind of a file; what goes wrong with it becomes one line."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind not in ("csv", "jsonl", "ndjson") and (kind != "parquet" or path.name.endswith(".gz")):
        raise SettingsError(f"{path}: send takes .csv, .jsonl and .parquet (the first two also as .gz)")
    try:
        yield kind
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, EOFError) as error:
        where = _not_unicode(path) if kind != "parquet" else None
        raise SettingsError(f"{path}{where}" if where else f"{path}: cannot be read: {error}") from None


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")


def _not_unicode(path: Path) -> str | None:
    """Where a text file is not UTF-8; None where it is, or cannot be read at all."""
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return f", line {number}: not UTF-8: save the file as UTF-8"
    except (OSError, EOFError):
        pass
    return None


def _numbered(path: Path, rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    return (Row(f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


# -- CSV --------------------------------------------------------------------------------------------------------------

_READ = pyarrow.csv.ReadOptions(use_threads=False)
"""With threads its errors do not name the row."""
_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True)


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    kinds = dict.fromkeys(columns_of(path) or [], pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    with _opened(path) as file:
        for batch in pyarrow.csv.open_csv(file, _READ, _PARSE, options):
            yield from map(_untyped, batch.to_pylist())


def _untyped(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: untyped_identifier(row[name]) for name in _IDS if name in row}


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            names = batch.schema.names
            columns = [plain(column, name in _TIMES) for name, column in zip(names, batch.columns, strict=True)]
            table = pa.record_batch(columns, names=names)
            yield from table.to_pylist(maps_as_pydicts="strict")


# -- JSON lines -------------------------------------------------------------------------------------------------------


def _json_rows(path: Path, lines: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if text.strip():
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise SettingsError(f"{path}, line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise SettingsError(f"{path}, line {number}: not an object")
            yield Row(f"{path}, line {number}", row)


def twice(names: Iterable[str]) -> list[str]:
    """The names that are there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]
