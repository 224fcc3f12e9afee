"""A model of a boosting library as what is served: it takes a matrix in its own order, and says itself what it knows of its columns."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats

Answer = Callable[[Floats], Floats]
"""One number a row: the probability of the second class, or the value."""


class Native:
    """``feature_names_in_``: its columns, None where it knows no names. ``coded``: those that it takes as codes.

    ``categories``: those that it learned, in the order of their codes, by name.
    ``texts``: those that it takes as texts: then it takes rows of numbers and texts in place of a matrix.
    ``needed``: the places of those that may not be missing. ``highest``: the highest number of a category that it knows, by place.
    ``only_known``: whether its library refuses a category that was never seen.
    """

    half = True
    """Whether it says yes just where the probability is above a half; another one is asked."""

    def __init__(
        self,
        answer: Answer,
        width: int,
        names: list[str] | None,
        categories: dict[str, list[Any]] | None = None,
        coded: frozenset[int] = frozenset(),
        only_known: bool = False,
        texts: frozenset[str] = frozenset(),
        highest: dict[int, int] | None = None,
    ) -> None:
        self.answer = answer
        self.n_features_in_ = width
        self.feature_names_in_ = names
        self.categories = categories or {}
        self.coded = coded
        self.only_known = only_known
        self.texts = texts
        self.highest = highest or {}
        self.needed: frozenset[int] = frozenset()

    def _answers(self, matrix: Floats) -> Floats:
        """Checked before native code sees it; NaN where a category is none that the model was trained on."""
        rows = matrix if self.texts else np.ascontiguousarray(matrix, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise ValueError(f"it takes {self.n_features_in_} features, and got the shape {rows.shape}")
        if not self.coded:
            return np.where(self.lacking(rows), np.nan, self.answer(rows)) if self.needed else self.answer(rows)
        columns = rows[:, sorted(self.coded)]
        unseen = columns < 0
        found = self.answer(np.where(self._unseen(rows), np.nan, rows))
        if self.only_known and unseen.any():
            found = np.where(unseen.any(axis=1), np.nan, found)
        return found

    def lacking(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """The rows that lack what may not be missing."""
        return np.asarray(np.isnan(rows[:, sorted(self.needed)].astype(np.float64)).any(axis=1), bool)

    def _unseen(self, rows: Floats) -> NDArray[np.bool_]:
        found = np.zeros(rows.shape, bool)
        for at in self.coded:
            found[:, at] = rows[:, at] < 0
        return found


class NativeClassifier(Native):
    """Of two classes; ``classes_``: the second one is that of which the probability is answered."""

    classes_: list[Any]

    def predict_proba(self, matrix: Floats) -> Floats:
        """The probabilities of both classes."""
        positive = self._answers(matrix)
        return np.stack([1 - positive, positive], 1).astype(
            np.float64
        )  # after: libraries subtract in their own precision

    def predict(self, matrix: Floats) -> NDArray[Any]:
        """The likelier class."""
        return np.array(self.classes_, object)[(self._answers(matrix) > 0.5).astype(np.int64)]


class NativeRegressor(Native):
    """Of a number. ``says``: what shows that; ``instead``: what to do where two classes were meant."""

    says = ""
    instead = "train it on two classes"

    def predict(self, matrix: Floats) -> Floats:
        """The value of each row."""
        return self._answers(matrix).astype(np.float64)
