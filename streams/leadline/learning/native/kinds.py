"""Which library a model's file is of, and what has to be installed for it."""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

from leadline.learning.errors import RegistryError
from leadline.learning.golden import PARITY
from leadline.learning.limits import LIGHTGBM, LIMITS, ONNX, SCHEMA, SCHEMA_BYTES, XGBOOST
from leadline.learning.native.boosted import Native
from leadline.learning.native.errors import NativeError
from leadline.learning.native.lightgbm_file import is_lightgbm
from leadline.learning.native.onnx_file import is_onnx
from leadline.learning.native.xgboost_file import is_xgboost
from leadline.learning.reached import reached

_MOST_CHARS = 300
"""Of what a library says: it may quote the whole file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``file``: what it is called in a version. ``package`` is imported where such a model is loaded; ``extra`` brings it.

    ``is_it``: whether these bytes are such a file; ``module``: what reads it. ``parity``: how far an answer may be from what it was.
    """

    name: str
    file: str
    package: str
    extra: str
    is_it: Callable[[bytes], bool]
    module: str
    parity: float = PARITY


KINDS = (
    Kind("XGBoost", XGBOOST, "xgboost", "xgboost", is_xgboost, "xgboost_model"),
    Kind("LightGBM", LIGHTGBM, "lightgbm", "lightgbm", is_lightgbm, "lightgbm_model"),
    Kind("ONNX", ONNX, "onnxruntime", "onnx", is_onnx, "onnx_model", parity=1e-6),
)


def kind_of(data: bytes) -> Kind | None:
    """The kind of a file; None for one of skops or river, or of something else."""
    return next((kind for kind in KINDS if kind.is_it(data)), None)


def parity_of(data: bytes) -> float:
    """How far the answer of a model may be from what it was."""
    kind = kind_of(data)
    return PARITY if kind is None else kind.parity


def packages_of(data: bytes) -> list[str]:
    """The packages that the model in a file may need: of a skops file, those that its schema names. It may not be sound yet."""
    kind = kind_of(data)
    if kind is not None:
        return [kind.package]
    said = _schema(data)
    return [kind.package for kind in KINDS if f'"{kind.package}.'.encode() in said]


def _schema(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file, file.open(SCHEMA) as member:
            return member.read(SCHEMA_BYTES)
    except Exception:  # noqa: BLE001 - what is no zip fails in many ways, and is refused later
        return b""


def read_native(kind: Kind, data: bytes, name: str) -> Native:
    """The model in a file. Raises RegistryError."""
    if len(data) > LIMITS[kind.file]:
        raise RegistryError(f"{name} has {len(data):,} bytes, and {LIMITS[kind.file]:,} are allowed")
    module = _module(kind, name)
    try:
        found: Native = module.read(data)
    except NativeError as error:
        raise RegistryError(f"{name} {error}") from None
    except Exception as error:  # what its library does not take fails in its own way
        raise RegistryError(
            f"{name} is no sound model of {kind.name} ({type(error).__name__}: {str(error)[:_MOST_CHARS]})"
        ) from error
    return found


def unwrapped(estimator: Any, name: str) -> Any:
    """A wrapper for scikit-learn as the model that it wraps; any other estimator as it is. Raises RegistryError."""
    if (type(estimator).__module__, type(estimator).__name__) in REPLACED.values():
        raise RegistryError(f"{name} is a booster alone: give the file that its own save_model writes")
    top = type(estimator).__module__.partition(".")[0]
    kind = next((kind for kind in KINDS if kind.package == top), None)
    if kind is None:
        return estimator
    try:
        return _module(kind, name).unwrapped(estimator) or estimator
    except NativeError as error:
        raise RegistryError(f"{name} {error}") from None
    except Exception as error:  # what was put together by hand fails in many ways
        raise RegistryError(f"{name} is no sound model of {kind.name} ({type(error).__name__}: {error})") from error


def boosters_of(estimator: Any, name: str) -> list[Native]:
    """The models of these libraries that get a model's own columns, such as behind a search; none where another part gets them too."""
    if isinstance(estimator, Native):
        return [estimator]
    found = [unwrapped(each, name) for each in reached(estimator)]
    return found if all(isinstance(each, Native) for each in found) else []


def releases_of(data: bytes) -> dict[str, str]:
    """The releases of the packages that the model in a file needs, as they are installed here."""
    packages = packages_of(data)
    known = metadata.packages_distributions() if packages else {}
    return {name: metadata.version(known[name][0]) for name in packages if name in known}


def lacking(package: str, name: str) -> RegistryError | None:
    """What to say where a package of these kinds is not installed; None for others."""
    kind = next((kind for kind in KINDS if kind.package == package), None)
    if kind is None:
        return None
    return RegistryError(
        f"{name} is a model of {kind.name}, which is not installed: pip install 'leadline[{kind.extra}]'"
    )


def _module(kind: Kind, name: str) -> Any:
    try:
        return import_module(f"leadline.learning.native.{kind.module}")
    except ImportError as error:
        raise lacking(kind.package, name) or error from None


REPLACED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("lightgbm.basic", "Booster"): ("leadline.learning.native.lightgbm_model", "CheckedBooster"),
    ("xgboost.core", "Booster"): ("leadline.learning.native.xgboost_model", "CheckedBooster"),
}
"""Types in a skops file that hold bytes for native code, and the types that take their place there: those check the bytes first."""
