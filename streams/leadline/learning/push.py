"""A version from one models' folder to another: from development to staging, from staging to production."""

from pathlib import Path
from typing import NamedTuple

from leadline.learning.errors import RegistryError
from leadline.learning.export import version_files
from leadline.learning.limits import MANIFEST
from leadline.learning.manifest import verified
from leadline.learning.model_files import SETTINGS, ModelFiles
from leadline.learning.written import write_settings, write_version
from leadline.settings import ModelSettings, load_model_settings
from leadline.settings.parts import KEYS, Part

_ANSWERS_BY = ("task", "score", *KEYS[Part.VERSION])


class Pushed(NamedTuple):
    """The folder that the version is in now, and whether it was there before."""

    folder: Path
    already: bool


def push(root: Path, model: str, version: str, to: Path) -> Pushed:
    """Copy a version, whole or not at all; each file is compared with its manifest before and after.

    A model that is new there gets the settings of here. Where it has settings there, they hold, and have to agree in how a version answers:
    what is watched, and who has to approve, may differ from place to place. Raises RegistryError.
    """
    files, here = ModelFiles(root), ModelFiles(root).settings(model)
    if here is None or not files.has(model, version):
        raise RegistryError(
            f"{root} has no version {version} of a model {model}: `leadline model list` shows what there is"
        )
    if not to.is_dir():
        raise RegistryError(f"{to} is no folder: make it, or mount it, before a version is pushed there")
    if to.resolve() == root.resolve():
        raise RegistryError(f"{to} is the folder that {model} {version} is in: name another one")
    data = version_files(root, model, version)
    folder = to / model / version
    _check_agrees(to / model / SETTINGS, here)
    if folder.exists():
        return Pushed(_same(to, model, version, data), already=True)
    try:
        write_settings(to / model / SETTINGS, here)
        write_version(folder, data)
    except OSError as error:
        raise RegistryError(
            f"{folder} was not written ({error.strerror}); make room or rights, and push it again"
        ) from None
    verified(to, model, version)
    return Pushed(folder, already=False)


def _same(to: Path, model: str, version: str, data: dict[str, bytes]) -> Path:
    """The folder of a version that is there already, and the same."""
    folder = to / model / version
    there = verified(to, model, version)
    if there != {name: each for name, each in data.items() if name != MANIFEST}:
        raise RegistryError(
            f"{folder} is another version of the same name; a version never changes: add this one by another name"
        )
    return folder


def _check_agrees(path: Path, here: ModelSettings) -> None:
    if not path.exists():
        return
    there = load_model_settings(path)
    differ = [name for name in _ANSWERS_BY if getattr(there, name) != getattr(here, name)]
    if differ:
        raise RegistryError(
            f"{path} differs in {', '.join(differ)}, by which a version answers; make both model.toml agree in that"
        )
