"""A file of XGBoost (UBJSON or JSON), taken apart, checked and written anew: trees whose nodes lead where they should, and nothing else."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError
from leadline.learning.native.ubjson import decode, encode
from leadline.learning.native.xgboost_trees import WIDTH, array, mapping, tree_of, whole

BINARY = "binary:logistic"
_REGRESSIONS = frozenset(
    "reg:absoluteerror reg:gamma reg:linear reg:logistic reg:pseudohubererror reg:quantileerror reg:squarederror reg:squaredlogerror "
    "reg:tweedie count:poisson".split()
)
_PARAMS = {
    "reg:pseudohubererror": "pseudo_huber_param",
    "reg:quantileerror": "quantile_loss_param",
    "reg:tweedie": "tweedie_regression_param",
    "count:poisson": "poisson_regression_param",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """``data``: the file, written anew. ``categories``: of each column that has learned some. ``coded``: the columns that are categories.

    ``rounds``: how many rounds its wrapper for scikit-learn answers with, 0 for all. ``highest``: the highest number of a category in its
    trees, by column.
    """

    data: bytearray
    objective: str
    width: int
    names: list[str] | None
    categories: dict[int, list[Any]]
    coded: frozenset[int]
    booster: str
    rounds: int
    wrapped: bool
    all_rounds: int
    highest: dict[int, int]


def is_xgboost(data: bytes) -> bool:
    """Whether these may be the bytes of a file of XGBoost."""
    return data[:2] == b"{L" or re.match(rb'\s*\{\s*"', data[:100]) is not None


def checked(data: bytes) -> Checked:
    """What is in a file. Raises NativeError."""
    return _checked(mapping(_read(data), "the file"))


def checked_state(data: bytes) -> Checked:
    """The same for the state that a pickle or a skops file has of a booster."""
    return _checked(mapping(mapping(_read(data), "the state").get("Model"), "Model"))


def _read(data: bytes) -> Any:
    if data[:2] == b"{L":
        return decode(data)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NativeError(f"is neither UBJSON nor JSON of XGBoost ({str(error)[:100]})") from None


def _checked(model: Mapping[str, Any]) -> Checked:
    learner = mapping(model.get("learner"), "learner")
    param = mapping(learner.get("learner_model_param"), "learner_model_param")
    width, objective = whole(param, "num_feature"), _objective(learner)
    if not 0 < width <= WIDTH:
        raise NativeError(f"has {width} features, and up to {WIDTH:,} are served")
    _check_outputs(param)
    names, types = _names(learner.get("feature_names"), width), _names(learner.get("feature_types"), width)
    booster, cats = _booster(mapping(learner.get("gradient_booster"), "gradient_booster"), width)
    attributes, rounds, wrapped = _attributes(learner, booster)
    new: dict[str, Any] = {"attributes": attributes, "feature_names": names or [], "feature_types": types or []}
    new["gradient_booster"] = booster
    base = _base_score(param)
    new["learner_model_param"] = {
        "base_score": base, "boost_from_average": "1", "num_class": "0", "num_feature": str(width), "num_target": "1",
    }  # fmt: skip
    new["objective"] = objective
    coded = frozenset(at for at, kind in enumerate(types or []) if kind == "c")
    categories = _categories(cats, width)
    if set(categories) - coded:
        raise NativeError("has categories for a column that has none")
    data = bytearray(encode({"learner": new, "version": _version(model)}))
    kind, highest = booster["name"], _highest(booster)
    return Checked(
        data, objective["name"], width, names, categories, coded, kind, rounds, wrapped, _rounds(booster), highest
    )


def _objective(learner: Mapping[str, Any]) -> dict[str, Any]:
    held = mapping(learner.get("objective"), "objective")
    name = str(held.get("name"))
    if name.startswith("multi:"):
        raise NativeError(
            f"has the objective {name[:50]}: models of exactly two classes are served so far, trained with {BINARY}"
        )
    if name != BINARY and name not in _REGRESSIONS:
        raise NativeError(f"has the objective {name[:50]}, which is not served: train it with {BINARY} or a regression")
    key = _PARAMS.get(name, "reg_loss_param")
    said = held.get(key)
    if not isinstance(said, dict):
        return {"name": name}
    if not all(isinstance(each, str) and len(each) < 100 for each in said.values()) or len(said) > 4:
        raise NativeError("has an objective with parameters that are none")
    if name == "reg:quantileerror" and "," in str(said.get("quantile_alpha")):
        raise NativeError("predicts several quantiles, and a model has one outcome")
    return {"name": name, key: {str(each)[:100]: value for each, value in said.items()}}


def _check_outputs(param: Mapping[str, Any]) -> None:
    classes, targets = whole(param, "num_class"), whole(param, "num_target") if "num_target" in param else 1
    if classes > 1:
        raise NativeError(f"has {classes} classes: models of exactly two classes are served so far")
    if targets > 1:
        raise NativeError(f"predicts {targets} outcomes, and a model has one")


def _base_score(param: Mapping[str, Any]) -> str:
    said = str(param.get("base_score"))
    if not re.fullmatch(r"\[?-?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?\]?", said):
        raise NativeError("has no single base_score")
    return said


def _names(said: Any, width: int) -> list[str] | None:
    if said is None or len(said) == 0:
        return None
    if not isinstance(said, list) or len(said) != width or not all(isinstance(each, str) for each in said):
        raise NativeError("has names or types of another number of features")
    return said


def _attributes(learner: Mapping[str, Any], booster: Mapping[str, Any]) -> tuple[dict[str, str], int, bool]:
    """Those that change an answer, the rounds of the wrapper, and whether there is one."""
    held = learner.get("attributes")
    found = held if isinstance(held, dict) else {}
    wrapped = "scikit_learn" in found
    if "best_iteration" not in found:
        return {}, 0, wrapped
    best = whole(found, "best_iteration")
    if not 0 <= best < max(_rounds(booster), 1):
        raise NativeError(f"has the best iteration {best}, and {_rounds(booster)} rounds")
    return {"best_iteration": str(best)}, best + 1, wrapped


def _rounds(booster: Mapping[str, Any]) -> int:
    if booster["name"] == "gblinear":
        return int(booster["model"]["boosted_rounds"])
    trees = booster["gbtree"] if booster["name"] == "dart" else booster
    return len(trees["model"]["iteration_indptr"]) - 1


def _booster(held: Mapping[str, Any], width: int) -> tuple[dict[str, Any], Any]:
    """The booster anew, and its categories."""
    name = held.get("name")
    if name == "gblinear":
        return {"name": name, "model": _linear(mapping(held.get("model"), "model"), width)}, None
    if name == "gbtree":
        model = mapping(held.get("model"), "model")
        return {"name": name, "model": _trees(model, width)}, model.get("cats")
    if name == "dart":
        inner, cats = _booster(mapping(held.get("gbtree"), "gbtree"), width)
        drops = array(held, "weight_drop", np.float32, len(inner["model"]["trees"]))
        return {"name": name, "gbtree": inner, "weight_drop": drops.tolist()}, cats
    raise NativeError(f"has the booster {str(name)[:50]}, which is not known")


def _highest(booster: Mapping[str, Any]) -> dict[int, int]:
    held = booster["gbtree"] if booster["name"] == "dart" else booster
    found: dict[int, int] = {}
    for tree in held["model"].get("trees", ()):
        ends = np.cumsum(tree["categories_sizes"])
        asked = tree["split_indices"][tree["categories_nodes"]].tolist()
        for at, start, end in zip(asked, (ends - tree["categories_sizes"]).tolist(), ends.tolist(), strict=True):
            found[at] = max(found.get(at, -1), int(tree["categories"][start:end].max()))
    return found


def _linear(model: Mapping[str, Any], width: int) -> dict[str, Any]:
    rounds = whole(model, "boosted_rounds") if "boosted_rounds" in model else 0
    return {"boosted_rounds": rounds, "weights": array(model, "weights", np.float32, width + 1)}


def _trees(model: Mapping[str, Any], width: int) -> dict[str, Any]:
    trees = model.get("trees")
    if not isinstance(trees, list):
        raise NativeError("has no list of trees")
    count = len(trees)
    if array(model, "tree_info", np.int32, count).any():
        raise NativeError("has trees of several outcomes")
    param = mapping(model.get("gbtree_model_param"), "gbtree_model_param")
    parallel = whole(param, "num_parallel_tree") if "num_parallel_tree" in param else 1
    starts = _starts(model, count, max(parallel, 1))
    return {
        "cats": {"enc": [], "feature_segments": np.zeros(0, np.int32), "sorted_idx": np.zeros(0, np.int32)},
        "gbtree_model_param": {"num_parallel_tree": str(max(parallel, 1)), "num_trees": str(count)},
        "iteration_indptr": starts.tolist(),
        "tree_info": [0] * count,
        "trees": [tree_of(mapping(each, "tree"), at, width) for at, each in enumerate(trees)],
    }


def _starts(model: Mapping[str, Any], count: int, parallel: int) -> NDArray[Any]:
    """Where each round begins among the trees."""
    if "iteration_indptr" not in model:
        return np.append(np.arange(0, count, parallel), count).astype(np.int32)
    found = array(model, "iteration_indptr", np.int32)
    if not len(found) or found[0] or found[-1] != count or (np.diff(found) < 0).any():
        raise NativeError("has rounds that are not of its trees")
    return found


def _categories(cats: Any, width: int) -> dict[int, list[Any]]:
    held = cats.get("enc") if isinstance(cats, dict) else None
    if held is None or len(held) == 0:
        return {}
    if not isinstance(held, list) or len(held) != width:
        raise NativeError("has categories of another number of features")
    found = {at: _values(mapping(each, "categories")) for at, each in enumerate(held)}
    return {at: values for at, values in found.items() if values}


def _values(enc: Mapping[str, Any]) -> list[Any]:
    """Texts end to end with their offsets, or numbers; none where a letter is beyond ASCII: XGBoost counts letters there, not bytes."""
    if "offsets" not in enc:
        value = np.asarray(enc.get("values"))
        if value.ndim != 1 or value.dtype.kind not in "biuf":
            raise NativeError("has no sound list of categories")
        found: list[Any] = value.tolist()
        return found
    said = array(enc, "values", np.int16).astype(np.uint8).tobytes()
    offsets = array(enc, "offsets", np.int64).tolist()
    if any(not 0 <= start <= end <= len(said) for start, end in pairwise(offsets)):
        raise NativeError("has categories that are not there")
    if not said.isascii():
        return []
    return [said[start:end].decode() for start, end in pairwise(offsets)]


def _version(model: Mapping[str, Any]) -> list[int]:
    found: list[int] = array(model, "version", np.int32, 3).tolist()
    return found
