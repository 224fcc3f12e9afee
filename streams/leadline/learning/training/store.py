"""The training sets of a model, on the disk beside its versions: ``<root>/<model>/.training-sets``.

A set is ``<digest of its rows>.parquet``, its held-out part ``<digest>.held-out.parquet``. They hold what came in, so they are for their
user alone. One process trains a model at a time; whoever begins takes away what one that was killed left half.
"""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import parquet

from leadline.learning.limits import TRAINING_SETS
from leadline.learning.training.errors import TrainingError
from leadline.settings.private import private_folder

_ROWS = 65_536
"""Of a row group."""
_AGAIN_S = 0.2
_SET, _HELD_OUT, _ERASED = ".parquet", ".held-out.parquet", ".erased.json"


class TrainingSets:
    """The sets of a model; one that is written is there whole, or not at all."""

    def __init__(self, root: Path, model: str) -> None:
        self.folder = root / model / TRAINING_SETS

    def path(self, digest: str) -> Path:
        """Where a set is."""
        return self.folder / f"{digest}{_SET}"

    def held_out(self, digest: str) -> Path:
        """Where a held-out part is."""
        return self.folder / f"{digest}{_HELD_OUT}"

    @contextmanager
    def alone(self, patience_s: float = 0.0, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Nobody else trains, or forgets, meanwhile; gives an empty folder to work in.

        Raises TrainingError where somebody does for longer than ``patience_s``; ``check`` may raise meanwhile.
        """
        deadline = time.monotonic() + patience_s
        with (private_folder(self.folder) / "lock").open("w") as lock:
            while not _locked(lock):
                if time.monotonic() >= deadline:
                    raise TrainingError(f"{self.folder} is in use by another process: wait until it has ended")
                check()
                time.sleep(_AGAIN_S)
            work = self.folder / "work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(0o700)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def files(self) -> list[Path]:
        """All sets and held-out parts."""
        return sorted(self.folder.glob(f"*{_SET}")) if self.folder.is_dir() else []

    def keep_only(self, digests: set[str]) -> None:
        """Remove the sets that belong to no version: their training was killed, or the version was removed."""
        for each in [*self.files(), *self.folder.glob(f"*{_ERASED}")]:
            if each.name.partition(".")[0] not in digests:
                each.unlink()

    def erasures(self, path: Path) -> list[dict[str, Any]]:
        """What was removed from a set: for each time the rows, when, why, and the digests before and after."""
        try:
            found: list[dict[str, Any]] = json.loads(_note(path).read_bytes())
        except FileNotFoundError:
            return []
        return found

    def note(self, path: Path, erasure: dict[str, Any]) -> None:
        """Remember what is about to be removed from a set; once, where that ended half way before."""
        known, removed = self.erasures(path), (erasure["before"], erasure["after"])
        if removed not in [(each["before"], each["after"]) for each in known]:
            _replace(_note(path), json.dumps([*known, erasure], indent=1).encode())


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_SET) + _ERASED)


def read_rows(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The rows of a set. Raises TrainingError where it is not there, or cannot be read."""
    with _readable(path):
        return parquet.ParquetFile(path).read(columns)


def count_rows(path: Path) -> int:
    """How many rows a set has. Raises as `read_rows`."""
    with _readable(path):
        return int(parquet.ParquetFile(path).metadata.num_rows)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise TrainingError(
            f"{path} is not there: it was removed, or the version was made on another machine"
        ) from None
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise TrainingError(f"{path} cannot be read ({error}): copy it again from where it was made") from None


def write_rows(path: Path, table: pa.Table) -> None:
    """A table as a Parquet file by row groups, for its user alone, whole or not at all. Raises OSError."""
    new = _hidden(path)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            parquet.write_table(table, file, row_group_size=_ROWS, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    new = _hidden(path)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")
