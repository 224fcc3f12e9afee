"""The categories that a model learned by itself: what its encoders hold, by the name of the feature."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.boosted import Native
from leadline.learning.reached import reached
from leadline.wire.conversion import category

Own = dict[str, NDArray[Any]]
"""Values of a feature in the dtype that its encoder saw."""


def text_of(value: Any) -> str | None:
    """The text by which a category or class is known, whatever the model learned it as; None where it is missing. Raises ConversionError.

    >>> text_of(3.0), text_of(np.int64(3)), text_of(np.True_), text_of(2.5), text_of("a"), text_of(float("nan"))
    ('3', '3', 'true', '2.5', 'a', None)
    """
    return category(value.item() if isinstance(value, np.generic) else value)


def names_of(estimator: Any) -> list[str] | None:
    """The columns of the data frame that a model was fitted to; None where it was none."""
    found = getattr(estimator, "feature_names_in_", None)
    return None if found is None else [str(each) for each in found]


def by_text(values: Iterable[Any]) -> dict[str | None, Any]:
    """The categories that a model learned by their text. One that is a text itself is found by that too, since records may have it.

    >>> by_text([3, "4.0", None])
    {'3': 3, '4': '4.0', None: None, '4.0': '4.0'}
    """
    found = list(values)
    return {text_of(value): value for value in found} | {value: value for value in found if isinstance(value, str)}


def own_categories(estimator: Any, names: Iterable[str]) -> Own:
    """The categories of each feature that an encoder of the model takes; ``names`` are its features in its own order."""
    if isinstance(estimator, Native):
        return {name: np.asarray(said) for name, said in estimator.categories.items()}
    own = list(names)
    return {name: said for part in reached(estimator) for name, said in _found(part, own)}


def _found(part: Any, names: list[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    held = getattr(part, "__dict__", {})
    categories = held.get("categories_")
    if isinstance(categories, list) and len(categories) == len(names):
        yield from zip(names, map(np.asarray, categories), strict=True)
    elif "transformers_" in held:
        yield from _of_columns(part, names)
    elif isinstance(held.get("steps"), list):
        for _, step in held["steps"]:
            if _takes(step, len(names)):
                yield from _found(step, names)
            if "transformers_" in getattr(step, "__dict__", {}):
                return
    else:
        for each in _held(held):
            if _takes(each, len(names)):
                yield from _found(each, names)


def _of_columns(transformer: Any, names: list[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each part of a ColumnTransformer has some of the features."""
    index = getattr(transformer, "_transformer_to_input_indices", {})
    for name, part, _ in transformer.transformers_:
        if not isinstance(part, str) and name in index:
            yield from _found(part, [names[i] for i in index[name]])


def _held(held: dict[str, Any]) -> Iterator[Any]:
    for value in held.values():
        if isinstance(value, (list, tuple)):
            yield from (each[1] if isinstance(each, tuple) and len(each) == 2 else each for each in value)
        else:
            yield value


def _takes(part: Any, count: int) -> bool:
    """Whether a part of a model takes so many features."""
    if not hasattr(part, "fit") or isinstance(part, type):
        return False
    return bool(getattr(part, "n_features_in_", None) == count)
