"""A tree of XGBoost, checked and made anew: nodes that lead where they should, and lists that are as long as they say."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError

WIDTH = 10_000
"""Features: more are in no request."""
_INTS = ("left_children", "right_children", "parents", "split_indices")
_FLOATS = ("base_weights", "split_conditions", "loss_changes", "sum_hessian")
_BYTES = ("default_left", "split_type")
_DELETED = np.uint32(0xFFFFFFFF).astype(np.int32)


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NativeError(f"has no {what}: it is no model of XGBoost, or one of a release before 1.6")
    return value


def whole(held: Mapping[str, Any], name: str) -> int:
    value = held.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value):
        return int(value)
    raise NativeError(f"has no number {name}")


def tree_of(tree: Mapping[str, Any], at: int, width: int) -> dict[str, Any]:
    param = mapping(tree.get("tree_param"), "tree_param")
    nodes = whole(param, "num_nodes")
    if whole(param, "size_leaf_vector") > 1 or whole(param, "num_feature") != width:
        raise NativeError("has a tree of other features, or of several outcomes")
    found: dict[str, Any] = {name: array(tree, name, np.int32, nodes) for name in _INTS}
    found |= {name: array(tree, name, np.float32, nodes) for name in _FLOATS}
    found |= {name: array(tree, name, np.uint8, nodes) for name in _BYTES}
    _check_nodes(found, nodes, width)
    found |= _node_categories(tree, found)
    shape = {"num_deleted": "0", "num_feature": str(width), "num_nodes": str(nodes), "size_leaf_vector": "1"}
    deleted = int((found["split_indices"] == _DELETED).sum())
    return found | {"id": at, "tree_param": shape | {"num_deleted": str(deleted)}}


def _check_nodes(tree: Mapping[str, Any], nodes: int, width: int) -> None:
    """Every way from the root goes down, and ends. A child comes after its parent, and has one."""
    left, right = tree["left_children"], tree["right_children"]
    inner = np.flatnonzero(left != -1)
    children = np.concatenate([left[inner], right[inner]])
    after = np.concatenate([inner, inner])
    if not nodes or not ((children > after) & (children < nodes)).all() or (right[left == -1] != -1).any():
        raise NativeError("has a tree with a node that leads nowhere")
    if len(np.unique(children)) != len(children) or (tree["parents"][children] != after).any():
        raise NativeError("has a tree with a node of two parents")
    asked = tree["split_indices"][inner]
    if not ((asked >= 0) & (asked < width)).all():
        raise NativeError("has a tree that asks for a feature that is not there")
    if (tree["split_type"] > 1).any() or (tree["default_left"] > 1).any():
        raise NativeError("has a tree with a node of an unknown kind")


def _node_categories(tree: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The categories that go one way, for each node that asks for some."""
    known = {name: array(tree, name, np.int32) for name in ("categories", "categories_nodes")}
    starts, sizes = (array(tree, f"categories_{name}", np.int64) for name in ("segments", "sizes"))
    asking = np.flatnonzero((found["split_type"] == 1) & (found["left_children"] != -1))
    at, values = known["categories_nodes"], known["categories"]
    sound = len(at) == len(starts) == len(sizes) and (np.diff(at) > 0).all() and np.array_equal(at, asking)
    ends = np.cumsum(sizes)
    sound = sound and (sizes > 0).all() and np.array_equal(starts, ends - sizes) and len(values) == sizes.sum()
    if not sound or ((values < 0) | (values >= WIDTH * 10)).any():
        raise NativeError("has a tree that asks for categories that are not there")
    return known | {"categories_segments": starts, "categories_sizes": sizes}


def array(held: Mapping[str, Any], name: str, kind: Any, size: int | None = None) -> NDArray[Any]:
    value = held.get(name)
    try:
        found = np.asarray(value)
        sound = value is not None and found.ndim == 1 and (not found.size or found.dtype.kind in "biuf")
        sound = sound and (size is None or found.size == size)
        whole = np.dtype(kind).kind in "iu"
        if sound and whole and found.size:
            limits = np.iinfo(kind)
            unsigned = found.astype(np.int64)
            sound = (unsigned == found).all() and unsigned.min() >= limits.min and unsigned.max() <= limits.max
    except (ValueError, TypeError, OverflowError):
        sound = False
    if not sound:
        raise NativeError(f"has no sound list {name}")
    with np.errstate(over="ignore"):
        return found.astype(kind)
