"""Model files: read with a fixed list of allowed types, and asked for scores.

scikit-learn and skops are imported when the first model is read, since most workers never score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.learning.behaviour import BehaviourError, tame
from leadline.learning.errors import RegistryError
from leadline.learning.packed import PackedError, repacked
from leadline.records import to_number
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

Scores = Callable[[Floats], Floats]


def read_model(data: bytes, name: str) -> Any:
    """The estimator in the bytes of a skops file; check their digest first, skops is no sandbox.

    ``name``: what messages call the file. Raises RegistryError where the file is damaged or has a type that is not allowed.
    """
    from skops.io import get_untrusted_types, load
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        packed = repacked(data)
        estimator = load(packed, trusted=ALLOWED_TYPES)
        tame(estimator)
    except UntrustedTypesFoundException as error:
        refused = ", ".join(sorted(set(get_untrusted_types(data=packed.getvalue())) - set(ALLOWED_TYPES)))
        raise RegistryError(f"{name} has types that are not allowed: {refused}; use plain scikit-learn") from error
    except (PackedError, BehaviourError) as error:
        raise RegistryError(f"{name} is not allowed: {error}") from None
    except Exception as error:  # what is not a skops file fails in many ways
        raise RegistryError(f"{name} is no skops file ({type(error).__name__}: {error}); save it again") from error
    return estimator


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator as a `leadline.core.models.Predictor`.

    ``takes_missing``: whether NaN is a value to it.
    """

    scores: Scores
    takes_missing: bool

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
    try:
        scores = _binary(estimator, settings, name) if settings.task == "binary" else _regression(estimator, name)
        _probe(scores, features, name)
        return Model(scores, _takes_missing(scores, features))
    except RegistryError:
        raise
    except Exception as error:  # what was put together by hand fails in many ways
        raise RegistryError(f"{name} is no sound model ({type(error).__name__}: {error}); save it again") from error


def _binary(estimator: Any, settings: ModelSettings, name: str) -> Scores:
    if not hasattr(estimator, "predict_proba"):
        raise RegistryError(f"{name}: a {type(estimator).__name__} has no predict_proba; a binary model needs it")
    column = positive_of(list(getattr(estimator, "classes_", ())), settings, name)

    def scores(matrix: Floats) -> Floats:
        found: Floats = estimator.predict_proba(matrix)[:, column]
        return found

    return scores


def positive_of(classes: Sequence[Any], settings: ModelSettings, name: str) -> int:
    """Which of the classes the settings call positive. Raises RegistryError where none is."""
    for column, label in enumerate(classes):
        if number(label) == settings.positive:
            return column
    raise RegistryError(
        f"{name}: its classes are {classes}, and positive = {settings.positive} in model.toml is none of them"
    )


def number(label: Any) -> float | None:
    """A class as a number; None where it is none.

    >>> number(True), number("2"), number("yes")
    (1.0, 2.0, None)
    """
    try:
        return to_number(label) if isinstance(label, str) else float(label)
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
