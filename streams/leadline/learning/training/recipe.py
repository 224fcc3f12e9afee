"""Recipes: a user's function that builds an estimator, and the ready one for who has none."""

import inspect
import sys
from collections.abc import Callable, Collection
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from sysconfig import get_paths
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.texts import Texts
from leadline.learning.reference import numbers, texts
from leadline.learning.training.errors import TrainingError
from leadline.learning.training.ready import fit_ready
from leadline.learning.training.surroundings import threads_here
from leadline.settings import ModelSettings
from leadline.wire.conversion import category

READY = "leadline.learning.training.ready:fit_ready"
"""The name of the ready recipe in receipts."""

_NOT_SERVED = frozenset({"catboost"})
"""Libraries whose models are refused when they are added, and here before they are fitted."""
_STDLIB, _OURS = Path(get_paths()["stdlib"]), Path(__file__).parents[2]
_BOOSTING = frozenset({"lightgbm", "xgboost"})
"""Libraries that take categories of pandas as such."""
_REPEATABLE = {"deterministic": True, "force_row_wise": True}
"""Without these LightGBM measures which way is quicker, and each gives other sums."""


def fit(table: pa.Table, settings: ModelSettings) -> tuple[Any, dict[str, Any]]:
    """The fitted estimator that is to be served, and what a search chose. Raises TrainingError, and whatever a recipe raises."""
    truth = outcomes_of(table, settings)
    training = settings.training
    if not training.recipe:
        return fit_ready(table, truth, settings), {}
    estimator = build(training.recipe, training.params, training.seed)
    estimator.fit(_rows_for(estimator, table, settings), truth)
    chosen = getattr(estimator, "best_params_", None)
    if chosen is not None and not hasattr(estimator, "best_estimator_"):
        raise TrainingError(
            f"recipe {training.recipe} searches with refit=False, so that there is no model: leave that out"
        )
    return getattr(estimator, "best_estimator_", estimator), chosen if isinstance(chosen, dict) else {}


def build(recipe: str, params: dict[str, Any], seed: int) -> Any:
    """The estimator of a recipe, not fitted. Raises TrainingError."""
    from sklearn.base import clone

    found = called(recipe, params, seed)
    if isinstance(found, type) or not hasattr(found, "fit"):
        raise TrainingError(
            f"recipe {recipe} returns a {type(found).__name__}, and should return an estimator that is not fitted"
        )
    try:
        estimator = clone(found)
    except TypeError as error:
        raise TrainingError(f"recipe {recipe} returns no estimator of scikit-learn's kind ({error})") from None
    for part in (estimator, *estimator.get_params().values()):
        if _library(part) in _NOT_SERVED:
            raise TrainingError(
                f"recipe {recipe} has a {type(part).__name__} of {type(part).__module__}, which cannot be stored or is not "
                "let into a worker: use XGBoost, LightGBM or scikit-learn's HistGradientBoosting, which are of its kind"
            )
        if _library(part) == "lightgbm":
            _make_repeatable(part)
    return estimator


def _library(part: Any) -> str:
    return type(part).__module__.partition(".")[0]


def _make_repeatable(part: Any) -> None:
    """What the recipe does not say: LightGBM would take all processors, and the quicker of two ways."""
    known = part.get_params()
    part.set_params(**{name: value for name, value in _REPEATABLE.items() if name not in known})
    if known.get("n_jobs") is None:
        part.set_params(n_jobs=threads_here())


def called(recipe: str, params: dict[str, Any], seed: int) -> Any:
    """What a recipe returns. Raises TrainingError where there is none."""
    function = _function(recipe)
    takes = inspect.signature(function).parameters
    seeded = "seed" in takes or any(each.kind is each.VAR_KEYWORD for each in takes.values())
    return function(params, seed=seed) if seeded else function(params)


def _function(recipe: str) -> Callable[..., Any]:
    module, _, name = recipe.partition(":")
    if not module or not name:
        raise TrainingError(f"[training] recipe = {recipe!r}: write module:function")
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"recipe {recipe}: {error}; install it, or put its folder on PYTHONPATH of the trainer"
        ) from None
    if not callable(found):
        raise TrainingError(f"recipe {recipe}: module {module} has no function {name}")
    return found  # type: ignore[no-any-return]


def _rows_for(estimator: Any, table: pa.Table, settings: ModelSettings) -> Any:
    """The features as an estimator takes them; boosting that stands alone, or in a search, gets categories of pandas."""
    from pandas import Categorical

    found = frame(table, settings)
    asked = estimator.get_params(deep=False)
    served = asked["estimator"] if {"estimator", "refit"} <= asked.keys() else estimator
    if _library(served) not in _BOOSTING:
        return found
    for name in settings.categorical:
        declared = [category(each) for each in settings.categories.get(name, [])]
        found[name] = Categorical(found[name], categories=declared or None)
    return found


def frame(table: pa.Table, settings: ModelSettings) -> Any:
    """The features as a data frame, as serving gives them: numbers as float64, categories as texts, missing is NaN."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise TrainingError(
            "a recipe gets a data frame, and pandas is not installed: pip install 'leadline[frames]'"
        ) from None
    columns = {name: numbers(table, name) for name in settings.numeric}
    return DataFrame(columns | {name: _objects(Texts.of(texts(table, name))) for name in settings.categorical})


def _objects(column: Texts) -> NDArray[Any]:
    known = np.empty(len(column.texts) + 1, object)
    known[:] = [*column.texts, np.nan]
    found: NDArray[Any] = known[column.codes]
    return found


def outcomes_of(table: pa.Table, settings: ModelSettings) -> NDArray[Any]:
    """The outcomes as an estimator learns them: class names as texts, whole numbers of classes as such. Raises TrainingError."""
    column = table["outcome"].combine_chunks()
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if settings.task == "regression":
        return found
    if len(classes := sorted(set(found.tolist()))) < 2:
        raise TrainingError(
            f"all {len(found):,} rows to train on have the outcome {classes}: wait for labels of the other class"
        )
    whole = found.dtype != object and (found == np.floor(found)).all()
    return found.astype(np.int64) if whole else found


def sources(recipe: str, before: Collection[str]) -> dict[str, str]:
    """The sha256 of the recipe's module, and of all modules of its package or from beside it that are loaded, by their paths from there.

    Modules from elsewhere that were not loaded ``before`` are there by their names; those that are installed are not: they have releases.
    """
    name = (recipe or READY).partition(":")[0]
    if not recipe:
        path = Path(inspect.getsourcefile(sys.modules[name]) or "")
        return {path.name: _digest(path)}
    root, found = folder_of(name), dict[str, str]()
    for module, path in _loaded():
        if path.is_relative_to(root) and (_is_below(module, name) or _is_own(path)):
            found[str(path.relative_to(root))] = _digest(path)
        elif module not in before and _is_own(path):
            found[module] = _digest(path)
    return dict(sorted(found.items()))


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def folder_of(name: str) -> Path:
    """The folder from which a module that is loaded comes: of one in a package, the folder of that."""
    file = Path(inspect.getsourcefile(sys.modules[name]) or "")
    package = sys.modules[name].__package__ or ""
    depth = package.count(".") + 1 if package else 0
    return file.parents[depth]


def _is_below(module: str, name: str) -> bool:
    top = name.partition(".")[0]
    return module == top or module.startswith(f"{top}.")


def _is_own(path: Path) -> bool:
    """Whether it is a user's: neither installed, nor Python's or ours."""
    installed = {"site-packages", "dist-packages"} & set(path.parts) or path.is_relative_to(_STDLIB)
    return not installed and not path.is_relative_to(_OURS)


def _loaded() -> list[tuple[str, Path]]:
    files = ((name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()))
    found = [(name, Path(each)) for name, each in files if isinstance(each, str) and each.endswith(".py")]
    return [(name, path) for name, path in found if path.is_file()]
