"""A model's file, read as a worker reads it, and what it says of the reference."""

from dataclasses import dataclass

from leadline.core.columnar.columns import Floats
from leadline.learning.linear import Linear, linear_model, linear_of
from leadline.learning.models import model_of, read_model
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Examined:
    """The scores of the reference's rows; the numbers of the model, where it is a logistic regression."""

    scores: Floats
    linear: Linear | None


def examine(data: bytes, settings: ModelSettings, rows: Floats, name: str) -> Examined:
    """Read a model from its bytes, and score. Raises RegistryError where it is not allowed, or does not fit."""
    estimator, features = read_model(data, name), rows.shape[1]
    predictor = model_of(estimator, settings, features, name)
    linear = linear_of(estimator, features) if settings.task == "binary" else None
    if linear is not None:
        predictor = linear_model(linear, settings, features, name)
    return Examined(predictor.predict(rows), linear)
