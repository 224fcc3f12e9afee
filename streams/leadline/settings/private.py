"""Files and folders that hold what came in, or a password: for their user alone."""

import os
from pathlib import Path


def private_folder(folder: Path) -> Path:
    """The folder; it is made, with those above it, where it is not there, and nobody else may look into what was made. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # which it may be, and no folder
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its user may read. Raises OSError."""
    path.unlink(missing_ok=True)  # an older one may be open to all
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
