"""Training of a model on a reference."""

from typing import Any, Literal

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Floats
from leadline.core.models import Signature
from leadline.learning.classes import values
from leadline.learning.reference import matrix, signature_of
from leadline.settings import ModelSettings

Kind = Literal["boosting", "logistic"]
CODING = "leadline_categories_"
"""The attribute in which a model that was trained here says which category has which number."""
MAX_CATEGORIES = 255
"""Categories of one feature that boosting tells apart; the rarer ones count as missing."""


def train(
    table: pa.Table,
    settings: ModelSettings,
    outcome: str,
    kind: Kind = "boosting",
    seed: int = 0,
    signature: Signature | None = None,
) -> Any:
    """A scikit-learn model fitted to the columns that the settings name; equal input gives an equal model.

    ``outcome``: the column of the truth. ``kind`` logistic (binary) takes categories as numbers and nothing missing;
    boosting takes both as they are. ``signature``: how categories are numbered, None as in the table; give the same one
    to `leadline.learning.add.add_version` where its reference is another table. Raises ValueError that names the column and what to do.
    """
    signature = signature_of(table, settings) if signature is None else signature
    rows, truth = matrix(table, signature), values(table, outcome)
    if settings.task == "binary":
        _check_classes(truth, settings, outcome)
    logistic = kind == "logistic"
    model = (
        _logistic(rows, truth, settings, signature) if logistic else _boosting(rows, truth, settings, signature, seed)
    )
    if signature.categorical:
        setattr(model, CODING, signature.categories)
    return model


def _check_classes(truth: Floats, settings: ModelSettings, outcome: str) -> None:
    classes = np.unique(truth).tolist()
    if len(classes) != 2 or settings.positive_outcome not in classes:
        raise ValueError(
            f"column {outcome!r} has the values {classes[:5]}: should be two, one {settings.positive_outcome}"
        )


def _logistic(rows: Floats, truth: Floats, settings: ModelSettings, signature: Signature) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if settings.task != "binary":
        raise ValueError("logistic is for task = binary; use boosting for regression")
    missing = [name for name, column in zip(signature.names, rows.T, strict=True) if not np.isfinite(column).all()]
    if missing:
        raise ValueError(
            f"logistic takes no missing values: {', '.join(missing)}; leave those rows out or use boosting"
        )
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, truth)


def _boosting(rows: Floats, truth: Floats, settings: ModelSettings, signature: Signature, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    first = len(signature.numeric)
    codes = rows[:, first:]
    codes[codes >= MAX_CATEGORIES] = np.nan
    kind = HistGradientBoostingClassifier if settings.task == "binary" else HistGradientBoostingRegressor
    categorical = list(range(first, rows.shape[1])) or None
    return kind(categorical_features=categorical, random_state=seed).fit(rows, truth)
