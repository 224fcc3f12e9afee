"""Finds out how a model is served: by its own names, order, categories and classes, or not at all."""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.learning.classes import check_one_outcome, classes_of, finds_outliers, positive_of
from leadline.learning.encoders import Own, names_of, own_categories, text_of
from leadline.learning.errors import RegistryError
from leadline.learning.native.boosted import Native, NativeRegressor
from leadline.learning.native.deciding import check_columns
from leadline.learning.online.estimator import Classifier, Regressor
from leadline.learning.reached import needed_columns
from leadline.learning.served import Form, Served
from leadline.settings import ModelSettings
from leadline.wire.conversion import ConversionError

_SHOWN = 5
_BY_HALF = frozenset(
    {
        "BaggingClassifier", "CalibratedClassifierCV", "DecisionTreeClassifier", "ExtraTreeClassifier", "ExtraTreesClassifier",
        "GaussianNB", "GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression",
        "LogisticRegressionCV", "MLPClassifier", "RandomForestClassifier",
    }
)  # fmt: skip
"""What says yes just where the probability is above a half. Others are asked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows by which a model is looked at; ``coded``: the signature is known to number the categories as the training did."""

    signature: Signature
    inputs: Inputs
    coded: bool = False


def decide(estimator: Any, settings: ModelSettings, sample: Sample, name: str) -> Served:
    """How a model is served. Raises RegistryError where it does not fit, or would have to be guessed."""
    signature = sample.signature
    names = names_of(estimator)
    columns = signature.names if names is None else _own_order(estimator, names, signature, name)
    if isinstance(estimator, Classifier | Regressor):
        return Served("rows", columns, [], *_classes(estimator, settings, name), "half")
    if isinstance(estimator, Native):
        coded = signature.categorical if sample.coded else settings.categories
        check_columns(estimator, columns, signature, set(coded), name)
        codes = [each for each in signature.categorical if each not in estimator.texts]
        form: Form = "rows" if estimator.texts else "matrix"
        said = _classes(estimator, settings, name)
        return Served(form, columns, codes, *said, "half" if estimator.half else "asked")
    own = own_categories(estimator, names or columns)
    codes = _codes(own, settings, sample, named=names is not None, name=name)
    taken = _form(estimator, names is not None, codes, columns, sample)
    classes, positive = _classes(estimator, settings, name)
    half = settings.score == "probability" and type(_last(estimator)).__name__ in _BY_HALF
    label = "half" if half or not classes else "asked"
    return Served(taken, columns, codes, classes, positive, label)  # type: ignore[arg-type]


def plain(estimator: Any, settings: ModelSettings, signature: Signature, name: str) -> Served:
    """How a version is served that was added before this was found out: by a matrix in the order of the signature."""
    if isinstance(estimator, Native):
        raise RegistryError(f"{name}: nothing says how it is served; add it again")
    classes, positive = _classes(estimator, settings, name)
    return Served("matrix", signature.names, signature.categorical, classes, positive, "half")


def _own_order(estimator: Any, names: list[str], signature: Signature, name: str) -> list[str]:
    """The features in the model's own order: its columns, but for some that it drops."""
    needed, given = needed_columns(estimator, names), set(signature.names)
    if len(given) < len(signature.names) or not set(needed) <= given <= set(names):
        drops = f" and looks at {needed}" if needed != names else ""
        raise RegistryError(
            f"{name} was fitted to the columns {names}{drops}, and model.toml names {signature.names}: name the same in numeric and "
            "categorical"
        )
    return [each for each in names if each in given]


def _codes(own: Own, settings: ModelSettings, sample: Sample, named: bool, name: str) -> list[str]:
    """The categories that the model takes as numbers."""
    found = []
    for feature in sample.signature.categorical:
        declared = feature in settings.categories
        if declared:
            _check_declared(feature, own, sample, name)
        if (declared or sample.coded) and not _is_text(own.get(feature)):
            found.append(feature)
        elif feature in own:
            _check_known(feature, own, sample, name)
        elif not named:
            raise RegistryError(_uncoded(feature, name))
    return found


def _check_declared(feature: str, own: Own, sample: Sample, name: str) -> None:
    """Raises RegistryError where the model's own encoder says another coding than model.toml does."""
    declared = sample.signature.categories[feature]
    if feature not in own:
        return
    if _is_text(own[feature]):
        learned = _texts(feature, own, name)
        if learned != declared:
            raise RegistryError(
                f"{name} has a coding of its own for {feature!r}, {learned[:_SHOWN]}, and [categories] in model.toml says "
                f"{declared[:_SHOWN]}: leave it out there"
            )
        return
    highest = max((code for code in own[feature].tolist() if code == code), default=-1)
    if highest >= len(declared):
        raise RegistryError(
            f"{name} was trained on the number {highest:g} of {feature!r}, and [categories] in model.toml names {len(declared)}, from 0 to "
            f"{len(declared) - 1}: name all of them, in the order of their numbers"
        )


def _is_text(categories: NDArray[Any] | None) -> bool:
    return categories is not None and categories.dtype.kind not in "iuf"


def _check_known(feature: str, own: Own, sample: Sample, name: str) -> None:
    learned = _texts(feature, own, name)
    seen = sample.inputs.texts[feature].texts
    if seen and not set(seen) & set(learned):
        raise RegistryError(
            f"{name} knows the categories {learned[:5]} of {feature!r}, and the reference has {sorted(seen)[:5]}: give the reference "
            f"as the model was trained, or say which category has which number: {_how(feature)}"
        )


def _texts(feature: str, own: Own, name: str) -> list[str]:
    """The texts of the categories that a model learned. Raises RegistryError where two have the same one."""
    try:
        texts = [text for text in map(text_of, own[feature].tolist()) if text is not None]
    except ConversionError as error:
        raise RegistryError(f"{name}: a category of {feature!r} {error}; train it on texts") from None
    twice = sorted(text for text, count in Counter(texts).items() if count > 1)
    if twice:
        raise RegistryError(
            f"{name} knows {twice[:5]} of {feature!r} in two ways of writing, which mean the same here: train it on one"
        )
    return texts


def _uncoded(feature: str, name: str) -> str:
    return (
        f"{name} takes numbers for {feature!r}, and nothing says which category has which number: declare it in model.toml "
        f"{_how(feature)}, or save the model with its encoder, fitted to a data frame"
    )


def _how(feature: str) -> str:
    return f'below [categories], {feature} = ["the one of 0", "the one of 1", ...]'


def _form(estimator: Any, named: bool, codes: list[str], columns: list[str], sample: Sample) -> Form:
    texts = set(sample.signature.categorical) - set(codes)
    if not named:
        return "rows" if texts else "matrix"
    return "frame" if texts or not _takes_matrix(estimator, columns, sample) else "matrix"


def _takes_matrix(estimator: Any, columns: list[str], sample: Sample) -> bool:
    """Whether a model that knows names does without them: a ColumnTransformer may choose by name."""
    order = [sample.signature.names.index(each) for each in columns]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.predict(sample.inputs.matrix[:2, order])
    except Exception:  # noqa: BLE001 - what wants names fails in many ways
        return False
    return True


def _classes(estimator: Any, settings: ModelSettings, name: str) -> tuple[list[str], str]:
    if settings.task != "binary":
        return [], ""
    _check_scores(estimator, settings, name)
    try:
        classes = classes_of(estimator)
        check_one_outcome(classes, name)
        positive = positive_of(classes, settings, name)
    except (TypeError, ValueError) as error:  # classes that nothing was fitted to
        raise RegistryError(f"{name} is no sound model ({type(error).__name__}: {error}); save it again") from None
    said = [str(text_of(each)) for each in classes]
    return said, said[positive]


def _check_scores(estimator: Any, settings: ModelSettings, name: str) -> None:
    if isinstance(estimator, NativeRegressor):
        raise RegistryError(
            f'{name} predicts a number{estimator.says}: say task = "regression" in model.toml, or {estimator.instead}'
        )
    what = f"{name}: a {type(estimator).__name__} has no"
    if settings.score == "decision" and not hasattr(estimator, "decision_function"):
        raise RegistryError(f"{what} decision_function, and model.toml says score = decision")
    if settings.score == "probability" and not hasattr(estimator, "predict_proba"):
        has = hasattr(estimator, "decision_function")
        way = 'say score = "decision" in model.toml, which gives no probability' if has else "it gives labels alone"
        if finds_outliers(estimator):
            raise RegistryError(f"{what} predict_proba: {way}")
        raise RegistryError(
            f"{what} predict_proba: wrap it in CalibratedClassifierCV{', or ' + way if has else '; ' + way}"
        )


def _last(estimator: Any) -> Any:
    """The estimator that answers, behind what prepares and chooses."""
    for attribute in ("best_estimator_", "_final_estimator"):
        inner = getattr(estimator, attribute, None)
        if inner is not None:
            return _last(inner)
    return estimator
