"""Small helpers for columns."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ints(column: pa.Array) -> Ints:
    """An Arrow column as whole numbers."""
    values: Ints = column.to_numpy(zero_copy_only=False).astype(np.int64)
    return values


def floats(column: pa.Array) -> Floats:
    """An Arrow column as floats; null is NaN."""
    values: Floats = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def pick(values: list[Any], rows: Ints) -> list[Any]:
    """The values at these places, which rise."""
    return values if len(rows) == len(values) else [values[i] for i in rows.tolist()]


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """The different values, in order of first appearance, and for each place the number of its value; by hashing, not by sorting.

    >>> [column.tolist() for column in distinct(np.array([7, 3, 7]))]
    [[7, 3], [0, 1, 0]]
    """
    coded = pa.array(values).dictionary_encode()
    return ints(coded.dictionary), ints(coded.indices)
