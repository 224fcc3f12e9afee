"""The reference: a table of past requests with their outcomes, and the matrix that a model sees."""

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Signature
from leadline.core.scoring.features import Columns, Features, Inputs
from leadline.core.texts import Texts
from leadline.settings import ModelSettings
from leadline.wire.column_conversion import categories_of, moments_of, numbers_of
from leadline.wire.conversion import ConversionError, category, missing_columns

_T = TypeVar("_T")
_MAX_BLOCK = 2**31 - 1


def read_reference(path: Path, text: Iterable[str] = ()) -> pa.Table:
    """A table from CSV, JSON lines (either may end in .gz) or Parquet; an empty CSV field is missing.

    ``text``: columns that are text even where they look like numbers, such as postal codes: name the categories here.
    Raises ValueError that names the file where it cannot be read, or its kind is not known.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    try:
        if kind == "parquet":
            return parquet.read_table(path)
        if kind == "csv":
            return _csv(_bytes(path), text)
        if kind in ("jsonl", "ndjson"):
            return _json(_bytes(path))
    except (pa.ArrowException, OSError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    raise ValueError(f"{path}: write the reference as .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet")


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.name.endswith(".gz") else data


def _csv(data: bytes, text: Iterable[str]) -> pa.Table:
    """One block, so that types are taken from all rows and not from the first ones."""
    options = csv.ConvertOptions(
        column_types=dict.fromkeys(text, pa.string()), null_values=[""], strings_can_be_null=True
    )
    block, parse = csv.ReadOptions(block_size=_block(data)), csv.ParseOptions(newlines_in_values=True)
    return csv.read_csv(pa.BufferReader(data), block, parse, options)


def _json(data: bytes) -> pa.Table:
    return json.read_json(pa.BufferReader(data), json.ReadOptions(block_size=_block(data)))


def _block(data: bytes) -> int:
    return min(len(data) + 1, _MAX_BLOCK)


def signature_of(reference: pa.Table, settings: ModelSettings) -> Signature:
    """The inputs that the settings name, with the categories of the reference: most frequent first, then by name.

    Categories whose numbers the settings declare have those, however they are written there.
    Raises ValueError for a column that is missing.

    >>> table = pa.table({"age": [1, 2, 3], "colour": ["red", "green", "green"]})
    >>> signature_of(table, ModelSettings(name="m", numeric=["age"], categorical=["colour"])).categories
    {'colour': ['green', 'red']}
    """
    numeric, categorical = list(settings.numeric), list(settings.categorical)
    seen = {name: _by_frequency(texts(reference, name)) for name in categorical}
    declared = {name: [category(each) or "" for each in said] for name, said in settings.categories.items()}
    categories = {name: declared.get(name, seen[name]) for name in categorical}
    for name in numeric:
        numbers(reference, name)
    return Signature.of(numeric, categorical, categories)


def _by_frequency(column: pa.Array) -> list[str]:
    counts = ((entry["values"], entry["counts"]) for entry in pc.value_counts(column.drop_null()).to_pylist())
    return [name for name, _ in sorted(counts, key=lambda entry: (-entry[1], entry[0]))]


def check_coding(table: pa.Table, settings: ModelSettings) -> None:
    """Raises ValueError where a column has a category that the coding which is declared for it lacks."""
    for name in [each for each in settings.categorical if each in settings.categories]:
        said = [category(each) for each in settings.categories[name]]
        column = Texts.of(texts(table, name))
        foreign = [code for code, text in enumerate(column.texts) if text not in said]
        if foreign:
            row = int(np.flatnonzero(np.isin(column.codes, foreign))[0]) + 1
            raise ValueError(
                f"column {name!r} has {sorted(column.texts[code] for code in foreign)[:5]} (first in row {row}), and [categories] in "
                f"model.toml names {said[:5]}: name every category that the model was trained on, in the order of their numbers"
            )


def matrix(table: pa.Table, signature: Signature) -> Floats:
    """The matrix of a table, by the rules of `leadline.core.scoring.features`.

    Raises ValueError for a column that is missing or of another type.

    >>> signature = Signature("s1", ["age"], ["colour"], {"colour": ["green", "red"]})
    >>> matrix(pa.table({"colour": ["red", "blue", None], "age": [30, None, 50]}), signature).tolist()
    [[30.0, 1.0], [nan, -1.0], [50.0, nan]]
    """
    return inputs(table, signature).matrix


def inputs(table: pa.Table, signature: Signature) -> Inputs:
    """The same matrix, with the categories as they are named."""
    named = {name: numbers(table, name) for name in signature.numeric}
    said = {name: Texts.of(texts(table, name)) for name in signature.categorical}
    return Features(signature).inputs(Columns(len(table), named, said))


def numbers(table: pa.Table, name: str) -> Floats:
    """A column as floats, null is NaN; a boolean is 0 or 1. Raises ValueError where it is missing or not numeric."""
    return _converted(table, name, numbers_of)


def texts(table: pa.Table, name: str) -> pa.Array:
    """A column as texts of categories; missing is null. Raises ValueError where it is missing, or no such text."""
    return _converted(table, name, categories_of)


def times(table: pa.Table, name: str) -> Ints:
    """A column of event times in epoch milliseconds. Raises ValueError where one is missing, or no time."""
    return _converted(table, name, _moments)


def _moments(column: pa.Array) -> Ints:
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]) + 1
        raise ConversionError(f"row {row}: is missing; each row of the reference needs its event time")
    return moments_of(column)


def _converted(table: pa.Table, name: str, convert: Callable[[pa.Array], _T]) -> _T:
    """A column by the rules that hold for records too."""
    repeated = table.column_names.count(name) > 1
    problem = f"column {name!r} is there twice" if repeated else missing_columns([name], table.column_names)
    if problem:
        raise ValueError(problem)
    column = table.column(name).combine_chunks()
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    try:
        return convert(column)
    except ConversionError as error:
        raise ValueError(f"column {name!r}, {error}") from None
    except pa.ArrowException:
        raise ValueError(f"column {name!r} is {column.type}: neither numbers, texts nor times") from None
