"""Features to numbers: the one way from named values to the matrix that a model takes, in training as in serving.

A missing number is NaN, and so is a missing category. A category is its index in the signature; one that was never seen in training is
-1. A reference and a run of requests name their values as columns. A few requests are numbered one by one, by the same index: a column
costs some microseconds, however short it is, and one request alone a tenth of a column of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import NamedTuple

import numpy as np

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Signature
from leadline.core.texts import Texts

UNSEEN = -1.0


@dataclass(frozen=True, slots=True)
class Columns:
    """The named values of ``count`` rows. A name that is not there is missing in all of them."""

    count: int
    numbers: Mapping[str, Floats]
    texts: Mapping[str, Texts]


class Inputs(NamedTuple):
    """What a version takes: a matrix, and the categories as they were named; each categorical feature has its texts."""

    matrix: Floats
    texts: dict[str, Texts]

    def take(self, rows: Ints) -> "Inputs":
        """Some rows."""
        return Inputs(self.matrix[rows], {name: column.take(rows) for name, column in self.texts.items()})


class Features:
    """The rules of one signature.

    >>> import pyarrow as pa
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

    def inputs(self, columns: Columns) -> Inputs:
        """The matrix, and the texts of the categorical features."""
        texts = {name: columns.texts.get(name) or Texts.none(columns.count) for name in self.categorical}
        return Inputs(self.matrix(columns), texts)

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
