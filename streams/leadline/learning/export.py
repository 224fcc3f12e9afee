"""A version as one file: a tar of its folder, the same bytes whoever makes it and when."""

import io
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from leadline.learning.errors import RegistryError
from leadline.learning.limits import LIMITS, MANIFEST
from leadline.learning.manifest import verified
from leadline.learning.model_files import ModelFiles
from leadline.settings.files import read_below


class Exported(NamedTuple):
    """The file, its bytes and their sha256."""

    file: Path
    size: int
    digest: str


def export(root: Path, model: str, version: str, file: Path) -> Exported:
    """Write the files of a version, each compared with its manifest; a file that is there is not written over. Raises RegistryError."""
    data = archive(model, version, version_files(root, model, version))
    try:
        with file.open("xb") as new:
            new.write(data)
    except FileExistsError:
        raise RegistryError(f"{file} is there already: name another file") from None
    except OSError as error:
        file.unlink(missing_ok=True)
        raise RegistryError(f"{file} was not written ({error.strerror}); make room or rights") from None
    return Exported(file, len(data), sha256(data).hexdigest())


def version_files(root: Path, model: str, version: str) -> dict[str, bytes]:
    """All files of a version with its manifest. Raises RegistryError."""
    if not ModelFiles(root).has(model, version):
        raise RegistryError(
            f"{root} has no version {version} of a model {model}: `leadline model list` shows what there is"
        )
    found = verified(root, model, version)
    return found | {MANIFEST: read_below(root, (model, version, MANIFEST), LIMITS[MANIFEST])}


def archive(model: str, version: str, files: Mapping[str, bytes]) -> bytes:
    """A tar with nothing in it of the machine or the moment: sorted names, no owner, time 0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{model}/{version}/{name}")
            entry.size, entry.mode = len(files[name]), 0o600
            tar.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()
