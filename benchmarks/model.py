"""The model that all sides serve: a scaler and a logistic regression of ten features."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.shapes import FEATURES, MODEL, VERSION

_ROWS = 5000


def training_data(width: int = len(FEATURES)) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows that the model is trained on."""
    random = np.random.default_rng(5)
    matrix = random.standard_normal((_ROWS, width))
    return matrix, (matrix @ np.linspace(-1, 1, width) + random.standard_normal(_ROWS) > 0).astype(np.int64)


@cache
def trained(width: int = len(FEATURES)) -> Pipeline:
    """The trained model; the same each time."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*training_data(width))


def predictions(model: Pipeline, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A peer's predictions for requests, by one call of the model."""
    matrix = np.array([[row["features"][name] for name in FEATURES] for row in rows])
    scores = model.predict_proba(matrix)[:, 1].tolist()
    return [_prediction(*each) for each in zip(rows, matrix.tolist(), scores, strict=True)]


def _prediction(row: dict[str, Any], values: list[float], score: float) -> dict[str, Any]:
    return {
        "request_id": row["request_id"],
        "model": MODEL,
        "model_version": VERSION,
        "role": "champion",
        "user_id": row["user_id"],
        "event_time": row["event_time"],
        "scored_at": row["event_time"],
        "score": score,
        "predicted_label": int(score >= 0.5),
        "features": values,
        "signature": "",
        "segments": [],
        "feature_age_ms": None,
        "categories": [],
        "rollout_id": "",
        "sample": 1.0,
    }


def exact_scores(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's scores, from its coefficients with numpy alone."""
    scaler, regression = (step for _, step in trained(matrix.shape[1]).steps)
    logit = (matrix - scaler.mean_) / scaler.scale_ @ regression.coef_[0] + regression.intercept_[0]
    scores: NDArray[np.float64] = 1 / (1 + np.exp(-logit))
    return scores
