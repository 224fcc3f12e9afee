"""What a stored river model may be made of: classes of river that learn or prepare, plain containers, and numbers."""

import copy
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np


class RefusedError(Exception):
    """The file has something that no stored model needs; the message says what."""


PACKAGES = frozenset(
    {
        "_river_rust", "base", "compose", "covariance", "drift", "dummy", "ensemble", "facto", "feature_extraction", "feature_selection",
        "forest", "imblearn", "linear_model", "metrics", "model_selection", "multiclass", "naive_bayes", "neighbors", "optim",
        "preprocessing", "proba", "rules", "sketch", "stats", "tree", "utils",
    }
)  # fmt: skip
"""Of river. The others read files, fetch data, write caches, wrap models of other libraries, or watch experiments."""
_FUNCTIONS = frozenset(
    {
        ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian"),
        ("river._river_rust.vectordict", "euclidean_distance_tuple"),
    }
)
"""Functions of numbers alone, which a model may hold. None is called while it is read."""
_KINDS = {each.__name__: each for each in (bool, complex, dict, float, frozenset, int, list, set, str, tuple)}
_MADE = (random.Random, Counter, OrderedDict, defaultdict, deque)


def found(module: str, name: str) -> Any:
    """What a file names. Raises RefusedError for what it may not name."""
    known = _KNOWN.get((module, name))
    if known is not None:
        return known
    parts = module.split(".")
    if parts[0] != "river" or len(parts) < 2 or parts[1] not in PACKAGES or "datasets" in parts:
        raise RefusedError(f"{module}.{name}"[:200])
    value: Any = import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
        if not isinstance(value, type) and (module, name) not in _FUNCTIONS:
            raise RefusedError(f"{module}.{name}, which is no class"[:200])
    if (module, name) not in _FUNCTIONS and not is_river(value):
        raise RefusedError(f"{module}.{name}, which is no class of river"[:200])
    return value


def is_river(kind: Any) -> bool:
    """Whether this is a class of the packages of river that are admitted, wherever it was named from."""
    if not isinstance(kind, type):
        return False
    parts = kind.__module__.split(".")
    return parts[0] == "river" and len(parts) > 1 and parts[1] in PACKAGES and "datasets" not in parts


def may_be_called(value: Any) -> bool:
    """Whether a file may have this called as it is read: what makes containers and arrays, and river's own numbers in Rust."""
    return any(value is each for each in _CALLED) or (
        is_river(value) and value.__module__.startswith("river._river_rust")
    )


def may_be_set(value: Any, state: Any) -> bool:
    """Whether a file may set the state of an object that it has made."""
    if isinstance(value, type):  # a class is nobody's own
        return False
    if isinstance(value, partial):
        return isinstance(state, tuple) and len(state) == 4 and state[0] is value.func
    return is_river(type(value)) or isinstance(
        value, (random.Random, np.dtype, np.random.RandomState, *_BIT_GENERATORS)
    )


def _partial(function: Any, *args: Any) -> Any:
    if args or not any(
        function is each for each in (*_MADE, *_KINDS.values(), copy.deepcopy, *_functions())
    ) | is_river(function):
        raise RefusedError(f"a call of {getattr(function, '__name__', type(function).__name__)}")
    return partial(function)


def _functions() -> list[Callable[..., Any]]:
    return [found(*each) for each in _FUNCTIONS]


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or axis_order is not None:
        raise RefusedError("an array of objects")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def _dtype(*args: Any) -> Any:
    if not isinstance(args[0], str):
        raise RefusedError("a dtype that is not named")
    return np.dtype(args[0])


def _bit_generator(kind: Any) -> Any:
    if kind not in _BIT_GENERATORS:
        raise RefusedError("a source of chance that is not numpy's")
    return kind()


def _random_state(generator: Any, _make: Any = None) -> Any:
    return np.random.RandomState(generator)


_BIT_GENERATORS = (np.random.MT19937, np.random.PCG64)
_CALLED = (*_MADE, _partial, _frombuffer, _dtype, _bit_generator, _random_state)
_KNOWN: dict[tuple[str, str], Any] = {
    **{("builtins", name): kind for name, kind in _KINDS.items()},
    **{(kind.__module__, kind.__name__): kind for kind in (*_MADE, *_BIT_GENERATORS)},
    ("functools", "partial"): _partial,
    ("copy", "deepcopy"): copy.deepcopy,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "dtype"): _dtype,
    ("numpy.random._pickle", "__bit_generator_ctor"): _bit_generator,
    ("numpy.random._pickle", "__randomstate_ctor"): _random_state,
}
