"""A challenger that passed on its reference, and fails on some of what really comes."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

LOW, HIGH = -0.5, 3.0
"""Below the one it gives NaN, above the other it raises; there is neither in its reference."""


def fails(amount: float) -> bool:
    """Whether it gives no score for a request."""
    return amount < LOW or amount > HIGH


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """As the estimator in it, where that is not asked for what the reference never had."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner

    def fit(self, rows: Any, truth: Any) -> Self:  # noqa: ARG002
        """Nothing: the inner one is trained."""
        self.inner_, self.classes_, self.n_features_in_ = self.inner, self.inner.classes_, rows.shape[1]
        return self

    def predict_proba(self, rows: Any) -> Any:
        """NaN, or an error, or what the inner one says."""
        rows = np.asarray(rows, float)
        if (rows[:, 0] > HIGH).any():
            raise ValueError("never seen")
        found = self.inner_.predict_proba(rows)
        found[rows[:, 0] < LOW] = np.nan
        return found
