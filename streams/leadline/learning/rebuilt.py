"""Parts of a model that compiled code reads without a look at their bounds: they are built anew from what they were made of."""

from typing import Any

import numpy as np


class RebuildError(Exception):
    """A part cannot be built anew; the message goes on from the path of its owner."""


def rebuild(owner: Any) -> None:
    """Replace the tree of a search for neighbours, or the knots of a spline. Raises RebuildError."""
    if vars(owner).get("_tree") is not None:
        _search_tree(owner)
    elif type(owner).__module__ == "scipy.interpolate._bsplines":
        _spline(owner)


def is_compiled(value: Any) -> bool:
    """Whether a value is of a kind that is only safe where it was built anew."""
    return type(value).__module__ in (
        "sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree", "sklearn.metrics._dist_metrics",
    )  # fmt: skip


def _search_tree(owner: Any) -> None:
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.neighbors._base import NeighborsBase

    held = vars(owner)
    kind = {"kd_tree": KDTree, "ball_tree": BallTree}.get(str(held.get("_fit_method")))
    metric, params = held.get("effective_metric_"), held.get("effective_metric_params_")
    if not isinstance(owner, NeighborsBase) or kind is None or not isinstance(metric, str):
        raise RebuildError("has a search tree that is not its own")
    try:
        rows = np.ascontiguousarray(held["_fit_X"], np.float64)
        owner._tree = kind(rows, held["leaf_size"], metric=metric, **{key: params[key] for key in params or {}})
    except Exception as error:  # noqa: BLE001 - what is not sound fails in many ways
        raise RebuildError(f"has a search tree that cannot be built ({type(error).__name__}: {error})") from None


def _spline(spline: Any) -> None:
    from scipy.interpolate import BSpline

    held = vars(spline)
    try:
        new = BSpline(spline.t, spline.c, spline.k, spline.extrapolate, spline.axis)
    except Exception as error:  # noqa: BLE001 - what is not sound fails in many ways
        raise RebuildError(f"is no sound spline ({type(error).__name__}: {error})") from None
    held.clear()
    held.update(vars(new))
