"""A version that somebody registered in MLflow, as a file that can be added here."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from leadline.foreign_text import shown
from leadline.learning.limits import LIMITS, MODEL, ONNX
from leadline.learning.mlflow_store import MlflowError, Store, store
from leadline.learning.native.errors import NativeError
from leadline.learning.native.onnx_file import is_onnx
from leadline.learning.native.onnx_joined import joined
from leadline.settings.files import read_below

_MLMODEL, _MOST = "MLmodel", 1 << 20
_PICKLES = ("cloudpickle", "pickle")
_FILE = {"sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data", "onnx": "data"}
"""The flavours that are taken, and what names their file."""


class Pulled(NamedTuple):
    """The model's file and what it is, and which version it was there."""

    file: Path
    form: Literal["skops", "joblib"]
    number: str


@contextmanager
def pulled(uri: str, model: str, version: str, pickle: bool) -> Iterator[Pulled]:
    """Bring the model of a registered version, or of an alias ``@name``, into a folder that is gone afterwards.

    ``pickle``: whether one may be taken that is a pickle, which `leadline.learning.from_joblib` reads. Raises MlflowError.
    """
    with tempfile.TemporaryDirectory() as folder:
        with store(uri) as there:
            found = _find(there, model, version)
            _download(there, found, folder)
            said = f"{model} {found.version}"
            file, form = _model_file(Path(folder), said)
        if form == "joblib" and not pickle:
            raise MlflowError(
                f"{said} is a pickle: to load it is to run the code in it. Have it registered in skops form (MLflow's default), or, if you "
                "made it yourself, say --pickle"
            )
        yield Pulled(file, form, str(found.version))


def _find(there: Store, model: str, version: str) -> Any:
    if version.startswith("@"):
        return there.client.get_model_version_by_alias(model, version[1:])
    return there.client.get_model_version(model, version)


def _download(there: Store, found: Any, folder: str) -> None:
    from mlflow.artifacts import download_artifacts

    download_artifacts(
        artifact_uri=f"models:/{found.name}/{found.version}",
        dst_path=folder,
        tracking_uri=there.uri,
        registry_uri=there.uri,
    )


def _model_file(folder: Path, said: str) -> tuple[Path, Literal["skops", "joblib"]]:
    flavours = _flavours(folder, said)
    flavour = next((each for each in _FILE if isinstance(flavours.get(each), dict)), None)
    if flavour is None:
        names = shown(", ".join(map(str, flavours))) or "no flavour at all"
        raise MlflowError(
            f"{said} has {names}: only models of {', '.join(_FILE)} can be taken, register it by one of these"
        )
    known = flavours[flavour]
    name, form = known.get(_FILE[flavour]), known.get("serialization_format")
    if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
        raise MlflowError(f"{said} names no file of a model in its {_MLMODEL}: have it registered again")
    data = _read(folder, name, LIMITS[MODEL], said)
    if is_onnx(data):
        data = _whole(folder, data, said)
    pickled = form in _PICKLES or name.endswith(".pkl")
    file = folder / f"taken-{'pickle' if pickled else 'model'}"
    file.write_bytes(data)
    return file, "joblib" if pickled else "skops"


def _whole(folder: Path, data: bytes, said: str) -> bytes:
    """A file of ONNX with the numbers that MLflow keeps beside it."""

    def part(name: str) -> bytes:
        if "/" in name or name in ("", ".", ".."):
            raise MlflowError(f"{said} keeps numbers outside of its folder: have it registered again")
        return _read(folder, name, LIMITS[ONNX], said)

    try:
        return joined(data, part, LIMITS[ONNX])
    except NativeError as error:
        raise MlflowError(f"{said} {error}") from None


def _flavours(folder: Path, said: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(_read(folder, _MLMODEL, _MOST, said))
    except (yaml.YAMLError, RecursionError, ValueError):
        raise MlflowError(f"{said}: its {_MLMODEL} is no YAML: have it registered again") from None
    flavours = found.get("flavors") if isinstance(found, dict) else None
    return flavours if isinstance(flavours, dict) else {}


def _read(folder: Path, name: str, most: int, said: str) -> bytes:
    try:
        return read_below(folder, (name,), most)
    except OSError as error:
        raise MlflowError(
            f"{said}: {shown(name)} cannot be read ({error.strerror}): have it registered again"
        ) from None
