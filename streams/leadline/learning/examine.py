"""A model's file, read as a worker reads it, and what it says of the reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from leadline.core.columnar.columns import Bools, Floats
from leadline.core.models import Signature
from leadline.core.scoring.features import Columns, Features, Inputs
from leadline.learning.deciding import Sample, decide
from leadline.learning.encoders import names_of
from leadline.learning.errors import RegistryError
from leadline.learning.golden import worst
from leadline.learning.linear import Linear, linear_model, linear_of
from leadline.learning.models import read_model
from leadline.learning.native.boosted import Native
from leadline.learning.native.deciding import check_columns, own_coding
from leadline.learning.native.kinds import boosters_of
from leadline.learning.predictors import Model, model_of
from leadline.learning.served import Served
from leadline.learning.train import CODING
from leadline.settings import ModelSettings

_ALONE, _APART = 4, 1e-6
"""So many rows are scored alone too, and may differ so much: libraries add up in another order there."""


@dataclass(frozen=True, slots=True)
class Examined:
    """The scores and labels of the reference's rows, how the version is served, and with which signature.

    ``linear``: the numbers of the model, where it is a logistic regression. ``takes_missing``: whether each feature of the signature may be
    missing. ``dtypes``: in which each of its columns reaches the model, in its own order.
    """

    scores: Floats
    labels: Bools
    signature: Signature
    served: Served
    linear: Linear | None
    takes_missing: list[bool]
    dtypes: list[str]


def examine(data: bytes, settings: ModelSettings, sample: Sample, name: str) -> Examined:
    """Read a model from its bytes, and score. Raises RegistryError where it is not allowed, or does not fit."""
    estimator = read_model(data, name, settings.trusted)
    sample = _with_own_coding(estimator, sample, settings, name)
    signature, inputs = sample.signature, sample.inputs
    served = decide(estimator, settings, sample, name)
    predictor = model_of(estimator, settings, signature, served, name)
    linear = None
    if settings.counted_as == "binary" and served.form == "matrix":
        linear = linear_of(estimator, [signature.names.index(each) for each in served.columns])
    dtypes = list(predictor.dtypes)
    if linear is not None:
        predictor = linear_model(linear, settings, signature, name)
    takes_missing = predictor.takes_missing_of(len(signature.names)).tolist()
    scores = predictor.predict(*inputs)
    _check_alone(predictor, inputs, scores, name)
    labels = np.zeros(len(scores), bool)
    if settings.threshold is not None or predictor.own_labels is None:
        labels = scores >= settings.known_threshold
    elif np.isfinite(scores).all():
        labels = predictor.own_labels(*inputs, scores) == 1
    return Examined(scores, labels, signature, served, linear, takes_missing, dtypes)


def _check_alone(predictor: Model, inputs: Inputs, scores: Floats, name: str) -> None:
    """A row gets the same score alone as among others. Raises RegistryError."""
    for at in np.unique(np.linspace(0, len(scores) - 1, _ALONE).astype(np.int64)) if len(scores) else []:
        alone = predictor.predict(*inputs.take(np.array([at])))
        if np.isfinite(scores[at]) and worst(alone, scores[[at]], _APART) is not None:
            raise RegistryError(
                f"{name} gives {float(alone[0])!r} for row {at + 1} of the reference alone, and {float(scores[at])!r} among the others: an "
                "answer may depend on its own request only, and on no chance"
            )


def _with_own_coding(estimator: Any, sample: Sample, settings: ModelSettings, name: str) -> Sample:
    """The sample numbered as the model says itself, where it says so: those that were trained here do, and those of other libraries."""
    boosters = boosters_of(estimator, name)
    if boosters:
        return _as_they_number(boosters, estimator, sample, settings, name)
    own, signature = getattr(estimator, CODING, None), sample.signature
    if own is None or sample.coded:
        return sample
    if not isinstance(own, dict) or set(own) != set(signature.categorical) or not all(map(_are_texts, own.values())):
        raise RegistryError(f"the model says the coding of {list(own)[:5]}, and model.toml has {signature.categorical}")
    return _numbered(sample, own, coded=True)


def _as_they_number(
    boosters: list[Native], estimator: Any, sample: Sample, settings: ModelSettings, name: str
) -> Sample:
    """The sample numbered as all models of other libraries say that get the columns."""
    own, signature = [own_coding(each, sample, settings, name) for each in boosters], sample.signature
    if any(each != own[0] for each in own):
        raise RegistryError(f"{name} has parts that number categories in different ways: fit them to one data frame")
    coded = sample.coded
    if not isinstance(estimator, Native):
        said = set(signature.categorical if coded else settings.categories)
        check_columns(boosters[0], names_of(estimator) or signature.names, signature, said, name)
        coded = True
    return _numbered(sample, signature.categories | own[0], coded)


def _numbered(sample: Sample, categories: dict[str, list[str]], coded: bool) -> Sample:
    signature = Signature.of(sample.signature.numeric, sample.signature.categorical, categories)
    matrix, texts = sample.inputs
    columns = Columns(len(matrix), dict(zip(signature.numeric, matrix.T, strict=False)), texts)
    return Sample(signature, Features(signature).inputs(columns), coded)


def _are_texts(categories: Any) -> bool:
    return isinstance(categories, list) and all(isinstance(each, str) for each in categories)
