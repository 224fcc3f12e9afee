"""The classes of a model: which is the positive one, and which outcomes are among them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Bools, Floats
from leadline.core.texts import Texts
from leadline.learning.errors import RegistryError
from leadline.learning.reference import numbers, texts
from leadline.settings import ModelSettings
from leadline.wire import conversion


def positive_of(classes: Sequence[Any], settings: ModelSettings, name: str) -> int:
    """Which of two classes is the positive one. Raises RegistryError where there are not two, or nothing says which."""
    said = [_shown(each) for each in classes]
    if len(classes) != 2:
        raise RegistryError(f"{name} has the classes {said}: models of exactly two classes are served so far")
    wanted = 1.0 if settings.positive is None else settings.positive
    found = [at for at, label in enumerate(classes) if same(label, wanted)]
    if settings.positive is None and sorted(map(str, map(number, classes))) != ["0.0", "1.0"]:
        raise RegistryError(f"{name} has the classes {said}: say in model.toml which one is positive = ...")
    if not found:
        raise RegistryError(f"{name}: its classes are {said}, and positive = {wanted!r} in model.toml is none of them")
    return found[0]


def classes_of(estimator: Any) -> list[Any]:
    """The classes that a model tells apart; of what finds outliers -1, which is one, and 1. None of a model of numbers."""
    return [-1, 1] if finds_outliers(estimator) else list(getattr(estimator, "classes_", ()))


def check_one_outcome(classes: Sequence[Any], name: str) -> None:
    """Raises RegistryError where each class is a list of them."""
    if any(isinstance(each, np.ndarray) for each in classes):
        raise RegistryError(f"{name} predicts several outcomes at once, and a model has one: train one for each")


def finds_outliers(estimator: Any) -> bool:
    """Whether a model says what is unlike its training."""
    from sklearn.base import is_outlier_detector

    return hasattr(estimator, "__sklearn_tags__") and bool(is_outlier_detector(estimator))


def same(label: Any, other: Any) -> bool:
    """Whether two ways of writing a class mean the same.

    >>> same(True, 1.0), same("1", 1.0), same("yes", "yes"), same("yes", 1.0)
    (True, True, True, False)
    """
    return conversion.class_text(_shown(label)) == conversion.class_text(_shown(other))


def number(label: Any) -> float | None:
    """A class as a number; None where it is none.

    >>> number(True), number("2"), number("yes"), number("true")
    (1.0, 2.0, None, 1.0)
    """
    try:
        return conversion.number(_shown(label))
    except conversion.ConversionError:
        return None


class OnTheWire(NamedTuple):
    """The outcomes that are the classes of a model, and its names for them where those are words."""

    numbers: list[float]
    names: list[str]


def on_the_wire(classes: Sequence[str], positive: str) -> OnTheWire:
    """The numbers of classes, or 0 and 1 for words. Raises RegistryError where one is a number and one a word.

    >>> on_the_wire(["-1", "1"], "1"), on_the_wire(["yes", "no"], "yes").names, on_the_wire([], "").numbers
    (OnTheWire(numbers=[-1.0, 1.0], names=[]), ['no', 'yes'], [])
    """
    numbers = sorted(found for found in map(number, classes) if found is not None)
    if numbers and len(numbers) < len(classes):
        raise RegistryError(
            f"of the classes {list(classes)} one is a number, and one a word: train the model on two of a kind"
        )
    if numbers or not classes:
        return OnTheWire(numbers, [])
    return OnTheWire([0.0, 1.0], sorted(classes, key=positive.__eq__))


def truth(table: pa.Table, outcome: str, classes: list[str], positive: str) -> Bools:
    """Whether the outcome of each row is the positive class. Raises ValueError where one is missing, or no class of the model."""
    column = texts(table, outcome)
    if not len(column):
        raise ValueError("the reference has no rows")
    found = Texts.of(column)
    _check_none_missing(found.codes < 0, outcome)
    other = [text for text in found.texts if not any(same(text, each) for each in classes)]
    if other:
        row = int(np.flatnonzero(np.isin(found.codes, [found.texts.index(text) for text in other]))[0]) + 1
        raise ValueError(
            f"column {outcome!r} has {sorted(other)[:5]} (first in row {row}), and the classes of the model are {classes}; "
            "name them alike, or give the column of the outcome by --outcome"
        )
    positives: Bools = np.array([same(text, positive) for text in found.texts], bool)[found.codes]
    return positives


def values(table: pa.Table, outcome: str) -> Floats:
    """The outcome of each row as a number. Raises ValueError where there are no rows, or one lacks its outcome."""
    found = numbers(table, outcome)
    _check_none_missing(~np.isfinite(found), outcome)
    if not len(found):
        raise ValueError("the reference has no rows")
    return found


def _check_none_missing(missing: Bools, outcome: str) -> None:
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise ValueError(
            f"column {outcome!r}: {int(missing.sum())} of {len(missing)} rows have no finite outcome (first row {row}); leave them out"
        )


def _shown(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
