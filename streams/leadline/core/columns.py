"""Small helpers for columns."""

from collections.abc import Sequence
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


def pick(values: Sequence[Any], rows: Ints) -> list[Any]:
    """The values at these places."""
    return [values[i] for i in rows.tolist()]
