"""Trees in an operator of ONNX: nodes that lead where they should, and answers that are of leaves."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError

WIDTH = 10_000
"""Features: more are in no request."""


def ints(held: dict[str, Any], name: str, count: int | None = None) -> NDArray[np.int64]:
    """A list of an operator of trees. Raises NativeError."""
    found = held.get(name)
    if found is None and not count:
        return np.zeros(0, np.int64)
    if not isinstance(found, np.ndarray) or found.dtype != np.int64 or (count is not None and len(found) != count):
        raise NativeError(f"has trees without a sound list {name}")
    return found


def check_trees(held: dict[str, Any], leaf: str) -> None:
    """Every way from a root goes on, and ends: each node has one parent, a root none, and what a leaf says is of a leaf."""
    trees = ints(held, "nodes_treeids")
    count = len(trees)
    of = partial(ints, held, count=count)
    ids, true, false = of("nodes_nodeids"), of("nodes_truenodeids"), of("nodes_falsenodeids")
    modes, values = held.get("nodes_modes", []), held.get("nodes_values")
    if (
        not isinstance(modes, list)
        or len(modes) != count
        or not isinstance(values, np.ndarray)
        or len(values) != count
        or not count
    ):
        raise NativeError("has trees without nodes")
    if not set(modes) <= {
        b"BRANCH_LEQ",
        b"BRANCH_LT",
        b"BRANCH_GTE",
        b"BRANCH_GT",
        b"BRANCH_EQ",
        b"BRANCH_NEQ",
        b"LEAF",
    }:
        raise NativeError("has trees with a node of an unknown kind")
    asked = of("nodes_featureids")
    if not ((asked >= 0) & (asked < WIDTH)).all():
        raise NativeError("has trees that ask for a feature that is not there")
    inner = np.array([each != b"LEAF" for each in modes], bool)
    where = {key: at for at, key in enumerate(zip(trees.tolist(), ids.tolist(), strict=True))}
    if len(where) != count:
        raise NativeError("has trees with a node that is there twice")
    _check_children(where, trees, inner, (true, false))
    _check_leaves(held, leaf, where, inner)


def _check_children(
    where: dict[tuple[int, int], int],
    trees: NDArray[np.int64],
    inner: NDArray[np.bool_],
    ways: tuple[NDArray[np.int64], ...],
) -> None:
    at = np.flatnonzero(inner)
    children = [where.get(key, -1) for way in ways for key in zip(trees[at].tolist(), way[at].tolist(), strict=True)]
    found = np.array(children, np.int64)
    first = np.unique(trees, return_index=True)[1]  # the runtime takes the first node of a tree for its root
    if (found < 0).any():
        raise NativeError("has trees with a node that leads nowhere")
    if len(np.unique(found)) != len(found) or np.isin(found, first).any():
        raise NativeError("has trees with a node of two parents, or with a root that has one")


def _check_leaves(held: dict[str, Any], leaf: str, where: dict[tuple[int, int], int], inner: NDArray[np.bool_]) -> None:
    trees = ints(held, f"{leaf}_treeids")
    nodes, ids = ints(held, f"{leaf}_nodeids", len(trees)), ints(held, f"{leaf}_ids", len(trees))
    weights = held.get(f"{leaf}_weights")
    if not isinstance(weights, np.ndarray) or len(weights) != len(trees):
        raise NativeError("has trees without a sound list of what their leaves say")
    at = np.array([where.get(key, -1) for key in zip(trees.tolist(), nodes.tolist(), strict=True)], np.int64)
    if (at < 0).any() or inner[at].any():
        raise NativeError("has trees with an answer that is of no leaf")
    labels = max(
        (len(held[name]) for name in ("classlabels_int64s", "classlabels_strings") if held.get(name) is not None),
        default=0,
    )
    outcomes = labels if leaf == "class" else held.get("n_targets")
    if not isinstance(outcomes, int) or not 0 < outcomes <= 2 or not ((ids >= 0) & (ids < outcomes)).all():
        raise NativeError("has trees of several outcomes, or of classes that are not there")
    base = held.get("base_values")
    if base is not None and len(base) not in (0, 1, outcomes):
        raise NativeError("has trees with base values of other outcomes")
