"""Erasure: removes a person's rows from the stored training sets, and says what is left where."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from leadline.learning.model_files import ModelFiles
from leadline.learning.training.content import digest_of_rows
from leadline.learning.training.receipt import receipts
from leadline.learning.training.store import TrainingSets, read_rows, write_rows
from leadline.records import iso


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A file from which so many rows were removed, and the versions that were trained, or compared, on it."""

    model: str
    file: Path
    rows: int
    versions: list[str]


def forget(root: Path, user_id: str, reason: str, now_ms: int) -> list[Forgotten]:
    """Remove the rows of a user from all training sets and held-out parts below ``root``; beside each changed file a note says so.

    The note has the digests before and after, and not the user. Raises RegistryError where a model is in training, or a file is broken.
    """
    return [each for model in ModelFiles(root).names() for each in _of_model(root, model, user_id, reason, now_ms)]


def _of_model(root: Path, model: str, user_id: str, reason: str, now_ms: int) -> Iterator[Forgotten]:
    sets = TrainingSets(root, model)
    if not sets.files():
        return
    used = _versions(root, model)
    with sets.alone():
        for path in sets.files():
            rows = _removed(sets, path, user_id, reason, now_ms)
            if rows:
                yield Forgotten(model, path, rows, used.get(path.name.partition(".")[0], []))


def _versions(root: Path, model: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for version, (receipt, _) in receipts(root, model).items():
        for digest in (receipt.data.digest, receipt.data.held_out):
            found.setdefault(digest, []).append(version)
    return found


def _removed(sets: TrainingSets, path: Path, user_id: str, reason: str, now_ms: int) -> int:
    """The note comes first: where this ends half way, the same command goes on."""
    if not pc.any(pc.equal(read_rows(path, ["user_id"])["user_id"], user_id)).as_py():
        return 0
    table = read_rows(path)
    left = table.filter(pc.not_equal(table["user_id"], user_id))
    digests = {"before": digest_of_rows(table), "after": digest_of_rows(left)}
    sets.note(path, digests | {"rows": len(table) - len(left), "at": iso(now_ms // 1000 * 1000), "reason": reason})
    write_rows(path, left)
    return len(table) - len(left)
