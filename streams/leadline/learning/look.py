"""What a model's file says of the model, before anybody has said anything of it."""

from dataclasses import dataclass
from typing import Any

from leadline.learning.classes import check_one_outcome, classes_of, finds_outliers
from leadline.learning.encoders import names_of, own_categories, text_of
from leadline.learning.errors import RegistryError
from leadline.learning.models import read_model
from leadline.learning.native.boosted import Native
from leadline.learning.native.kinds import boosters_of
from leadline.learning.reached import needed_columns
from leadline.settings import ModelSettings
from leadline.wire.conversion import ConversionError


@dataclass(frozen=True, slots=True)
class Look:
    """A model as it is. ``columns``: what it was fitted to, by name; None where it knows no names.

    ``categories``: the columns for which it has learned categories; ``classes`` is empty of a model that predicts numbers.
    """

    columns: list[str] | None
    inputs: int | None
    categories: list[str]
    classes: list[str]
    probability: bool


def look(data: bytes, settings: ModelSettings, names: list[str], name: str) -> Look:
    """Read a model from its bytes. Raises RegistryError where it is not allowed, or its classes are not two.

    ``names``: of its inputs, where it does not know them.
    """
    estimator = read_model(data, name, settings.trusted)
    names_own = names_of(estimator)
    columns = None if names_own is None else needed_columns(estimator, names_own)
    classes = _classes(estimator, name)
    if classes and len(classes) != 2:
        raise RegistryError(f"{name} has the classes {classes}: models of exactly two classes are served so far")
    inputs = getattr(estimator, "n_features_in_", None)
    categories = own_categories(estimator, names if names_own is None else names_own)
    coded = [each for booster in boosters_of(estimator, name) for each in booster.categories]
    count = None if inputs is None else int(inputs)
    return Look(
        columns, count, list(dict.fromkeys([*categories, *coded])), classes, hasattr(estimator, "predict_proba")
    )


def _classes(estimator: Any, name: str) -> list[str]:
    from sklearn.base import is_classifier

    if isinstance(estimator, Native):
        return list(map(str, getattr(estimator, "classes_", [])))
    if not is_classifier(estimator) and not finds_outliers(estimator):
        return []
    try:
        check_one_outcome(classes_of(estimator), name)
        return [str(text_of(each)) for each in classes_of(estimator)]
    except (AttributeError, TypeError, ConversionError) as error:
        raise RegistryError(f"{name} is no sound model ({type(error).__name__}: {error}); save it again") from None
