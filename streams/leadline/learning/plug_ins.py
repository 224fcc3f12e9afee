"""Checks of the user's own: ``module:function`` of importable modules, each in a process of its own.

They are their user's own code, and no enemy: one may raise, hang, print, end its process or change what it gets, and each ends in a check.
The process is this module too: it finds the rows and the scores in a folder, and leaves its checks there.
"""

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Floats
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.core.release.segments import NOT_COMPARED
from leadline.foreign_text import shown
from leadline.learning.children import end_with_parent
from leadline.records import Check

_MOST = 100
_LONG = 1000
_ROWS, _CHAMPION, _CHALLENGER, _ANSWER = "rows.arrow", "champion.npy", "challenger.npy", "answer.json"


def plugged_in(
    named: str, rows: pa.Table, champion: Floats | None, challenger: Floats, within_s: float
) -> Iterator[Check]:
    """What a function says of the rows and the scores of both versions; where it fails there is no evidence.

    It is called with the rows as a `pyarrow.Table` and the scores as numpy arrays, NaN where a version gives none; those of the champion
    are None where no version answers. It returns a `leadline.records.Check`, or a list of them, within so many seconds. What it prints
    goes to standard error.
    """
    with tempfile.TemporaryDirectory(prefix="leadline-check-") as place:
        folder = Path(place)
        _give(folder, rows, champion, challenger)
        how = _ended(folder, named, within_s)
        try:
            found = json.loads((folder / _ANSWER).read_bytes())
        except FileNotFoundError:
            found = [asdict(_without(named, how))]
    yield from (Check(**each) for each in found)


def _give(folder: Path, rows: pa.Table, champion: Floats | None, challenger: Floats) -> None:
    with pa.ipc.new_file(str(folder / _ROWS), rows.schema) as file:
        file.write_table(rows)
    np.save(folder / _CHALLENGER, challenger)
    if champion is not None:
        np.save(folder / _CHAMPION, champion)


def _ended(folder: Path, named: str, within_s: float) -> str:
    """Wait for the process, and say how it ended."""
    words = [sys.executable, "-P", "-m", __spec__.name, str(folder), named]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=2) as child:
        try:
            code = child.wait(within_s)
        except subprocess.TimeoutExpired:
            child.kill()
            return f"it took longer than {within_s:,.0f} s ([training] timeout)"
    return f"it ended its process without an answer ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"


# -- in the process -------------------------------------------------------------------------------------------------------


def main(folder: Path, named: str) -> None:
    """Answer, and end at once: a check may have left threads behind."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    answer = [asdict(each) for each in _checks(folder, named)]
    new = folder / f".{_ANSWER}"
    new.write_text(json.dumps(answer))
    new.replace(folder / _ANSWER)
    os._exit(0)


def _checks(folder: Path, named: str) -> list[Check]:
    try:
        found = _function(named)(*_given(folder))
        checks = list(found) if isinstance(found, list | tuple) else [found]
        sound = [_sound(each) for each in checks[:_MOST]]
    except BaseException as error:  # noqa: BLE001 - it is somebody else's, and may raise anything
        return [_without(named, f"it ended with {type(error).__name__}: {error}")]
    if not checks:
        return [_without(named, "it returned no check")]
    if len(checks) > _MOST:
        sound.append(_without(named, f"it returned {len(checks)} checks, and at most {_MOST} are taken"))
    return sound


def _given(folder: Path) -> tuple[pa.Table, Floats | None, Floats]:
    with pa.ipc.open_file(str(folder / _ROWS)) as file:
        rows = file.read_all()
    champion = np.load(folder / _CHAMPION) if (folder / _CHAMPION).is_file() else None
    return rows, champion, np.load(folder / _CHALLENGER)


def _function(named: str) -> Callable[..., Any]:
    module, _, function = named.partition(":")
    if not module or not function:
        raise ValueError("write module:function")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _sound(check: Any) -> Check:
    """A check that can be written down; raises TypeError or ValueError."""
    if not isinstance(check, Check):
        raise TypeError(f"a {type(check).__name__} is no leadline.records.Check")
    if check.outcome not in (PASSED, FAILED, NO_EVIDENCE):
        raise ValueError(f"its outcome {check.outcome!r} is neither {PASSED}, {FAILED} nor {NO_EVIDENCE}")
    if check.name == NOT_COMPARED:
        raise ValueError(f"a check called {NOT_COMPARED} would stop nothing: call it otherwise")
    value, limit = _finite(check.value), _finite(check.limit)
    lost = check.value is not None and value is None and check.outcome == PASSED
    return replace(
        check,
        name=shown(str(check.name), _LONG),
        segment=shown(str(check.segment or "*"), _LONG),
        value=value,
        limit=limit,
        outcome=NO_EVIDENCE if lost else check.outcome,
        reason=shown(f"{check.reason}; its value is no number" if lost else str(check.reason), _LONG),
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _without(named: str, why: str) -> Check:
    return Check(shown(named, _LONG), "*", None, None, NO_EVIDENCE, shown(why, _LONG))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
