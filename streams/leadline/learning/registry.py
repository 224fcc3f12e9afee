"""The models on this disk, verified before they are read, and which version of each answers.

``<root>/<model>/model.toml`` holds the settings; ``<root>/<model>/<version>/`` the files of `FILES`, `LINEAR` of a logistic regression,
and a manifest with their digests. Digests find damage and mix-ups, not an attacker who can write the manifest too: guard the folder.
"""

import hashlib
import json
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from leadline.core.catalog import Champion, ReferenceProfile, Signature, Version
from leadline.learning.errors import RegistryError
from leadline.learning.linear import Linear, linear_model
from leadline.learning.models import Model, model_of, read_model
from leadline.records import Rollout
from leadline.settings import ModelSettings, SettingsError, explain, load_model_settings

__all__ = [
    "FILES",
    "LINEAR",
    "MODEL",
    "PROFILE",
    "SETTINGS",
    "SIGNATURE",
    "Registry",
    "RegistryError",
    "signature_id",
    "valid_name",
]

SETTINGS = "model.toml"
MANIFEST = "manifest.json"
MODEL, SIGNATURE, PROFILE = "model.skops", "signature.json", "profile.json"
FILES = (MODEL, SIGNATURE, PROFILE)
"""Every file of a version but its manifest, and `LINEAR`."""
LINEAR = "linear.json"
"""The numbers of a logistic regression, where the model is one: workers score with them, and leave the model's file alone."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_Place = tuple[str, str]
"""A model, and a version of it."""


def valid_name(name: str) -> bool:
    r"""Whether a model or version may be called so: it is one folder, never a path.

    >>> valid_name("fraud-2"), valid_name("../fraud"), valid_name("a/b"), valid_name(""), valid_name("v1\n")
    (True, False, False, False, False)
    """
    return _NAME.fullmatch(name) is not None


class Registry:
    """A `leadline.core.catalog.Catalog` of the models below ``root``; what was read once stays in memory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._settings: dict[str, ModelSettings] = {}
        self._versions: dict[_Place, Version | None] = {}
        self._loaded: dict[_Place, Champion | None] = {}
        self._champions: dict[str, str] = {}
        self._missing: set[_Place] = set()

    def models(self) -> list[str]:
        """Names of the folders with a settings file, sorted; whether it can be read is not looked at."""
        return sorted(each.parent.name for each in self._root.glob(f"*/{SETTINGS}") if valid_name(each.parent.name))

    def settings(self, model: str) -> ModelSettings | None:
        """Settings of a model; None where there is no such model. Raises SettingsError that names the broken file."""
        known = self._settings.get(model)
        if known is not None:
            return known
        path = self._root / model / SETTINGS
        if not valid_name(model) or not path.is_file():
            return None
        found = load_model_settings(path)
        if found.name != model:
            raise SettingsError(f"{path}: name is {found.name!r}, and the folder is {model!r}; make them equal")
        self._settings[model] = found
        return found

    def champion(self, model: str) -> Champion | None:
        """The version that the newest applied rollout names; None before one. Raises as `version`."""
        name = self._champions.get(model)
        return None if name is None else self._once(self._loaded, (model, name), self.read)

    def version(self, model: str, version: str) -> Version | None:
        """A version without its model, verified and read on first use; None where it is not on this disk or cannot be used: logged once.

        Raises SettingsError where the settings are broken.
        """
        return self._once(self._versions, (model, version), lambda *place: self._described(*place)[0])

    def _once(self, known: dict[_Place, _T | None], place: _Place, read: Callable[[str, str], _T]) -> _T | None:
        if place not in known and self._has(*place):
            try:
                known[place] = read(*place)
            except RegistryError as error:
                known[place] = None
                _log.error("this version is not used", model=place[0], version=place[1], error=str(error))
        if place not in known and place not in self._missing:
            self._missing.add(place)
            _log.warning("this version is not on this disk", model=place[0], version=place[1], folder=str(self._root))
        return known.get(place)

    def apply(self, rollout: Rollout) -> None:
        """Take over a rollout; rollouts come in the order of their log, so the last of a model holds.

        One that names a version that is not on this disk, or is not what its manifest says, is logged, and the champion stays who it was.
        """
        model, version = rollout.model, rollout.champion
        try:
            self._verify(model, version)
        except RegistryError as error:
            _log.error(
                "rollout ignored: restart or roll out again when its version is mended",
                model=model,
                version=version,
                error=str(error),
                keeps=self._champions.get(model),
                folder=str(self._root),
            )
            return
        for known in (self._versions, self._loaded):
            if known.get((model, version)) is None:
                known.pop((model, version), None)
        self._champions[model] = version

    def read(self, model: str, version: str) -> Champion:
        """A version from its files. Raises RegistryError where one is missing, changed or not allowed, SettingsError as `settings`."""
        found, files = self._described(model, version)
        predictor = _predictor(files, found.settings, found.signature, self._root / model / version)
        return Champion(found.settings, version, found.signature, found.profile, predictor)

    def _described(self, model: str, version: str) -> tuple[Version, dict[str, bytes]]:
        """A version without its model, and its verified files."""
        settings = self.settings(model)
        if settings is None:
            raise RegistryError(
                f"{self._root / model / SETTINGS} is missing: restore it, no version is used without it"
            )
        folder = self._root / model / version
        files = _verified(folder, model, version)
        profile = _typed(ReferenceProfile, files[PROFILE], folder / PROFILE)
        return Version(settings, version, _signature(files[SIGNATURE], folder / SIGNATURE), profile), files

    def _verify(self, model: str, version: str) -> None:
        if not self._has(model, version):
            raise RegistryError("it is not on this disk; copy its folder here")
        _verified(self._root / model / version, model, version)

    def _has(self, model: str, version: str) -> bool:
        return valid_name(model) and valid_name(version) and (self._root / model / version).is_dir()


def _predictor(files: dict[str, bytes], settings: ModelSettings, signature: Signature, folder: Path) -> Model:
    features = len(signature.names)
    if LINEAR in files and settings.task == "binary":  # else the model's file is refused
        path = folder / LINEAR
        return linear_model(_typed(Linear, files[LINEAR], path), settings, features, str(path))
    path = folder / MODEL
    return model_of(read_model(files[MODEL], str(path)), settings, features, str(path))


def signature_id(numeric: list[str], categorical: list[str], categories: dict[str, list[str]]) -> str:
    """The id of a signature: 16 hex digits, equal for equal inputs.

    >>> signature_id(["age"], [], {})
    '9966198a79d70469'
    """
    inputs = {"numeric": numeric, "categorical": categorical, "categories": categories}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _verified(folder: Path, model: str, version: str) -> dict[str, bytes]:
    """Bytes of the files of a version, each with the digest that the manifest says."""
    manifest = _manifest(folder / MANIFEST)
    if (manifest.get("model"), manifest.get("version")) != (model, version):
        raise RegistryError(f"{folder / MANIFEST} is of another model or version; {_RESTORE}")
    _compare_library(manifest.get("facts"), folder)
    digests = manifest.get("files")
    if not isinstance(digests, dict) or set(digests) - {LINEAR} != set(FILES):
        raise RegistryError(f"{folder / MANIFEST} does not list exactly {', '.join(FILES)}; {_RESTORE}")
    return {name: _checked(folder / name, digest) for name, digest in digests.items()}


def _compare_library(facts: Any, folder: Path) -> None:
    """Log where the model was made with another release of scikit-learn: its scores may differ."""
    made = facts.get("scikit-learn") if isinstance(facts, dict) else None
    here = metadata.version("scikit-learn")
    if made is not None and str(made).split(".")[:2] != here.split(".")[:2]:
        _log.warning("the model was made with another scikit-learn", folder=str(folder), made_with=made, here=here)


_RESTORE = "copy the whole folder again from where it was made, or add a new version"


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(path))
    except ValueError as error:
        raise RegistryError(f"{path} is not JSON ({error}); {_RESTORE}") from None
    if not isinstance(found, dict):
        raise RegistryError(f"{path} is not a JSON object; {_RESTORE}")
    return found


def _checked(path: Path, digest: Any) -> bytes:
    data = _bytes(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise RegistryError(f"{path} is not the file that its manifest names (sha256 differs); {_RESTORE}")
    return data


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path} cannot be read ({error.strerror}); {_RESTORE}") from None


def _signature(data: bytes, path: Path) -> Signature:
    found = _typed(Signature, data, path)
    if found.id != signature_id(found.numeric, found.categorical, found.categories):
        raise RegistryError(f"{path}: the id is not that of its features; {_RESTORE}")
    return found


def _typed(kind: type[_T], data: bytes, path: Path) -> _T:
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        raise RegistryError(f"{path}: {explain(error)}; {_RESTORE}") from None
