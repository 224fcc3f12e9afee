"""Features to numbers: the one way from named values to the matrix that a model takes, in training as in serving.

A missing number is NaN, and so is a missing category. A category is its index in the signature; one that was never seen in training is
-1. A reference and a run of requests name their values as columns. A few requests are numbered one by one, by the same index: a column
costs some microseconds, however short it is, and one request alone a tenth of a column of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Floats, Ints, ints
from leadline.core.models import Signature

UNSEEN = -1.0
MISSING = -1
"""The code of a text that is missing."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: the different ones, and which of them each row has."""

    texts: list[str]
    codes: Ints

    @classmethod
    def of(cls, column: pa.Array) -> Self:
        """The texts of an Arrow column; null is missing."""
        coded = column.dictionary_encode()
        return cls(coded.dictionary.to_pylist(), ints(pc.fill_null(coded.indices, MISSING)))


@dataclass(frozen=True, slots=True)
class Columns:
    """The named values of ``count`` rows. A name that is not there is missing in all of them."""

    count: int
    numbers: Mapping[str, Floats]
    texts: Mapping[str, Texts]


class Features:
    """The rules of one signature.

    >>> features = Features(Signature.of(["age"], ["colour"], {"colour": ["green", "red"]}))
    >>> colours = Texts.of(pa.array(["red", "blue", None]))
    >>> features.matrix(Columns(3, {"age": np.array([30.0, nan, 50.0])}, {"colour": colours})).tolist()
    [[30.0, 1.0], [nan, -1.0], [50.0, nan]]
    >>> features.row({"age": 30.0}, {"colour": "red"})
    [30.0, 1.0]
    """

    def __init__(self, signature: Signature) -> None:
        self.names = signature.names
        self.numeric = signature.numeric
        self.categorical = signature.categorical
        self._indexes = [_index(signature.categories[name]) for name in signature.categorical]

    def matrix(self, columns: Columns) -> Floats:
        """One row a row, one column a feature."""
        matrix = np.full((columns.count, len(self.names)), nan)
        for at, name in enumerate(self.numeric):
            if name in columns.numbers:
                matrix[:, at] = columns.numbers[name]
        for at, (name, index) in enumerate(zip(self.categorical, self._indexes, strict=True), len(self.numeric)):
            if name in columns.texts:
                found = columns.texts[name]
                known = [index.get(text, UNSEEN) for text in found.texts]
                matrix[:, at] = np.array([*known, index[None]])[found.codes]  # the code of a missing one picks the last
        return matrix

    def row(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> list[float]:
        """The same for the values of one row."""
        coded = zip(self.categorical, self._indexes, strict=True)
        return [
            *[numbers.get(name, nan) for name in self.numeric],
            *[index.get(texts.get(name), UNSEEN) for name, index in coded],
        ]


def _index(categories: list[str]) -> dict[str | None, float]:
    """The number of each category, and of none."""
    return {None: nan, **{category: float(at) for at, category in enumerate(categories)}}
