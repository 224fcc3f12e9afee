"""Model files: read with a fixed list of allowed types.

scikit-learn and skops are imported when the first model is read, since most workers never score.
"""

from collections.abc import Container, Sequence
from typing import Any

from leadline.learning.allowed import ALLOWED_TYPES
from leadline.learning.behaviour import BehaviourError, tame
from leadline.learning.errors import RegistryError
from leadline.learning.limits import MODEL, MODELS, RIVER
from leadline.learning.native.kinds import kind_of, lacking, read_native, unwrapped
from leadline.learning.online.stored import is_online, read_estimator
from leadline.learning.packed import PackedError, repacked

_OTHERS = " (nor is it of XGBoost, LightGBM or ONNX; a joblib file that you made yourself is taken by --from joblib)"


def file_of(data: bytes) -> str:
    """What the file of a model is called in a version."""
    kind = kind_of(data)
    if kind is not None:
        return kind.file
    return RIVER if is_online(data) else MODEL


def model_file(files: Container[str]) -> str:
    """Which of the files of a version is its model's."""
    return next(each for each in MODELS if each in files)


def read_model(data: bytes, name: str, trusted: Sequence[str] = ()) -> Any:
    """The estimator in the bytes of a file of skops, river or another library; check their digest first, skops is no sandbox.

    ``name``: what messages call the file. ``trusted``: types of the user's own.
    Raises RegistryError where the file is damaged or has a type that is not allowed.
    """
    if is_online(data):
        return read_estimator(data, name)
    kind = kind_of(data)
    return _read_skops(data, name, trusted) if kind is None else read_native(kind, data, name)


def _read_skops(data: bytes, name: str, trusted: Sequence[str]) -> Any:
    from skops.io import get_untrusted_types, load
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = [*ALLOWED_TYPES, *trusted]
    try:
        packed = repacked(data)
        estimator = load(packed, trusted=allowed)
        tame(estimator)
    except UntrustedTypesFoundException as error:
        refused = ", ".join(sorted(set(get_untrusted_types(data=packed.getvalue())) - set(allowed)))
        raise RegistryError(
            f"{name} has types that are not allowed: {refused}; use plain scikit-learn, "
            "or name types of your own in model.toml: trusted = [...]"
        ) from error
    except (PackedError, BehaviourError) as error:
        raise RegistryError(f"{name} is not allowed: {error}") from None
    except ModuleNotFoundError as error:
        raise lacking(error.name or "", name) or RegistryError(
            f"{name} has types that cannot be found here ({error}): install their package"
        ) from error
    except Exception as error:  # what is not a skops file fails in many ways
        hint = "" if data[:2] == b"PK" else _OTHERS
        raise RegistryError(
            f"{name} is no skops file ({type(error).__name__}: {error}); save it again{hint}"
        ) from error
    return unwrapped(estimator, name)
