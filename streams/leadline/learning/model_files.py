"""Model files: the models and versions below one folder, verified before they are read.

``<root>/<model>/model.toml`` holds the settings; ``<root>/<model>/<version>/`` the files of `leadline.learning.manifest`.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from leadline.core.models import LoadedVersion, Signature, Version
from leadline.core.reference import ReferenceProfile
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.confined import survive_apart
from leadline.learning.deciding import plain
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.golden import Golden
from leadline.learning.limits import GOLDEN, LINEAR, MODELS, PROFILE, SERVED, SIGNATURE
from leadline.learning.linear import Linear, linear_model
from leadline.learning.manifest import RESTORE, verified
from leadline.learning.models import model_file, read_model
from leadline.learning.native.kinds import packages_of, parity_of
from leadline.learning.predictors import Model, model_of
from leadline.learning.served import Served
from leadline.learning.survive import surviving
from leadline.settings import ModelSettings, SettingsError, explain, load_model_settings

SETTINGS = "model.toml"

Mark = tuple[int, ...]
"""A state of a file: another one once it has changed."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_T = TypeVar("_T")
_TYPES: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Golden, Linear, ReferenceProfile, Served, Signature)
}


def valid_name(name: str) -> bool:
    r"""Whether a model or version may be called so: it is one folder, never a path.

    >>> valid_name("fraud-2"), valid_name("../fraud"), valid_name("a/b"), valid_name(""), valid_name("v1\n")
    (True, False, False, False, False)
    """
    return _NAME.fullmatch(name) is not None


class ModelFiles:
    """The models below ``root``. Settings are read once, versions at every call."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: dict[str, ModelSettings] = {}

    def names(self) -> list[str]:
        """Names of the folders with a settings file, sorted; whether it can be read is not looked at."""
        try:
            folders = [each.name for each in self.root.iterdir() if valid_name(each.name)]
        except OSError:
            folders = []
        return sorted(name for name in folders if self.settings_mark(name) is not None)

    def settings_mark(self, model: str) -> Mark | None:
        """What changes when the settings file of a model does; None where there is none."""
        if not valid_name(model):
            return None
        try:
            found = (self.root / model / SETTINGS).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return (error.errno or 0,)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def versions(self, model: str) -> list[str]:
        """Names of the folders in a model's folder, sorted; what is in them is not looked at."""
        try:
            names = [each.name for each in (self.root / model).iterdir()] if self.has(model) else []
        except OSError as error:
            raise RegistryError(f"{self.root / model} cannot be read ({error.strerror})") from None
        return sorted(name for name in names if self.has(model, name))

    def has(self, *names: str) -> bool:
        """Whether there is a folder of this model, or of this model and version."""
        try:
            return all(map(valid_name, names)) and self.root.joinpath(*names).is_dir()
        except OSError:  # no right to look
            return False

    def changed_ns(self, model: str, version: str) -> int | None:
        """When a version's files last changed, by the clock of the file system; None where there are none."""
        if not self.has(model, version):
            return None
        folder = self.root / model / version
        try:
            return max(each.lstat().st_ctime_ns for each in (folder, *folder.iterdir()))
        except OSError:  # they are changing right now
            return None

    def settings(self, model: str) -> ModelSettings | None:
        """Settings of a model; None where there is no such model. Raises SettingsError that names the broken file."""
        known = self.known.get(model)
        if known is not None:
            return known
        path = self.root / model / SETTINGS
        if self.settings_mark(model) is None:
            return None
        found = load_model_settings(path, self.root)
        if found.name != model:
            raise SettingsError(f"{path}: name is {found.name!r}, and the folder is {model!r}; make them equal")
        self.known[model] = found
        return found

    def describe(self, model: str, version: str) -> Version:
        """A version without its model.

        Raises RegistryError where a file is missing, changed or not allowed, SettingsError where the settings are broken.
        """
        return self._described(model, version)[0]

    def load(self, model: str, version: str) -> LoadedVersion:
        """A version with its model. Raises as `describe`."""
        return self._loaded(model, *self._described(model, version))

    def load_survived(self, model: str, version: str) -> LoadedVersion:
        """The same for a process that has to go on: what native code reads is read in a process of its own first."""
        found, files = self._described(model, version)
        if not _linear_of(files, found.settings):
            _survive(files, found.settings, found.signature, self.root / model / version)
        return self._loaded(model, found, files)

    def _loaded(self, model: str, found: Version, files: dict[str, bytes]) -> LoadedVersion:
        version = found.version
        predictor = _predictor(files, found.settings, found.signature, self.root / model / version)
        own_labels, takes_missing = predictor.own_labels, predictor.takes_missing_of(len(found.signature.names))
        return LoadedVersion(
            found.settings, version, found.signature, found.profile, predictor, own_labels, takes_missing
        )

    def _described(self, model: str, version: str) -> tuple[Version, dict[str, bytes]]:
        """A version without its model, and its verified files."""
        if not self.has(model, version):
            raise NotHereError(f"{model} {version} is not on this disk: copy its folder to {self.root}")
        settings = self.settings(model)
        if settings is None:
            raise RegistryError(f"{self.root / model / SETTINGS} is missing: restore it, no version is used without it")
        folder = self.root / model / version
        files = verified(self.root, model, version)
        profile = _typed(ReferenceProfile, files[PROFILE], folder / PROFILE)
        return Version(settings, version, _signature(files[SIGNATURE], folder / SIGNATURE), profile), files


def _predictor(files: dict[str, bytes], settings: ModelSettings, signature: Signature, folder: Path) -> Model:
    if not any(each in files for each in MODELS):
        raise RegistryError(
            f"{folder} has no model: it describes one that answers elsewhere; add a version with its model"
        )
    found = _linear(files, settings, signature, folder) or _estimator(files, settings, signature, folder)
    if GOLDEN in files:
        within = parity_of(files[model_file(files)])
        _typed(Golden, files[GOLDEN], folder / GOLDEN).check(found, len(signature.names), str(folder), within)
    return found


def _linear_of(files: dict[str, bytes], settings: ModelSettings) -> bool:
    """Whether a version is scored by its numbers alone; of another task, the model's file is refused."""
    return LINEAR in files and settings.counted_as == "binary"


def _survive(files: dict[str, bytes], settings: ModelSettings, signature: Signature, folder: Path) -> None:
    kind = next((each for each in MODELS if each in files), None)
    if kind is None or not packages_of(files[kind]):
        return
    if SERVED not in files:
        raise RegistryError(f"{folder / SERVED} is missing; {RESTORE}")
    width = len(signature.names)
    inputs = Inputs(np.zeros((0, width)), {each: Texts.none(0) for each in signature.categorical})
    if GOLDEN in files:
        inputs = _golden_inputs(files, signature, folder)
    served = _typed(Served, files[SERVED], folder / SERVED)
    survive_apart(files[kind], settings, signature, served, inputs, str(folder / kind))


def _golden_inputs(files: dict[str, bytes], signature: Signature, folder: Path) -> Inputs:
    try:
        return _typed(Golden, files[GOLDEN], folder / GOLDEN).inputs(len(signature.names))
    except ValueError as error:  # rows of another width
        raise RegistryError(f"{folder / GOLDEN} is no golden sample ({error}); {RESTORE}") from None


def _linear(files: dict[str, bytes], settings: ModelSettings, signature: Signature, folder: Path) -> Model | None:
    if not _linear_of(files, settings):
        return None
    path = folder / LINEAR
    return linear_model(_typed(Linear, files[LINEAR], path), settings, signature, str(path))


def _estimator(files: dict[str, bytes], settings: ModelSettings, signature: Signature, folder: Path) -> Model:
    kind = model_file(files)
    path = folder / kind
    estimator = read_model(files[kind], str(path), settings.trusted)
    served = (
        _typed(Served, files[SERVED], folder / SERVED)
        if SERVED in files
        else plain(estimator, settings, signature, str(path))
    )
    found = model_of(estimator, settings, signature, served, str(path))
    return replace(found, scores=surviving(found.scores, str(path)))


def _signature(data: bytes, path: Path) -> Signature:
    found = _typed(Signature, data, path)
    if found != Signature.of(found.numeric, found.categorical, found.categories):
        raise RegistryError(f"{path}: the id is not that of its features; {RESTORE}")
    return found


def _typed(kind: type[_T], data: bytes, path: Path) -> _T:
    try:
        found: _T = _TYPES[kind].validate_json(data)
    except ValidationError as error:
        raise RegistryError(f"{path}: {explain(error)}; {RESTORE}") from None
    return found
