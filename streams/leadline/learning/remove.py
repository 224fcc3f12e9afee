"""Removes models and versions from the disk: a worker sees all of one, or nothing."""

import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles


class Removed(NamedTuple):
    """A folder that is gone, with so many files and bytes in it."""

    folder: Path
    files: int
    size: int


def remove(root: Path, model: str, version: str | None = None) -> Removed:
    """Remove a version of a model, or (None) the model with its settings and all versions. Raises RegistryError.

    The folder gets a name that no worker reads, in one step; then its files go. Where that ends half way, what is left has that name.
    """
    names = (model,) if version is None else (model, version)
    if not ModelFiles(root).has(*names):
        raise RegistryError(f"{root} has no {_named(model, version)}: `leadline model list` shows what there is")
    folder = root.joinpath(*names)
    hidden = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    try:
        found = [each.lstat().st_size for each in folder.rglob("*") if not each.is_dir()]
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        left = f"; what is left of it is in {hidden}" if hidden.exists() else ""
        raise RegistryError(f"{folder} was not removed ({error.strerror}){left}") from None
    return Removed(folder, len(found), sum(found))


def _named(model: str, version: str | None) -> str:
    return f"model {model}" if version is None else f"version {version} of a model {model}"
