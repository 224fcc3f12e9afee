"""The ready recipe, for who has none: gradient boosting over what the signature says, calibrated."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.learning.reference import inputs, signature_of
from leadline.learning.train import CODING, MAX_CATEGORIES
from leadline.settings import ModelSettings

_FOLDS = 5


def fit_ready(table: pa.Table, truth: NDArray[Any], settings: ModelSettings) -> Any:
    """The fitted model; categories are numbered by their frequency, which the model remembers. ``params`` are those of the boosting."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    signature = signature_of(table, settings)
    rows, first = inputs(table, signature).matrix, len(signature.numeric)
    codes = rows[:, first:]
    codes[codes >= MAX_CATEGORIES] = np.nan
    how = {"categorical_features": list(range(first, rows.shape[1])) or None, "random_state": settings.training.seed}
    if settings.task == "regression":
        model = HistGradientBoostingRegressor(**(how | settings.training.params))
    else:
        boosting = HistGradientBoostingClassifier(**(how | settings.training.params))
        fewest = int(min(np.unique(truth, return_counts=True)[1]))
        model = CalibratedClassifierCV(boosting, cv=min(_FOLDS, fewest), ensemble=False) if fewest > 1 else boosting
    model.fit(rows, truth)
    if signature.categorical:
        setattr(model, CODING, signature.categories)
    return model
