"""Models of XGBoost: its own files, and the boosters inside of its wrappers for scikit-learn.

It is imported where such a model is loaded, for it imports XGBoost.
"""

from typing import Any

import numpy as np
from xgboost import Booster

from leadline.core.columnar.columns import Floats
from leadline.learning.native.boosted import Answer, Native, NativeClassifier, NativeRegressor
from leadline.learning.native.errors import NativeError
from leadline.learning.native.xgboost_file import BINARY, Checked, checked, checked_state


class CheckedBooster(Booster):
    """The booster of a wrapper in a skops file: what XGBoost would read from its state is checked, and written anew."""

    def __init__(self, found: Checked) -> None:
        super().__init__(params={"nthread": 1})
        self.load_model(found.data)
        self.set_param({"nthread": 1})
        self.found = found

    def __setstate__(self, state: Any) -> None:
        handle = state.get("handle") if isinstance(state, dict) else None
        if type(handle) is not bytearray:
            raise NativeError("has a booster of XGBoost without its model")
        CheckedBooster.__init__(self, checked_state(bytes(handle)))


def read(data: bytes) -> Native:
    """The model in a file of XGBoost. Raises NativeError.

    A file that the wrapper for scikit-learn wrote is answered as the wrapper does, up to the best round; others with all rounds, as
    Booster.predict does, unless they stopped early: then nobody knows which was meant.
    """
    booster = CheckedBooster(checked(data))
    found = booster.found
    if not found.wrapped and found.booster != "gblinear" and 0 < found.rounds < found.all_rounds:
        raise NativeError(
            f"stopped early, and does not say whether it answers with its best {found.rounds} rounds or with all {found.all_rounds}: save "
            f"booster[:{found.rounds}], or, for all of them, the booster after booster.set_attr(best_iteration=None)"
        )
    return _native(booster, found.rounds if found.wrapped else 0, np.nan, [0, 1])


def unwrapped(estimator: Any) -> Native | None:
    """The same for a fitted wrapper for scikit-learn; None for any other estimator."""
    booster = vars(estimator).get("_Booster")
    if type(booster) is not CheckedBooster or not hasattr(estimator, "get_booster"):
        return None
    missing = estimator.missing
    if type(missing) not in (int, float):
        raise NativeError("has a value for missing that is no number")
    found = _native(booster, booster.found.rounds, float(missing), getattr(estimator, "classes_", [0, 1]))
    if isinstance(found, NativeClassifier) is not hasattr(estimator, "predict_proba"):
        raise NativeError(
            f"is a {type(estimator).__name__} with the objective {booster.found.objective}: fit a classifier with {BINARY}, or a regressor "
            "with another one"
        )
    return found


def _native(booster: CheckedBooster, rounds: int, missing: float, classes: Any) -> Native:
    found = booster.found
    kind = NativeClassifier if found.objective == BINARY else NativeRegressor
    names = found.names
    known = {(names or _unnamed(found.width))[at]: said for at, said in found.categories.items()}
    answer = _answer(booster, rounds, missing)
    model = kind(answer, found.width, names, known, found.coded, only_known=True, highest=found.highest)
    if isinstance(model, NativeClassifier):
        model.classes_ = [each.item() if isinstance(each, np.generic) else each for each in classes]
    return model


def _unnamed(width: int) -> list[str]:
    return [f"f{at}" for at in range(width)]


def _answer(booster: CheckedBooster, rounds: int, missing: float) -> Answer:
    span = (0, rounds)
    if booster.found.booster == "gblinear":  # which needs a matrix of its own kind
        return lambda rows: _by_matrix(booster, rows, missing)

    def answer(rows: Floats) -> Floats:
        found: Floats = booster.inplace_predict(rows, iteration_range=span, missing=missing)
        return found

    return answer


def _by_matrix(booster: CheckedBooster, rows: Floats, missing: float) -> Floats:
    from xgboost import DMatrix

    data = DMatrix(rows, missing=missing, feature_names=booster.found.names, nthread=1)
    found: Floats = booster.predict(data)
    return found
