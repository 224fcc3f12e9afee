"""Logistic regressions as their numbers: a worker that serves only such models never imports scikit-learn (docs/decisions/0011)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from leadline.core.columnar.columns import Floats, logistic
from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.learning.classes import number, positive_of
from leadline.learning.errors import RegistryError
from leadline.learning.golden import PARITY
from leadline.learning.predictors import Model, Scores, above_half
from leadline.settings import ModelSettings

_PARITY_ROWS = 256
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Linear:
    """A scaler and a logistic regression; the lists have one number a feature.

    The probability of ``classes[1]`` is the logistic function of ``(row - mean) / scale @ weights + intercept``.
    """

    classes: list[float]
    mean: list[float]
    scale: list[float]
    weights: list[float]
    intercept: float


def linear_of(estimator: Any, order: list[int]) -> Linear | None:
    """The numbers of a fitted logistic regression of two classes, alone or behind a scaler; None for other kinds of model.

    ``order``: where each of its own columns is among the features.
    Also None where they do not give scikit-learn's own scores.
    """
    (scaler, last), features = _parts(estimator), len(order)
    classes = [] if last is None else [number(each) for each in last.classes_]
    numbers = [each for each in classes if each is not None]
    if not len(classes) == len(numbers) == 2:
        return None
    mean = scaler.mean_ if scaler is not None and scaler.with_mean else np.zeros(features)
    scale = scaler.scale_ if scaler is not None and scaler.with_std else np.ones(features)
    back = np.argsort(order)
    mean, scale, weights = (column[back].tolist() for column in (mean, scale, last.coef_[0]))
    found = Linear(numbers, mean, scale, weights, float(last.intercept_[0]))
    rows = _parity_rows(scaler, features)
    if np.abs(_scores(found)(Inputs(rows[:, back], {})) - estimator.predict_proba(rows)[:, 1]).max() <= PARITY:
        return found
    _log.warning("scored by scikit-learn: its numbers alone give other scores", model=type(estimator).__name__)
    return None


def linear_model(linear: Linear, settings: ModelSettings, signature: Signature, name: str = "the model") -> Model:
    """Make it ready to score. Raises RegistryError where it does not fit the settings. A category that was never seen has no number."""
    features = len(signature.names)
    if not len(linear.mean) == len(linear.scale) == len(linear.weights) == features:
        raise RegistryError(
            f"{name} does not score a matrix of {features} features: it has {len(linear.weights)} weights"
        )
    if not np.isfinite([*linear.mean, *linear.scale, *linear.weights, linear.intercept]).all() or 0 in linear.scale:
        raise RegistryError(f"{name} has numbers that are not finite, or a scale of 0; add a new version")
    first = positive_of(linear.classes, settings, name) == 0
    scores, codes = _scores(linear, sign=-1 if first else 1), tuple(range(len(signature.numeric), features))
    return Model(scores, takes_missing=False, own_labels=above_half(first), strict=codes)


def _scores(linear: Linear, sign: int = 1) -> Scores:
    """The probability of ``classes[1]``; with ``sign`` -1 that of ``classes[0]``."""
    mean, scale = np.array(linear.mean), np.array(linear.scale)
    weights, intercept = sign * np.array(linear.weights), sign * linear.intercept

    def scores(inputs: Inputs) -> Floats:
        return logistic((inputs.matrix - mean) / scale @ weights + intercept)

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


def _parity_rows(scaler: Any, features: int) -> Floats:
    """Rows like those of the training: normal, three times as wide, with the scaler's means and deviations."""
    rows = 3 * np.random.default_rng(0).standard_normal((_PARITY_ROWS, features))
    if scaler is None:
        return rows
    found: Floats = scaler.inverse_transform(rows)
    return found
