"""Files of models as they are written: whole or not at all, and under a name that nobody reads until then."""

import os
import secrets
import shutil
from pathlib import Path

from leadline.learning.toml import settings_toml
from leadline.settings import ModelSettings
from leadline.settings.private import private_folder


def write_settings(path: Path, settings: ModelSettings) -> None:
    """Written whole, and only where there is none."""
    if path.exists():
        return
    private_folder(path.parent)
    new = path.with_name(hidden(path.name))
    try:
        durable(new, settings_toml(settings).encode())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_version(folder: Path, files: dict[str, bytes]) -> None:
    """A folder with these files, or none."""
    new = folder.with_name(hidden(folder.name))
    new.mkdir(0o700)
    try:
        for name, data in files.items():
            durable(new / name, data)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def hidden(name: str) -> str:
    """A name that is no valid version, and nobody else's."""
    return f".{name}.{secrets.token_hex(6)}"


def durable(path: Path, data: bytes) -> None:
    """A new file that is on the disk when this returns."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
