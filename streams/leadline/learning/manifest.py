"""The files of a version, and the manifest that lists them with their digests.

Digests find damage and mix-ups, not an attacker who can write the manifest too: guard the folder.
"""

import json
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog

from leadline.learning.errors import RegistryError
from leadline.learning.limits import GOLDEN, LIMITS, LINEAR, MANIFEST, MODELS, PROFILE, RECEIPT, SERVED, SIGNATURE
from leadline.settings.files import read_below

FILES = (SIGNATURE, PROFILE)
MAY_BE = (*MODELS, LINEAR, SERVED, GOLDEN, RECEIPT)
"""A version without a model is only described: what answers runs elsewhere."""
RESTORE = "copy the whole folder again from where it was made, or add a new version"

_log = structlog.get_logger(__name__)


def to_json(value: Any) -> bytes:
    """A file of JSON, to be read by people too: a line for each list of plain values. What is not finite cannot be written."""
    return (_lines(value, "\n") + "\n").encode()


def _lines(value: Any, line: str) -> str:
    """JSON; ``line`` begins a line."""
    deeper = line + " "
    if isinstance(value, dict) and value:
        fields = [f"{json.dumps(name)}: {_lines(each, deeper)}" for name, each in value.items()]
        return "{" + deeper + ("," + deeper).join(fields) + line + "}"
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return "[" + deeper + ("," + deeper).join(_lines(each, deeper) for each in value) + line + "]"
    return json.dumps(value, allow_nan=False)


def manifest(model: str, version: str, files: dict[str, bytes], facts: dict[str, Any]) -> bytes:
    """The manifest of these files; ``facts`` is what else is to be remembered."""
    digests = {name: sha256(data).hexdigest() for name, data in files.items()}
    return to_json({"model": model, "version": version, "files": digests, "facts": facts})


def verified(root: Path, model: str, version: str) -> dict[str, bytes]:
    """The files of a version, each with the digest that the manifest states. Raises RegistryError where one has another."""
    folder = root / model / version
    stated = _read_manifest(root, folder / MANIFEST)
    if (stated.get("model"), stated.get("version")) != (model, version):
        raise RegistryError(f"{folder / MANIFEST} is of another model or version; {RESTORE}")
    _compare_library(stated.get("facts"), folder)
    digests = _digests(stated, str(folder / MANIFEST))
    return {name: _checked(root, folder / name, digest) for name, digest in digests.items()}


def listed(stated: bytes, where: str) -> list[str]:
    """The files that a manifest lists. Raises RegistryError, which calls it ``where``."""
    return list(_digests(_json(stated, where), where))


def _digests(stated: dict[str, Any], where: str) -> dict[str, Any]:
    digests = stated.get("files")
    if not isinstance(digests, dict) or set(digests) - set(MAY_BE) != set(FILES):
        raise RegistryError(f"{where} does not list exactly {', '.join(FILES)}; {RESTORE}")
    return digests


def facts_of(root: Path, model: str, version: str) -> dict[str, Any]:
    """What else a manifest remembers. Raises RegistryError."""
    found = _read_manifest(root, root / model / version / MANIFEST).get("facts")
    return found if isinstance(found, dict) else {}


def _read_manifest(root: Path, path: Path) -> dict[str, Any]:
    return _json(_bytes(root, path), str(path))


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{where} is not JSON ({error}); {RESTORE}") from None
    if not isinstance(found, dict):
        raise RegistryError(f"{where} is not a JSON object; {RESTORE}")
    return found


def _compare_library(facts: Any, folder: Path) -> None:
    """Log where the model was made with another release of scikit-learn: its scores may differ."""
    made = facts.get("scikit-learn") if isinstance(facts, dict) else None
    here = metadata.version("scikit-learn")
    if made is not None and str(made).split(".")[:2] != here.split(".")[:2]:
        _log.warning("the model was made with another scikit-learn", folder=str(folder), made_with=made, here=here)


def _checked(root: Path, path: Path, digest: Any) -> bytes:
    data = _bytes(root, path)
    if sha256(data).hexdigest() != digest:
        raise RegistryError(f"{path} is not the file that its manifest names (sha256 differs); {RESTORE}")
    return data


def _bytes(root: Path, path: Path) -> bytes:
    try:
        return read_below(root, path.relative_to(root).parts, LIMITS[path.name])
    except OSError as error:
        raise RegistryError(f"{path} cannot be read ({error.strerror}); {RESTORE}") from None
