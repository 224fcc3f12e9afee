"""Whole columns of a file by the rules of `leadline.wire.conversion`: each different value is converted once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Floats, Ints, floats, ints
from leadline.wire.conversion import FLOATING, ConversionError, category, moment, number, untyped_identifier

_FINER = {"ms": 1, "us": 1000, "ns": 1_000_000}
"""How many of a unit are a millisecond."""


def numbers_of(column: pa.Array) -> Floats:
    """Numbers; missing is NaN. Raises ConversionError that names the row.

    >>> numbers_of(pa.array(["1.5", "", "True", None])).tolist()
    [1.5, nan, 1.0, nan]
    """
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return floats(column)
    if pa.types.is_decimal(kind):  # by its digits: straight, its last bit would be another
        return floats(column.cast(pa.string()).cast(pa.float64()))
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return floats(column.cast(pa.float64()))
    if pa.types.is_string(kind):
        try:
            return floats(pc.if_else(pc.equal(column, ""), pa.scalar(None, kind), column).cast(pa.float64()))
        except pa.ArrowInvalid:
            pass  # other forms, or none
    return floats(converted(column, number, pa.float64()))


def categories_of(column: pa.Array) -> pa.Array:
    """Texts of categories; missing is null. Raises ConversionError that names the row.

    >>> categories_of(pa.array([3.0, None, float("nan")])).to_pylist(), categories_of(pa.array([True])).to_pylist()
    (['3', None, None], ['true'])
    """
    return converted(column, category, pa.string())


def untyped_identifiers_of(column: pa.Array) -> pa.Array:
    """Ids from a column of texts without types. Raises ConversionError that names the row where there is none.

    >>> untyped_identifiers_of(pa.array(["101.0", "r2"])).to_pylist()
    ['101', 'r2']
    """
    gone = np.flatnonzero(pc.equal(column, "").to_numpy(zero_copy_only=False))
    if len(gone):
        raise ConversionError(f"row {gone[0] + 1}: is missing")
    floating = pc.any(pc.match_substring_regex(column, FLOATING)).as_py()
    return converted(column, untyped_identifier, pa.string()) if floating else column


def moments_of(column: pa.Array) -> Ints:
    """Times in epoch milliseconds. Raises ConversionError that names the row.

    >>> moments_of(pa.array(["1970-01-01T00:00:01.9999Z", "1970-01-01T01:00:00+01:00", "7"])).tolist()
    [1999, 0, 7]
    """
    if pa.types.is_string(column.type):
        try:
            return ints(pc.cast(column, pa.timestamp("us", "UTC")).cast(pa.int64())) // 1000
        except pa.ArrowInvalid:
            pass  # other forms, or none
    return ints(converted(column, moment, pa.int64()))


def plain(column: pa.Array, is_time: bool = False) -> pa.Array:
    """Timestamps as Python can have them: as epoch milliseconds where they have a zone and are times of a record, else as texts."""
    kind = column.type
    if not pa.types.is_timestamp(kind):
        return column
    return _milliseconds(column) if is_time and kind.tz is not None else column.cast(pa.string())


def converted(column: pa.Array, convert: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
    """A column with each value converted. Raises ConversionError that names the row."""
    coded = plain(column, convert is moment).dictionary_encode()
    values = []
    for code, value in enumerate(coded.dictionary.to_pylist()):
        try:
            values.append(convert(value))
        except ConversionError as error:
            raise ConversionError(f"row {_first(coded, code) + 1}: {error}") from None
    if coded.null_count:
        try:
            values.append(convert(None))
        except ConversionError as error:
            row = int(np.flatnonzero(coded.is_null().to_numpy(zero_copy_only=False))[0])
            raise ConversionError(f"row {row + 1}: {error}") from None
    codes = pc.fill_null(coded.indices, len(values) - 1)
    return pa.array(values, kind).take(codes)


def _first(coded: pa.DictionaryArray, code: int) -> int:
    """The first row of a code."""
    return int(np.flatnonzero(pc.fill_null(pc.equal(coded.indices, code), False).to_numpy(zero_copy_only=False))[0])


def _milliseconds(column: pa.Array) -> pa.Array:
    """Epoch milliseconds of times of any unit; what is finer is cut off."""
    counts, unit = column.cast(pa.int64()), column.type.unit
    if unit == "s":
        return pc.multiply(counts, 1000)
    values = counts.fill_null(0).to_numpy(zero_copy_only=False) // _FINER[unit]
    return pa.array(values, mask=counts.is_null().to_numpy(zero_copy_only=False))
