"""Small helpers for columns."""

from collections.abc import Sequence
from operator import itemgetter
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


def logistic(values: Floats) -> Floats:
    """The logistic function, without overflow.

    >>> logistic(np.array([-1e4, 0.0, 1e4])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(values))
    found: Floats = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return found


def rising(values: Sequence[int]) -> Ints:
    """Whole numbers that rise, mostly by one.

    >>> rising([3, 4, 5]).tolist(), rising([3, 5, 6]).tolist(), rising([]).tolist()
    ([3, 4, 5], [3, 5, 6], [])
    """
    if values and values[-1] - values[0] == len(values) - 1:
        return np.arange(values[0], values[-1] + 1)
    return np.array(values, np.int64)


def lengths(strings: pa.Array) -> Ints:
    """Bytes of each string of a column without nulls.

    >>> lengths(pa.array(["long", "née", ""])[1:]).tolist()
    [4, 0]
    """
    return np.diff(_offsets(strings)).astype(np.int64)


def alike(strings: pa.Array, width: int = 1) -> bool:
    """Whether a column without nulls is the same ``width`` strings again and again: one comparison of their bytes.

    >>> alike(pa.array(["a", "b", "a", "b"]), 2), alike(pa.array(["a", "b"])), alike(pa.array(["a"]), 0)
    (True, False, False)
    """
    if not width or not len(strings):
        return not len(strings)
    offsets = _offsets(strings)
    text = bytes(strings.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    sizes = np.diff(offsets).reshape(-1, width)
    return bool((sizes == sizes[0]).all()) and text == text[: sizes[0].sum()] * len(sizes)


def _offsets(strings: pa.Array) -> NDArray[np.int32]:
    """Where each string starts in the bytes of all, and where the last one ends."""
    return np.frombuffer(strings.buffers()[1], np.int32, len(strings) + 1, strings.offset * 4)


def pick(values: list[Any], rows: Ints) -> list[Any]:
    """The values at these indices, which rise."""
    return values if len(rows) == len(values) else list(map(values.__getitem__, rows.tolist()))


def cut(values: Sequence[bytes], start: int, stop: int | None = None) -> list[bytes]:
    """The same part of each.

    >>> cut([b"abc", b"de"], 1)
    [b'bc', b'e']
    """
    return list(map(itemgetter(slice(start, stop)), values))


def split(table: NDArray[Any]) -> list[bytes]:
    """The bytes of each row of a table of fixed rows.

    >>> split(np.array([97, 98], "u1"))
    [b'a', b'b']
    """
    rows: list[bytes] = np.ascontiguousarray(table).view(f"V{table.dtype.itemsize}").tolist()
    return rows


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """The different values, in order of first appearance, and for each entry the index of its value; by hashing, not by sorting.

    >>> [column.tolist() for column in distinct(np.array([7, 3, 7]))]
    [[7, 3], [0, 1, 0]]
    """
    coded = pa.array(values).dictionary_encode()
    return ints(coded.dictionary), ints(coded.indices)
