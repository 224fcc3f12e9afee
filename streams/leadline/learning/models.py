"""Model files: read with a fixed list of allowed types, and asked for scores.

scikit-learn and skops are imported when the first model is read, since most workers never score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from leadline.core.columns import Floats
from leadline.learning.errors import RegistryError
from leadline.settings import ModelSettings

ALLOWED_TYPES = [
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    # HistGradientBoosting* with categorical features keeps a partial of check_array. A partial only wraps: it can hold
    # no function but those of this list and skops' own (numpy, scipy, scikit-learn).
    "functools.partial",
    "sklearn.utils.validation.check_array",
]
"""Types beyond skops' defaults. Found by experiment; a file never adds to it."""

PARITY = 1e-9
"""How far the fast path may be from scikit-learn, in units of the score."""

_PARITY_ROWS = 256
_log = structlog.get_logger(__name__)
Scores = Callable[[Floats], Floats]


def read_model(data: bytes, name: str) -> Any:
    """The estimator in the bytes of a skops file; check their digest first, skops is no sandbox.

    ``name``: what messages call the file. Raises RegistryError where the file is damaged or has a type that is not allowed.
    """
    from skops.io import get_untrusted_types, loads
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return loads(data, trusted=ALLOWED_TYPES)
    except UntrustedTypesFoundException as error:
        refused = ", ".join(sorted(set(get_untrusted_types(data=data)) - set(ALLOWED_TYPES)))
        raise RegistryError(f"{name} has types that are not allowed: {refused}; use plain scikit-learn") from error
    except Exception as error:  # what is not a skops file fails in many ways
        raise RegistryError(f"{name} is no skops file ({type(error).__name__}: {error}); save it again") from error


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator as a `leadline.core.catalog.Predictor`.

    ``takes_missing``: whether NaN is a value to it. ``fast``: whether numpy answers instead of scikit-learn.
    """

    scores: Scores
    takes_missing: bool
    fast: bool

    def predict(self, matrix: Floats) -> Floats:
        """One score a row: the probability of the positive class, or the predicted value.

        NaN where the row has an infinite feature, or a missing one that the model cannot take; the other rows are not affected.
        """
        usable = np.isfinite(matrix)
        if self.takes_missing:
            usable |= np.isnan(matrix)
        if usable.all() and len(matrix):
            return self.scores(matrix)
        rows = np.flatnonzero(usable.all(axis=1))
        found = np.full(len(matrix), np.nan)
        if len(rows):
            found[rows] = self.scores(matrix[rows])
        return found


def model_of(estimator: Any, settings: ModelSettings, features: int, name: str = "the model") -> Model:
    """Make a fitted estimator ready to score matrices of so many columns.

    Raises RegistryError where it does not fit the settings: no such positive class, other number of features, no probabilities.
    """
    slow = _binary(estimator, settings, name) if settings.task == "binary" else _regression(estimator, name)
    _probe(slow, features, name)
    fast = _fast(estimator, settings) if settings.task == "binary" else None
    if fast is not None and _same(fast, slow, _parity_rows(estimator, features)):
        return Model(fast, takes_missing=False, fast=True)
    if fast is not None:
        _log.warning("the fast path differs from scikit-learn, and is not used", model=settings.name)
    return Model(slow, _takes_missing(slow, features), fast=False)


def _binary(estimator: Any, settings: ModelSettings, name: str) -> Scores:
    if not hasattr(estimator, "predict_proba"):
        raise RegistryError(f"{name}: a {type(estimator).__name__} has no predict_proba; a binary model needs it")
    column = _positive(estimator, settings, name)

    def scores(matrix: Floats) -> Floats:
        found: Floats = estimator.predict_proba(matrix)[:, column]
        return found

    return scores


def _positive(estimator: Any, settings: ModelSettings, name: str) -> int:
    classes = list(getattr(estimator, "classes_", ()))
    for column, label in enumerate(classes):
        if _number(label) == settings.positive:
            return column
    raise RegistryError(
        f"{name}: its classes are {classes}, and positive = {settings.positive} in model.toml is none of them"
    )


def _number(label: Any) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _regression(estimator: Any, name: str) -> Scores:
    if not hasattr(estimator, "predict") or hasattr(estimator, "classes_"):
        raise RegistryError(
            f"{name}: a {type(estimator).__name__} is no regressor, and model.toml says task = regression"
        )

    def scores(matrix: Floats) -> Floats:
        found: Floats = np.asarray(estimator.predict(matrix), np.float64).reshape(len(matrix))
        return found

    return scores


def _probe(scores: Scores, features: int, name: str) -> None:
    try:
        scores(np.zeros((2, features)))
    except Exception as error:
        raise RegistryError(f"{name} does not score a matrix of {features} features: {error}") from error


def _takes_missing(scores: Scores, features: int) -> bool:
    try:
        return bool(np.isfinite(scores(np.full((2, features), np.nan))).all())
    except ValueError:
        return False


def _fast(estimator: Any, settings: ModelSettings) -> Scores | None:
    """Numpy's way to the same scores; None for other kinds of model."""
    scaler, last = _parts(estimator)
    if last is None or len(last.classes_) != 2:
        return None
    sign = 1.0 if _number(last.classes_[1]) == settings.positive else -1.0
    mean = 0.0 if scaler is None or not scaler.with_mean else scaler.mean_
    scale = 1.0 if scaler is None or not scaler.with_std else scaler.scale_
    weights, intercept = sign * last.coef_[0], sign * float(last.intercept_[0])

    def scores(matrix: Floats) -> Floats:
        return _expit((matrix - mean) / scale @ weights + intercept)

    return scores


def _parts(estimator: Any) -> tuple[Any, Any]:
    """The scaler and the logistic regression of an estimator; None for what it lacks."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kinds = [type(step) for step in steps]
    if kinds == [StandardScaler, LogisticRegression]:
        return steps[0], steps[1]
    return (None, steps[0]) if kinds == [LogisticRegression] else (None, None)


def _expit(values: Floats) -> Floats:
    """The logistic function, without overflow.

    >>> _expit(np.array([-1e4, 0.0, 1e4])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(values))
    found: Floats = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return found


def _parity_rows(estimator: Any, features: int) -> Floats:
    """Rows like those of the training: normal, three times as wide, with the scaler's means and deviations."""
    scaler, _ = _parts(estimator)
    rows = 3 * np.random.default_rng(0).standard_normal((_PARITY_ROWS, features))
    if scaler is None:
        return rows
    found: Floats = scaler.inverse_transform(rows)
    return found


def _same(fast: Scores, slow: Scores, rows: Floats) -> bool:
    return bool(np.abs(fast(rows) - slow(rows)).max() <= PARITY)
