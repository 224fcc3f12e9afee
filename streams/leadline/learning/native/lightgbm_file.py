"""A file of LightGBM (its text), taken apart, checked and written anew: trees whose nodes lead where they should, and nothing else."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError

BINARY = "binary"
_REGRESSIONS = frozenset("regression regression_l1 huber fair poisson quantile mape gamma tweedie".split())
_WIDTH = 10_000
"""Features: more are in no request."""
_CATEGORY = 1
"""The bit of a node's decision that says that it asks for categories."""
_INT, _FLOAT = (
    re.compile(r"-?[0-9]{1,10}"),
    re.compile(r"-?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?(?:e[+-]?[0-9]{1,3})?|inf|nan)"),
)
_CHECKED_KEYS = frozenset(
    "num_leaves num_cat split_feature threshold decision_type left_child right_child leaf_value cat_boundaries cat_threshold is_linear "
    "leaf_const num_features leaf_features leaf_coeff shrinkage".split()
)


@dataclass(frozen=True, slots=True)
class Checked:
    """``text``: the file, written anew. ``categories``: of each column of a data frame that has some; ``coded``: these and others.

    ``highest``: the highest number of a category that each of these knows.
    """

    text: str
    objective: str
    width: int
    names: list[str] | None
    categories: dict[int, list[Any]]
    coded: frozenset[int]
    rounds: int
    highest: dict[int, int]


def is_lightgbm(data: bytes) -> bool:
    """Whether these may be the bytes of a file of LightGBM."""
    return data[:5] in (b"tree\n", b"tree\r")


def checked(data: bytes) -> Checked:
    """What is in a file. Raises NativeError."""
    try:
        text = data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise NativeError("is no text of LightGBM: it is not UTF-8") from None
    head, *trees = re.split(r"\nTree=[0-9]+\n", text)
    if not trees or "\nend of trees\n" not in trees[-1]:
        raise NativeError("is no text of LightGBM, or has no end")
    trees[-1], _, tail = trees[-1].partition("\nend of trees\n")
    found = _pairs(head.split("\n")[1:], {"average_output"})
    width = _int(found, "max_feature_idx") + 1
    if not 0 < width <= _WIDTH:
        raise NativeError(f"has {width} features, and up to {_WIDTH:,} are served")
    objective = _objective(found)
    names = _names(found, width)
    coded = _coded(found, tail, width)
    parts = [
        _head(found, names, objective, width),
        *(f"Tree={at}\n{_tree(each, width)}" for at, each in enumerate(trees)),
    ]
    new = "\n".join(parts) + "\nend of trees\n"
    known = names if names != [f"Column_{at}" for at in range(width)] else None
    return Checked(
        new,
        objective.partition(" ")[0],
        width,
        known,
        _categories(tail, coded),
        coded,
        len(trees),
        _highest(found, coded),
    )


def _pairs(lines: Iterable[str], flags: frozenset[str] | set[str] = frozenset()) -> dict[str, str]:
    """Lines of ``key=value``; each key once."""
    found: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not line or (not equals and line not in flags):
            continue
        if key in found:
            raise NativeError(f"has {key[:50]!r} twice")
        found[key] = value
    return found


def _int(held: Mapping[str, str], key: str) -> int:
    value = held.get(key, "")
    if not _INT.fullmatch(value):
        raise NativeError(f"has no number {key}")
    return int(value)


def _objective(head: Mapping[str, str]) -> str:
    said = head.get("objective", "")
    name = said.partition(" ")[0]
    classes = _int(head, "num_class")
    if classes != 1 or _int(head, "num_tree_per_iteration") != 1:
        raise NativeError(f"has {classes} classes: models of exactly two classes are served so far")
    if name != BINARY and name not in _REGRESSIONS:
        raise NativeError(
            f"has the objective {name[:50] or 'none'}, which is not served: train it with {BINARY} or a regression"
        )
    if not re.fullmatch(r"[a-z_0-9]+( [a-z_0-9]+(:[0-9.eE+-]+)?){0,4}", said):
        raise NativeError("has an objective that is none")
    return said


def _names(head: Mapping[str, str], width: int) -> list[str]:
    found = head.get("feature_names", "").split(" ")
    if len(found) != width or not all(found):
        raise NativeError("has names of another number of features")
    return found


def _coded(head: Mapping[str, str], tail: str, width: int) -> frozenset[int]:
    """The columns that are categories: what the training was told, or else what the features' own ranges look like."""
    said = re.search(r"\n\[categorical_feature: ([0-9,]*)\]\n", tail)
    if said is not None:
        found = frozenset(int(each) for each in said[1].split(",") if each)
    else:
        infos = head.get("feature_infos", "").split(" ")
        found = frozenset(at for at, info in enumerate(infos) if not info.startswith("[") and info != "none")
    if found and max(found) >= width:
        raise NativeError("has categories for a column that is not there")
    return found


def _highest(head: Mapping[str, str], coded: frozenset[int]) -> dict[int, int]:
    infos = dict(enumerate(head.get("feature_infos", "").split(" ")))
    said = {at: [int(each) for each in infos.get(at, "").split(":") if _INT.fullmatch(each)] for at in coded}
    return {at: max(numbers) for at, numbers in said.items() if numbers}


def _head(head: Mapping[str, str], names: list[str], objective: str, width: int) -> str:
    version = head.get("version", "")
    if not re.fullmatch(r"v[0-9]{1,3}", version):
        raise NativeError("says no version")
    lines = [
        "tree", f"version={version}", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
        f"max_feature_idx={width - 1}", f"objective={objective}",
    ]  # fmt: skip
    if "average_output" in head:
        lines.append("average_output")
    return "\n".join([*lines, f"feature_names={' '.join(names)}", f"feature_infos={' '.join(['none'] * width)}", ""])


def _tree(text: str, width: int) -> str:
    held = {key: value for key, value in _pairs(text.split("\n")).items() if key in _CHECKED_KEYS}
    leaves, categories = _int(held, "num_leaves"), _int(held, "num_cat")
    if leaves < 1:
        raise NativeError("has a tree without leaves")
    _numbers(held, "leaf_value", leaves, _FLOAT)
    if leaves > 1:
        _check_nodes(held, leaves, width, categories)
    linear = held.get("is_linear", "0") == "1"
    if linear:
        _check_linear(held, leaves, width)
    keys = _kept(leaves > 1, categories > 0 and leaves > 1, linear)
    said = {"num_leaves": str(leaves), "num_cat": str(categories if leaves > 1 else 0)}
    said |= {key: held[key] for key in keys}
    said["is_linear"] = "1" if linear else "0"
    if "shrinkage" in held:
        said["shrinkage"] = _numbers(held, "shrinkage", 1, _FLOAT)[0]
    return "".join(f"{key}={value}\n" for key, value in said.items()) + "\n"


def _kept(nodes: bool, categories: bool, linear: bool) -> list[str]:
    found = ["leaf_value"]
    found += ["split_feature", "threshold", "decision_type", "left_child", "right_child"] if nodes else []
    found += ["cat_boundaries", "cat_threshold"] if categories else []
    return found + (["leaf_const", "num_features", "leaf_features", "leaf_coeff"] if linear else [])


def _numbers(held: Mapping[str, str], key: str, count: int, kind: re.Pattern[str]) -> list[str]:
    """The numbers of a line, as they are written."""
    found = held.get(key, "").split()
    if len(found) != count or not all(map(kind.fullmatch, found)):
        raise NativeError(f"has a tree without a sound list {key}")
    return found


def _whole(held: Mapping[str, str], key: str, count: int) -> NDArray[np.int64]:
    return np.array([int(each) for each in _numbers(held, key, count, _INT)], np.int64)


def _check_nodes(held: Mapping[str, str], leaves: int, width: int, categories: int) -> None:
    """Every way from the root goes down, and ends. A child comes after its parent, and has one."""
    nodes = leaves - 1
    asked, kinds = _whole(held, "split_feature", nodes), _whole(held, "decision_type", nodes)
    left, right = _whole(held, "left_child", nodes), _whole(held, "right_child", nodes)
    children, after = np.concatenate([left, right]), np.tile(np.arange(nodes), 2)
    inner = children >= 0
    if not ((children[inner] > after[inner]) & (children[inner] < nodes)).all() or not (children >= -leaves).all():
        raise NativeError("has a tree with a node that leads nowhere")
    if len(np.unique(children)) != len(children):
        raise NativeError("has a tree with a node of two parents")
    if not ((asked >= 0) & (asked < width)).all():
        raise NativeError("has a tree that asks for a feature that is not there")
    if not ((kinds >= 0) & (kinds < 16)).all():
        raise NativeError("has a tree with a node of an unknown kind")
    thresholds = _numbers(held, "threshold", nodes, _FLOAT)
    _check_categories(
        held, [each for each, kind in zip(thresholds, kinds, strict=True) if kind & _CATEGORY], categories
    )


def _check_categories(held: Mapping[str, str], asked: list[str], categories: int) -> None:
    """A node names its set of categories by its threshold."""
    if categories < 0 or any(not _INT.fullmatch(each) or not 0 <= int(each) < categories for each in asked):
        raise NativeError("has a tree that asks for categories that are not there")
    if not categories:
        return
    bounds = _whole(held, "cat_boundaries", categories + 1)
    if bounds[0] or not (np.diff(bounds) > 0).all():
        raise NativeError("has a tree with categories that are none")
    words = _whole(held, "cat_threshold", int(bounds[-1]))
    if not ((words >= 0) & (words <= 0xFFFFFFFF)).all():
        raise NativeError("has a tree with categories that are none")


def _check_linear(held: Mapping[str, str], leaves: int, width: int) -> None:
    _numbers(held, "leaf_const", leaves, _FLOAT)
    counts = _whole(held, "num_features", leaves)
    if (counts < 0).any():
        raise NativeError("has a tree with a leaf of impossible features")
    total = int(counts.sum())
    features = _whole(held, "leaf_features", total)
    _numbers(held, "leaf_coeff", total, _FLOAT)
    if not ((features >= 0) & (features < width)).all():
        raise NativeError("has a tree that asks for a feature that is not there")


def _categories(tail: str, coded: frozenset[int]) -> dict[int, list[Any]]:
    """Those of the columns of a data frame, in the order of the columns."""
    said = re.search(r"\npandas_categorical:(.*)", tail)
    try:
        found = json.loads(said[1]) if said is not None else None
    except (ValueError, RecursionError):
        found = False
    if found is None or found == []:
        return {}
    if not isinstance(found, list) or not all(isinstance(each, list) for each in found):
        raise NativeError("has no sound list pandas_categorical")
    if any(isinstance(value, (dict, list)) for each in found for value in each):
        raise NativeError("has categories that are no texts and no numbers")
    if len(found) != len(coded):
        raise NativeError(
            f"was trained on a frame with {len(found)} columns of categories, and took {len(coded)} as such: make each an unordered "
            "category of pandas, and give categorical_feature nothing else"
        )
    return dict(zip(sorted(coded), found, strict=True))
