"""A river model as what is served: it answers rows of named values, one after the other.

That costs what river costs, some 10 to 500 microseconds a row: models of scikit-learn answer a whole run at once (docs/online.md).
"""

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats

Values = dict[str, float | str]


class _Rows:
    """``feature_names_in_``: of the columns of the rows."""

    __slots__ = ("feature_names_in_", "model")

    def __init__(self, model: Any, features: list[str]) -> None:
        self.model = model
        self.feature_names_in_ = features

    def named(self, rows: NDArray[Any]) -> Iterable[Values]:
        """Each row as river takes it: what is missing is left out."""
        return (named(self.feature_names_in_, row) for row in rows.tolist())


def named(names: Sequence[str], row: Sequence[Any]) -> Values:
    """The values of a row by name; None and NaN are left out.

    >>> named(["age", "colour", "income"], [30.0, "red", float("nan")])
    {'age': 30.0, 'colour': 'red'}
    """
    return {name: value for name, value in zip(names, row, strict=True) if value is not None and value == value}


class Classifier(_Rows):
    """Of two classes; river learned whether a row is of the second one."""

    __slots__ = ("classes_",)

    def __init__(self, model: Any, features: list[str], classes: list[str]) -> None:
        super().__init__(model, features)
        self.classes_ = classes

    def predict_proba(self, rows: NDArray[Any]) -> Floats:
        """The probabilities of both classes."""
        positive = np.array([chance(self.model, each) for each in self.named(rows)], np.float64)
        return np.stack([1 - positive, positive], 1)

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The likelier class."""
        return np.array(self.classes_, object)[(self.predict_proba(rows)[:, 1] > 0.5).astype(np.int64)]


class Regressor(_Rows):
    """Of a number."""

    __slots__ = ()

    def predict(self, rows: NDArray[Any]) -> Floats:
        """The value of each row."""
        return np.array([self.model.predict_one(each) for each in self.named(rows)], np.float64)


def chance(model: Any, values: Values) -> float:
    """The probability that a model gives to yes; NaN where it has no answer, as some before their first label."""
    said = model.predict_proba_one(values)
    return float(said.get(True, 0.0)) if said else nan
