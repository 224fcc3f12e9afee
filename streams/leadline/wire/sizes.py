"""How many bytes rows of columns take in Avro, for finding records with bytes too many.

The decoder does not tell how far it read. What a row takes when written again is known from its columns; a record of another length has
bytes too many, or is written in a legal but unusual way, and is read again by the reference decoder.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_STEPS = np.array([1 << (7 * n) for n in range(1, 10)], np.uint64)


def encoded_sizes(columns: pa.RecordBatch, schema: dict[str, Any]) -> Ints:
    """Bytes of the Avro body of each row; ``schema`` without logical types.

    >>> rows = pa.record_batch({"id": ["a", "bcd"], "n": pa.array([1, 64])})
    >>> fields = [{"name": "id", "type": "string"}, {"name": "n", "type": "long"}]
    >>> encoded_sizes(rows, {"fields": fields}).tolist()
    [3, 6]
    """
    return _sum(columns.num_rows, [_sizes(columns[f["name"]], f["type"]) for f in schema["fields"]])


def _sum(rows: int, sizes: list[Ints]) -> Ints:
    total = np.zeros(rows, np.int64)
    for each in sizes:
        total += each
    return total


def _sizes(column: pa.Array, kind: Any) -> Ints:
    if isinstance(kind, list):
        return _union(column, kind)
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "record":
        return _sum(len(column), [_sizes(column.field(f["name"]), f["type"]) for f in kind["fields"]])
    if name == "array":
        return _blocks(column.value_lengths(), _sizes(column.flatten(), kind["items"]))
    if name == "map":
        entries = column.cast(pa.list_(pa.struct([column.type.key_field, column.type.item_field])))
        inside = entries.flatten()
        return _blocks(
            entries.value_lengths(), _sizes(inside.field(0), "string") + _sizes(inside.field(1), kind["values"])
        )
    if name == "double":
        return np.full(len(column), 8, np.int64)
    if name == "string":
        lengths: Ints = pc.binary_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        return _number(lengths) + lengths
    return _number(column.to_numpy(zero_copy_only=False).astype(np.int64))


def _union(column: pa.Array, kinds: list[Any]) -> Ints:
    present = column.is_valid().to_numpy(zero_copy_only=False)
    sizes = np.ones(len(column), np.int64)
    other = next(kind for kind in kinds if kind != "null")
    sizes[present] += _sizes(column.drop_null(), other)
    return sizes


def _blocks(lengths: pa.Array, items: Ints) -> Ints:
    counts = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(items)])
    ends = np.cumsum(counts)
    inside: Ints = np.where(counts > 0, _number(counts) + total[ends] - total[ends - counts], 0)
    return np.add(inside, 1)


def _number(values: Ints) -> Ints:
    zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
    return np.searchsorted(_STEPS, zigzag, side="right") + 1
