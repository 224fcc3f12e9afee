"""Changed model folders, read and asked for scores by the product: what may come of it, and what was touched meanwhile."""

import resource
import sys
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from structlog.testing import capture_logs

from fuzz.check import Found
from fuzz.folders import FILES, SETTINGS, Good, changed, good
from leadline.learning.add import add_file
from leadline.learning.errors import RegistryError
from leadline.learning.limits import MODEL
from leadline.learning.lockdown import Audit, warm_up
from leadline.learning.model_files import ModelFiles
from leadline.learning.models import model_file
from leadline.learning.native.kinds import KINDS
from leadline.settings import SettingsError

PER_RUN = 100
_SLOW_S, _MEMORY = 20.0, 3 << 30
_HOSTILE = [0.0, 1.0, -1.0, 2.5, 255.0, 1e300, -1e300, float("nan"), float("inf")]


class _Place:
    """Where folders are written, and the hook that sees what else is opened."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="leadline-fuzz-"))
        self.pool: list[Good] = good(self.root / "good")
        self.folder = self.root / "models" / "m" / "v1"
        self.folder.mkdir(parents=True)
        warm_up(packages=[kind.package for kind in KINDS])
        self.audit = Audit(str(self.root / "models"))
        self.audit.on = False

    def write(self, files: dict[str, bytes]) -> None:
        for old in self.folder.iterdir():
            old.unlink()
        for name, data in files.items():
            where = self.folder.parent if name == "model.toml" else self.folder
            (where / name).write_bytes(data)


@cache
def _place() -> _Place:
    place = _Place()
    sys.addaudithook(place.audit)
    return place


def check_folders(seed: int, number: int) -> Found:
    """Check one run: `PER_RUN` folders, of which the same file was changed."""
    place = _place()
    found = Found(FILES[number % len(FILES)])
    for i in range(PER_RUN):
        one = number % len(FILES) + len(FILES) * (PER_RUN * (number // len(FILES)) + i)
        _, files = changed(place.pool, seed, one)
        place.write(files)
        wrong = _check(place, found)
        if wrong:
            found.wrong = f"input {one}: {wrong}"
            break
    return found


def _check(place: _Place, found: Found) -> str:
    """What is wrong, if anything."""
    began, place.audit.on = time.process_time(), True
    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"), capture_logs():
            _use(place.root / "models")
        found.accepted += 1
    except (RegistryError, SettingsError) as error:
        found.rejected[type(error).__name__] += 1
    except BaseException as error:  # noqa: BLE001 - nothing else may come out
        return f"{type(error).__name__}: {error}"[:300]
    finally:
        place.audit.on = False
    if place.audit.refusals:
        return f"it tried {place.audit.refusals.pop()}"
    if time.process_time() - began > _SLOW_S:
        return f"it took {time.process_time() - began:.0f} s of the processor"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"the process has needed {peak:,} bytes" if peak > _MEMORY else ""


def _use(root: Path) -> None:
    version = ModelFiles(root).load("m", "v1")
    rows = np.resize(np.array(_HOSTILE), (len(_HOSTILE), len(version.signature.names)))
    scores = np.asarray(version.predictor.predict(rows), np.float64)
    if scores.shape != (len(rows),):
        raise AssertionError(f"scores of the shape {scores.shape}")


def check_added(seed: int, number: int) -> Found:
    """One model's file by `leadline model add`'s own way, child process and all."""
    place = _place()
    found = Found(MODEL)
    _, files = changed(place.pool, seed, FILES.index(MODEL) + len(FILES) * number)
    path = place.root / "given.skops"
    path.write_bytes(files[model_file(files)])
    try:
        add_file(place.root / "added", SETTINGS, None, path, _reference(), "y")
        found.accepted += 1
    except (RegistryError, ValueError) as error:
        found.rejected[_kind(str(error))] += 1
    except BaseException as error:  # noqa: BLE001 - nothing else may come out
        found.wrong = f"{type(error).__name__}: {error}"[:300]
    return found


def _kind(message: str) -> str:
    known = (
        "no skops file",
        "not allowed",
        "ended the process",
        "tried what",
        "memory",
        "took longer",
        "does not score",
    )
    return next((each for each in known if each in message), "other")


def _reference() -> Any:
    return pa.table({"a": [0.5, -1.0, 2.0, 0.0], "b": ["c0", "c1", "c2", "c9"], "y": [1.0, 0.0, 1.0, 0.0]})
