"""What a model of allowed types could still do: read files, call out, hang, or read beyond its arrays.

It is refused by the name of the attribute.
"""

from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from leadline.learning.allowed import FUNCTIONS
from leadline.learning.rebuilt import RebuildError, is_compiled, rebuild
from leadline.learning.trees import TreeError, check_trees

_HARMLESS = (str, bytes, int, float, complex, bool, type(None), slice, np.generic, np.dtype, np.ufunc)
_MOST = 4_000_000
_PATH = 200
"""Characters of an attribute's path."""


class BehaviourError(Exception):
    """The model could do what no model needs; the message names the attribute and says what to do."""


def tame(estimator: Any) -> None:
    """Look at every object that a model holds, and let it use no threads and print nothing.

    Raises BehaviourError.
    """
    for path, value in _objects(estimator):
        _check_value(path, value)
        if not hasattr(value, "__dict__") or isinstance(value, (type, partial)):
            continue
        _check_attributes(path, value)
        for quiet, is_ in (("n_jobs", _one_thread(value)), ("verbose", 0)):
            if quiet in vars(value):
                setattr(value, quiet, is_)
        try:
            check_trees(value)
            rebuild(value)
        except (RebuildError, TreeError) as error:
            raise BehaviourError(f"{path} {error}; save the model again") from None


def _one_thread(value: Any) -> int | None:
    """What means one thread: to LightGBM nothing at all means as many as there are processors."""
    return 1 if type(value).__module__.startswith("lightgbm.") else None


def forget_names(estimator: Any) -> None:
    """Let a model forget the names of its columns, so that it takes a matrix without a warning at each call."""
    for _, value in _objects(estimator):
        if "feature_names_in_" in getattr(value, "__dict__", {}):
            del value.feature_names_in_


def _objects(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Every object that is reachable, with the path to it, once."""
    seen, ahead = set(), [(type(estimator).__name__, estimator)]
    while ahead:
        path, value = ahead.pop()
        if isinstance(value, _HARMLESS) or id(value) in seen:
            continue
        seen.add(id(value))
        yield path, value
        ahead += _held(path, value)
        if len(ahead) > _MOST:
            raise BehaviourError(f"{path} and what it holds are more than {_MOST:,} objects; save a smaller model")


def _held(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((_below(path, f"[{str(key)[:50]!r}]"), each) for key, each in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((_below(path, f"[{i}]"), each) for i, each in enumerate(value))
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            yield from ((_below(path, f"[{i}]"), each) for i, each in enumerate(value.ravel()))
    elif isinstance(value, partial):
        yield from ((_below(path, part), getattr(value, part)) for part in ("func", "args", "keywords"))
    if hasattr(value, "__dict__") and not isinstance(value, (type, FunctionType)):
        yield from ((_below(path, f".{name}"), each) for name, each in vars(value).items())


def _below(path: str, part: str) -> str:
    return path + part if len(path) < _PATH else path


def _check_value(path: str, value: Any) -> None:
    if isinstance(value, type):
        if value.__module__ not in ("builtins", "numpy"):
            raise BehaviourError(f"{path} is the class {value.__name__}; a model holds none: save it without")
    elif isinstance(value, (FunctionType, BuiltinFunctionType, MethodType)) or type(value).__name__ == "method-wrapper":
        if (getattr(value, "__module__", ""), getattr(value, "__name__", "")) not in FUNCTIONS:
            raise BehaviourError(
                f"{path} is the function {getattr(value, '__name__', '?')}, which could read files or call out; "
                "name a kernel, metric or analyzer by a text, or do this step before the request is sent"
            )
    elif is_compiled(value) and not path.endswith("._tree"):
        raise BehaviourError(
            f"{path} is a {type(value).__name__}, which belongs into a search for neighbours; save the model again"
        )
    elif type(value).__module__.startswith("scipy.sparse"):
        _check_sparse(path, value)


def _check_sparse(path: str, value: Any) -> None:
    """Scipy takes it that indices are inside of the matrix."""
    why = f"it is {value.format}" if value.format not in ("csr", "csc") else ""
    try:
        if not why:
            value.check_format(full_check=True)
    except Exception as error:  # noqa: BLE001 - scipy fails in many ways
        why = str(error)
    if why:
        raise BehaviourError(f"{path} is no sound CSR or CSC matrix ({why}); save the model again")


def _check_attributes(path: str, value: Any) -> None:
    held = vars(value)
    if held.get("input", "content") != "content":
        raise BehaviourError(f'{path}.input is {held["input"]!r}: it reads files; use input="content"')
    if held.get("memory") is not None:
        raise BehaviourError(f"{path}.memory is set: it reads and writes a cache on disk; use memory=None")
    for name in held:
        if callable(getattr(type(value), name, None)) and not isinstance(getattr(type(value), name), type):
            raise BehaviourError(f"{path}.{name} hides a method of {type(value).__name__}; save the model again")
