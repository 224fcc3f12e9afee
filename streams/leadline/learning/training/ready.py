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
        model = _calibrated(boosting, min(_FOLDS, fewest), settings.training.seed) if fewest > 1 else boosting
    model.fit(rows, truth)
    if signature.categorical:
        setattr(model, CODING, signature.categories)
    return model


def _calibrated(boosting: Any, folds: int, seed: int) -> Any:
    """The folds are shuffled: rows come in the order of time, and where days differ, whole days are scored worse than by chance, so that
    a calibration on them would turn the order of the scores around.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold

    return CalibratedClassifierCV(boosting, cv=StratifiedKFold(folds, shuffle=True, random_state=seed), ensemble=False)
