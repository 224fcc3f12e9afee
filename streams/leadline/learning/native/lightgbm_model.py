"""Models of LightGBM: its own files, and the boosters inside of its wrappers for scikit-learn.

It is imported where such a model is loaded, for it imports LightGBM.
"""

from typing import Any

import numpy as np
from lightgbm import Booster

from leadline.core.columnar.columns import Floats
from leadline.learning.native.boosted import Answer, Native, NativeClassifier, NativeRegressor
from leadline.learning.native.errors import NativeError
from leadline.learning.native.lightgbm_file import BINARY, Checked, checked


class CheckedBooster(Booster):
    """The booster of a wrapper in a skops file: what LightGBM would read from its state is checked, and written anew."""

    def __init__(self, found: Checked, rounds: int) -> None:
        super().__init__(model_str=found.text)
        self.best_iteration = rounds
        self.found = found

    def __setstate__(self, state: Any) -> None:
        held = state if isinstance(state, dict) else {}
        text, rounds = held.get("_handle", held.get("handle")), held.get("best_iteration")
        if type(text) is not str or type(rounds) is not int:
            raise NativeError("has a booster of LightGBM without its model")
        found = checked(text.encode(errors="replace"))
        if rounds > found.rounds:
            raise NativeError(f"has the best iteration {rounds}, and {found.rounds} rounds")
        CheckedBooster.__init__(self, found, rounds)


def read(data: bytes) -> Native:
    """The model in a file of LightGBM, which holds the rounds that it answers with. Raises NativeError."""
    return _native(CheckedBooster(checked(data), 0), [0, 1])


def unwrapped(estimator: Any) -> Native | None:
    """The same for a fitted wrapper for scikit-learn; None for any other estimator."""
    booster = vars(estimator).get("_Booster")
    if type(booster) is not CheckedBooster:
        return None
    classes = getattr(estimator, "classes_", [0, 1])
    found = _native(booster, classes)
    if isinstance(found, NativeClassifier) is not hasattr(estimator, "predict_proba") or len(classes) != 2:
        raise NativeError(
            f"is a {type(estimator).__name__} with the objective {booster.found.objective}: fit a classifier of two classes with {BINARY}, "
            "or a regressor with another one"
        )
    return found


def _native(booster: CheckedBooster, classes: Any) -> Native:
    found = booster.found
    kind = NativeClassifier if found.objective == BINARY else NativeRegressor
    names = found.names or [f"Column_{at}" for at in range(found.width)]
    known = {names[at]: said for at, said in found.categories.items()}
    model = kind(_answer(booster), found.width, found.names, known, found.coded, highest=found.highest)
    if isinstance(model, NativeClassifier):
        model.classes_ = [each.item() if isinstance(each, np.generic) else each for each in classes]
    return model


def _answer(booster: CheckedBooster) -> Answer:
    def answer(rows: Floats) -> Floats:
        return np.asarray(booster.predict(rows, num_threads=1), np.float64)

    return answer
