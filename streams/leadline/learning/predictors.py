"""Fitted estimators, ready to score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.models import NO_TEXTS, Named, OwnLabels, Signature
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.behaviour import forget_names
from leadline.learning.classes import classes_of, same
from leadline.learning.encoders import Own, by_text, names_of, own_categories
from leadline.learning.errors import RegistryError
from leadline.learning.native.boosted import Native
from leadline.learning.native.kinds import boosters_of
from leadline.learning.served import Served
from leadline.learning.taking import Take, dtypes_of, taker
from leadline.settings import ModelSettings

_TRIED = 200
"""Columns that are tried one by one."""
Scores = Callable[[Inputs], Floats]


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted estimator as a `leadline.core.models.Predictor`.

    ``takes_missing``: whether NaN is a value to it, or in which columns. ``named``: the categories that it takes as they are named,
    by their column in the matrix; ``only``: which values of them it takes. ``dtypes``: that of each of its columns, in its own order.
    ``strict``: the columns of numbered categories that mean nothing to it where they were never seen.
    """

    scores: Scores
    takes_missing: bool | Bools
    own_labels: OwnLabels | None = None
    named: Mapping[str, int] = field(default_factory=dict)
    only: Mapping[str, "_Only"] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    strict: tuple[int, ...] = ()

    def predict(self, matrix: Floats, texts: Named = NO_TEXTS) -> Floats:
        """One score a row: the probability of the positive class, or the predicted value.

        NaN where the row has an infinite feature, or one missing or never seen that the model cannot take; the other rows are not affected.
        """
        inputs, usable = Inputs(matrix, dict(texts)), self._usable(matrix, texts)
        if usable.all() and len(matrix):
            return self.scores(inputs)
        rows = np.flatnonzero(usable.all(axis=1))
        found = np.full(len(matrix), np.nan)
        if len(rows):
            found[rows] = self.scores(inputs.take(rows))
        return found

    def takes_missing_of(self, width: int) -> Bools:
        """For each of so many features, whether it may be missing."""
        found = np.array(np.broadcast_to(self.takes_missing, width))
        for name, at in self.named.items():
            found[at] = self.only[name].none
        return found

    def _usable(self, matrix: Floats, texts: Named) -> Bools:
        usable = np.isfinite(matrix) | (np.isnan(matrix) & self.takes_missing)
        for name, at in self.named.items():
            usable[:, at] = self.only[name](texts[name])
        for at in self.strict:
            usable[:, at] &= ~(matrix[:, at] < 0)
        return usable


@dataclass(frozen=True, slots=True)
class _Only:
    """Which categories a model takes: ``known`` alone, or any where that is None; and whether one may be missing."""

    known: frozenset[str | None] | None
    none: bool

    def __call__(self, column: Texts) -> Bools:
        """For each row whether it is taken."""
        taken = [self.known is None or text in self.known for text in column.texts]
        found: Bools = np.array([*taken, self.none], bool)[column.codes]
        return found


def model_of(
    estimator: Any, settings: ModelSettings, signature: Signature, served: Served, name: str = "the model"
) -> Model:
    """Make a fitted estimator ready to score. Raises RegistryError where it does not fit."""
    try:
        own = own_categories(estimator, names_of(estimator) or served.columns)
        if served.form == "matrix":
            forget_names(estimator)
        take = taker(served, signature, own)
        scores = (
            _binary(estimator, settings, served, take, name)
            if settings.task == "binary"
            else _regression(estimator, take, name)
        )
        known = {each: frozenset(by_text(own[each].tolist())) for each in signature.categorical if each in own}
        found = _ready(scores, _own_labels(estimator, served, take), signature, served, known, name)
        strict = _strict(estimator, served, signature, own, name)
        return replace(found, dtypes=dtypes_of(take(_trial(signature, known))), strict=strict)
    except RegistryError:
        raise
    except Exception as error:  # what was put together by hand fails in many ways
        raise RegistryError(f"{name} is no sound model ({type(error).__name__}: {error}); save it again") from error


def _strict(estimator: Any, served: Served, signature: Signature, own: Own, name: str) -> tuple[int, ...]:
    """The columns of categories of which nobody in the model knows what one is that was never seen: it is no number like the others."""
    boosters = boosters_of(estimator, name)
    codes = {
        each: at for at, each in enumerate(signature.names) if each in served.codes and each in signature.categorical
    }
    if isinstance(estimator, Native):  # it knows itself
        return ()
    if boosters:
        return tuple(codes.values()) if boosters[0].only_known else ()
    return tuple(at for each, at in codes.items() if each not in own)


def _binary(estimator: Any, settings: ModelSettings, served: Served, take: Take, name: str) -> Scores:
    column = _column(estimator, served, name)
    sign = 1 if column else -1

    def probabilities(inputs: Inputs) -> Floats:
        found: Floats = estimator.predict_proba(take(inputs))[:, column]
        return found

    def decisions(inputs: Inputs) -> Floats:
        return sign * np.asarray(estimator.decision_function(take(inputs)), np.float64).reshape(len(inputs.matrix))

    return probabilities if settings.score == "probability" else decisions


def _column(estimator: Any, served: Served, name: str) -> int:
    """The column of the positive class."""
    classes = classes_of(estimator)
    found = [at for at, label in enumerate(classes) if same(label, served.positive)]
    if len(found) != 1:
        raise RegistryError(f"{name}: its classes are {classes}, and {served.positive!r} is none of them; add it again")
    return found[0]


def _regression(estimator: Any, take: Take, name: str) -> Scores:
    estimator = getattr(estimator, "as_number", estimator)
    if not hasattr(estimator, "predict") or classes_of(estimator):
        raise RegistryError(
            f"{name}: a {type(estimator).__name__} is no regressor, and model.toml says task = regression"
        )

    def scores(inputs: Inputs) -> Floats:
        found, count = np.asarray(estimator.predict(take(inputs)), np.float64), len(inputs.matrix)
        if found.size != count:
            raise ValueError(
                f"it gives {found.size} values for {count} rows, and a model has one outcome: train one for each"
            )
        return found.reshape(count)

    return scores


def _own_labels(estimator: Any, served: Served, take: Take) -> OwnLabels | None:
    """How the model itself says yes."""
    if not served.classes:
        return None
    if served.label == "half":
        return above_half(first=served.classes[0] == served.positive)
    label = next(each for each in classes_of(estimator) if same(each, served.positive))

    def asked(matrix: Floats, texts: Named, _scores: Floats) -> Ints:
        return np.asarray(estimator.predict(take(Inputs(matrix, dict(texts)))) == label).astype(np.int64)

    return asked


def above_half(first: bool) -> OwnLabels:
    """Yes above a half; a tie goes to the first class."""

    def labels(_matrix: Floats, _texts: Named, scores: Floats) -> Ints:
        return (scores >= 0.5 if first else scores > 0.5).astype(np.int64)

    return labels


def _ready(
    scores: Scores,
    own_labels: OwnLabels | None,
    signature: Signature,
    served: Served,
    known: dict[str, frozenset[str | None]],
    name: str,
) -> Model:
    """The model, after some rows were tried."""
    named = {} if served.form == "matrix" else {
        each: at for at, each in enumerate(signature.names) if each in signature.categorical and each not in served.codes
    }  # fmt: skip
    usual = _trial(signature, known)
    try:
        scores(usual)
    except Exception as error:
        raise RegistryError(f"{name} {_does_not_score(signature, served)}: {error}") from error
    only = {each: _only(each, scores, usual, known.get(each)) for each in named}
    return Model(scores, _takes_missing(scores, usual, list(named.values())), own_labels, named, only)


def _only(name: str, scores: Scores, usual: Inputs, known: frozenset[str | None] | None) -> _Only:
    """Which values of a category a model takes."""
    unseen, none = Texts(["never seen before"], np.zeros(2, np.int64)), Texts.none(2)
    any_, none_ = (_takes(scores, Inputs(usual.matrix, usual.texts | {name: column})) for column in (unseen, none))
    return _Only(None if any_ or known is None else known, none_)


def _takes_missing(scores: Scores, usual: Inputs, named: list[int]) -> bool | Bools:
    """Whether NaN is a value to a model: in all columns, or else in which ones."""
    width = usual.matrix.shape[1]
    numbers = np.setdiff1d(np.arange(width), named)
    if _takes(scores, _without(usual, numbers)):
        return True
    if len(numbers) > _TRIED or not len(numbers):
        return False
    taken = [at in numbers and _takes(scores, _without(usual, np.array([at]))) for at in range(width)]
    return np.array(taken, bool) if any(taken) else False


def _without(usual: Inputs, columns: Ints) -> Inputs:
    matrix = usual.matrix.copy()
    matrix[:, columns] = np.nan
    return Inputs(matrix, usual.texts)


def _does_not_score(signature: Signature, served: Served) -> str:
    if served.form == "matrix":
        return f"does not score a matrix of {len(signature.names)} features"
    texts = [each for each in signature.categorical if each not in served.codes]
    return f"does not score the columns {served.columns} with text in {texts} (a number belongs into numeric in model.toml)"


def _trial(signature: Signature, all_known: Mapping[str, frozenset[str | None]]) -> Inputs:
    """Two rows that any sound model takes."""
    texts = {}
    for name in signature.categorical:
        known = sorted(each for each in all_known.get(name, ()) if each is not None) or signature.categories[name][:1]
        texts[name] = Texts(known[:1], np.zeros(2, np.int64)) if known else Texts.none(2)
    return Inputs(np.zeros((2, len(signature.names))), texts)


def _takes(scores: Scores, inputs: Inputs) -> bool:
    try:
        return bool(np.isfinite(scores(inputs)).all())
    except Exception:  # noqa: BLE001 - what it cannot take fails in many ways
        return False
