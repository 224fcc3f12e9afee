"""The lineage of versions: the files on this disk, and the decisions that are known."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from leadline.core.release.lineage import APPROVAL, CHALLENGER, CHAMPION, GATE, Alias, Decisions, Lineage
from leadline.learning.errors import RegistryError
from leadline.learning.manifest import facts_of
from leadline.learning.model_files import ModelFiles
from leadline.learning.training.receipt import Receipt, read_receipt
from leadline.settings import SettingsError

TRAINER, PERSON = "trainer", "person"
"""Origins of a version that no candidate names: one with a receipt was trained here."""
_ALIASES: tuple[Alias, ...] = (CHAMPION, CHALLENGER)


class OnDisk(NamedTuple):
    """What the files of a version say of where it is from: nothing where it is not here, ``why_broken`` where they cannot be read."""

    here: bool = False
    receipt: Receipt | None = None
    digest: str = ""
    origin: str = ""
    why_broken: str = ""


def lineages(files: ModelFiles, model: str, decisions: Decisions) -> Iterator[Lineage]:
    """Those of all versions that are here, or are named in a decision."""
    for version in sorted({*files.versions(model), *decisions.versions}):
        yield lineage(files, model, version, decisions)


def lineage(files: ModelFiles, model: str, version: str, decisions: Decisions) -> Lineage:
    """That of one version."""
    disk, candidate = on_disk(files, model, version), decisions.candidate(version)
    known: Any = disk.receipt or candidate
    return Lineage(
        model=model,
        version=version,
        state=decisions.state(version, _by_persons(files, model)),
        here=disk.here,
        origin=candidate.origin if candidate else disk.origin,
        parent=known.parent if known else "",
        trained_at=disk.receipt.made_at if disk.receipt else None,
        alias=next((each for each in _ALIASES if decisions.of(each) == version), ""),
        retrain_id=known.retrain_id if known else "",
        receipt=disk.digest or (candidate.receipt if candidate else ""),
        metrics=known.metrics if known else {},
        gate=decisions.verdict(version, GATE),
        approval=decisions.verdict(version, APPROVAL),
        why_broken=disk.why_broken,
    )


def on_disk(files: ModelFiles, model: str, version: str) -> OnDisk:
    """What this disk has of a version."""
    if not files.has(model, version):
        return OnDisk()
    try:
        receipt, digest = read_receipt(files.root, model, version) or (None, "")
        stated = facts_of(files.root, model, version).get("origin")
    except (RegistryError, OSError) as error:
        return OnDisk(here=True, why_broken=str(error))
    return OnDisk(True, receipt, digest, str(stated or (TRAINER if receipt else PERSON)))


def _by_persons(files: ModelFiles, model: str) -> bool:
    try:
        settings = files.settings(model)
    except SettingsError:
        return False
    return settings is not None and settings.approval.policy != "auto"
