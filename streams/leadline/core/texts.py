"""Columns of texts, by their different values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = -1
"""The code of a text that is missing."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: the different ones, and which of them each row has."""

    texts: list[str]
    codes: NDArray[np.int64]

    @classmethod
    def of(cls, column: pa.Array) -> Self:
        """The texts of an Arrow column; null is missing."""
        coded = column.dictionary_encode()
        codes = pc.fill_null(coded.indices, MISSING).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(coded.dictionary.to_pylist(), codes)

    @classmethod
    def of_few(cls, values: Iterable[str | None]) -> Self:
        """The same of some values, one by one.

        >>> Texts.of_few(["a", None, "a"])
        Texts(texts=['a'], codes=array([ 0, -1,  0]))
        """
        index: dict[str, int] = {}
        codes = [MISSING if value is None else index.setdefault(value, len(index)) for value in values]
        return cls(list(index), np.array(codes, np.int64))

    @classmethod
    def none(cls, count: int) -> Self:
        """As many rows without a text."""
        return cls([], np.full(count, MISSING, np.int64))

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Some rows."""
        return Texts(self.texts, self.codes[rows])
