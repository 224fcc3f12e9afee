"""Trees whose nodes lead where they should: scikit-learn follows them without a look at the bounds of its arrays."""

from typing import Any

import numpy as np


class TreeError(Exception):
    """A tree could lead out of its arrays, or round in a circle; the message goes on from the path of its owner."""


def check_trees(owner: Any) -> None:
    """Check the trees that an estimator holds itself. Raises TreeError."""
    held = vars(owner)
    if "tree_" in held:
        _check_tree(held["tree_"], held.get("n_features_in_"))
    elif type(owner).__name__ in ("GradientBoostingClassifier", "GradientBoostingRegressor") and "estimators_" in held:
        _check_stages(owner)
    elif "_predictors" in held:
        _check_predictors(owner)


def _check_tree(tree: Any, features: Any) -> None:
    from sklearn.tree._tree import Tree

    if type(tree) is not Tree or type(features) is not int or tree.n_features != features:
        raise TreeError("has a tree of another number of features")
    nodes = tree.__getstate__()["nodes"]
    if not 0 < tree.node_count <= len(nodes):
        raise TreeError("has a tree without nodes")
    leaf = nodes["left_child"] == -1
    inner = nodes[~leaf]
    at = np.flatnonzero(~leaf)
    _check_children(at, inner["left_child"], inner["right_child"], tree.node_count)
    if not ((inner["feature"] >= 0) & (inner["feature"] < features)).all():
        raise TreeError("has a tree that asks for a feature that is not there")


def _check_children(at: Any, left: Any, right: Any, count: int) -> None:
    """Children come after their parent, so that every way ends."""
    for child in (left.astype(np.int64), right.astype(np.int64)):
        if not ((child > at) & (child < count)).all():
            raise TreeError("has a tree with a node that leads nowhere")


def _check_stages(owner: Any) -> None:
    """Gradient boosting goes to the trees of its trees by itself, and looks at nothing."""
    from sklearn.tree import DecisionTreeRegressor

    stages, features = owner.estimators_, vars(owner).get("n_features_in_")
    if not isinstance(stages, np.ndarray) or stages.ndim != 2:
        raise TreeError("has no table of trees")
    for each in stages.ravel():
        tree = vars(each).get("tree_") if type(each) is DecisionTreeRegressor else None
        _check_tree(tree, features)
        if (tree.n_outputs, tree.max_n_classes) != (1, 1):  # type: ignore[union-attr]
            raise TreeError("has a tree of more than one value a leaf")


def _check_predictors(owner: Any) -> None:
    held = vars(owner)
    features = held.get("n_features_in_")
    categorical = getattr(held.get("_bin_mapper"), "is_categorical_", None)
    if type(features) is not int or not isinstance(categorical, np.ndarray) or categorical.shape != (features,):
        raise TreeError("has trees of another number of features")
    predictors = held["_predictors"]
    if not isinstance(predictors, list) or not all(isinstance(each, list) for each in predictors):
        raise TreeError("has no list of trees")
    for each in (each for stage in predictors for each in stage):
        _check_predictor(each, features, bool(categorical.any()))


def _check_predictor(predictor: Any, features: int, categorical: bool) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    nodes = vars(predictor).get("nodes") if type(predictor) is TreePredictor else None
    if not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or not len(nodes) or nodes.dtype != PREDICTOR_RECORD_DTYPE:
        raise TreeError("has a tree without nodes")
    at = np.flatnonzero(nodes["is_leaf"] == 0)
    inner = nodes[at]
    _check_children(at, inner["left"], inner["right"], len(nodes))
    if not ((inner["feature_idx"] >= 0) & (inner["feature_idx"] < features)).all():
        raise TreeError("has a tree that asks for a feature that is not there")
    split = inner[inner["is_categorical"] != 0]
    bits = vars(predictor).get("raw_left_cat_bitsets")
    sound = isinstance(bits, np.ndarray) and bits.ndim == 2 and bits.shape[1] == 8 and categorical
    if len(split) and not (sound and (split["bitset_idx"] < len(bits)).all()):
        raise TreeError("has a tree that asks for categories that are not there")
