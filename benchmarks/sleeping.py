"""A version that takes its time, for a shadow beside a champion."""

import time
from typing import Any, Self

from sklearn.base import BaseEstimator, ClassifierMixin

NAME = "benchmarks.sleeping.Sleeping"
SLEEPS_S = 0.05


class Sleeping(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """As the estimator in it, after a while."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner

    def fit(self, rows: Any, truth: Any) -> Self:  # noqa: ARG002
        """Nothing: the inner one is trained."""
        self.inner_, self.classes_, self.n_features_in_ = self.inner, self.inner.classes_, rows.shape[1]
        return self

    def predict_proba(self, rows: Any) -> Any:
        """The shares of the classes."""
        time.sleep(SLEEPS_S)
        return self.inner_.predict_proba(rows)
