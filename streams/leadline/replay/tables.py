"""A CSV log as columns of text, and its columns by the rules that hold for records."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv

from leadline.replay.errors import LogError
from leadline.wire.conversion import ConversionError, missing_columns

_T = TypeVar("_T")
_READ = pyarrow.csv.ReadOptions(use_threads=False)
"""With threads its errors do not name the row."""
_PARSE = pyarrow.csv.ParseOptions(newlines_in_values=True)


def read_table(path: Path, names: Sequence[str]) -> pa.RecordBatch:
    """These columns of a CSV file, as text. Raises LogError where it has them not, or has no rows."""
    try:
        with pyarrow.csv.open_csv(path, _READ, _PARSE) as reader:
            there = reader.schema.names
        missing = missing_columns(names, there)
        if missing:
            raise LogError(f"{path}: not a log with the columns {', '.join(names)}: {missing}")
        twice = [name for name in names if there.count(name) > 1]
        if twice:
            raise LogError(f"{path}: has more than one column {', '.join(twice)}: nobody knows which one counts")
        types = dict.fromkeys(there, pa.string())
        options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(names), strings_can_be_null=False)
        table = pyarrow.csv.read_csv(path, _READ, _PARSE, options)
    except FileNotFoundError:
        raise LogError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: not a log with the columns {', '.join(names)}: {error}") from None
    if not len(table):
        raise LogError(f"{path}: has no rows: nothing would count")
    return table.combine_chunks().to_batches()[0]


def convert(path: Path, table: pa.RecordBatch, name: str, how: Callable[[pa.Array], _T]) -> _T:
    """A column, converted; raises LogError that names file, column and row."""
    try:
        return how(table[name])
    except ConversionError as error:
        raise LogError(f"{path}: {name}, {error}") from None
