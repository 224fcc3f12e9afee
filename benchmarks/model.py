"""The model that both sides serve: a scaler and a logistic regression of ten features."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.data import FEATURES

_ROWS = 5000


def training_data() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows that the model is trained on."""
    random = np.random.default_rng(5)
    matrix = random.standard_normal((_ROWS, len(FEATURES)))
    return matrix, (matrix @ np.linspace(-1, 1, len(FEATURES)) + random.standard_normal(_ROWS) > 0).astype(np.int64)


def trained() -> Pipeline:
    """The trained model; the same each time."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*training_data())


def exact_scores(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's scores, from its coefficients with numpy alone."""
    scaler, regression = (step for _, step in trained().steps)
    return 1 / (1 + np.exp(-((matrix - scaler.mean_) / scaler.scale_ @ regression.coef_[0] + regression.intercept_[0])))
