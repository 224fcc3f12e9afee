"""Class names among outcomes. Each is kept as a number that no outcome can be, until a prediction says which class of its model it is.

So an outcome takes the same room whatever it is called, and whichever comes first. Two names have the same number by chance once in 2^52.
"""

from hashlib import sha256

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Bools, Floats, ints

_FIRST = 2.0**52
"""Numbers from here on are names: outcomes are within 1e9."""


def number_of(name: str) -> float:
    """The number of a name.

    >>> number_of("yes") == number_of("yes"), number_of("yes") == number_of("no"), number_of("yes").is_integer()
    (True, False, True)
    """
    return _FIRST + (int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 12)


def numbers_of(names: pa.Array) -> Floats:
    """The number of each name; NaN where there is none, or an empty one.

    >>> numbers_of(pa.array(["", None])).tolist(), numbers_of(pa.array(["a"])).tolist() == [number_of("a")]
    ([nan, nan], True)
    """
    if names.null_count == len(names):
        return np.full(len(names), np.nan)
    coded = names.dictionary_encode()
    found = [number_of(name) if name else np.nan for name in coded.dictionary.to_pylist()]
    return np.array([*found, np.nan])[ints(coded.indices.fill_null(len(found)))]


def are_names(values: Floats) -> Bools:
    """Which outcomes are names."""
    found: Bools = values >= _FIRST
    return found


def is_name(value: float) -> bool:
    """Whether an outcome is a name."""
    return value >= _FIRST
