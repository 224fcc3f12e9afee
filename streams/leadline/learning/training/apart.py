"""Trains in a process of its own, which may use so much time and memory; whatever it does, it ends in a model or in one line."""

import io
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from leadline.foreign_text import shown
from leadline.learning.limits import LIMITS
from leadline.learning.limits import MODEL as MODEL_FILE
from leadline.learning.training.errors import StoppedError, TrainingError
from leadline.learning.training.fit import ANSWER, JOB, MODEL
from leadline.settings import ModelSettings
from leadline.settings.files import read_file

_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "HOME", "USER", "TMPDIR")
"""Of the environment: it may hold passwords."""
_LOOK_S, _TELL_S, _CODE_S = 0.5, 10.0, 120
_MOST_ANSWER, _MOST_CHARS = 1 << 20, 1000
_POOLS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR")

_STEADY = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "OMP_WAIT_POLICY": "passive",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""The order of sets is the same at each training, threads that wait leave the processor to others, and memory is taken as it is needed."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The bytes of the model, and what the process says of how it was made."""

    model: bytes
    chosen: dict[str, Any]
    code: dict[str, str]
    folder: str
    libraries: dict[str, str]
    platform: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)


def train_apart(
    work: Path,
    rows: Path,
    train: int,
    settings: ModelSettings,
    threads: int,
    tell: Callable[[str], None],
    stop: Callable[[], bool],
) -> Trained:
    """Train on the first ``train`` rows of a file; ``work``: a folder for the process. Raises TrainingError."""
    training = settings.training
    seconds = max(1, training.timeout // 1000)
    job = {"settings": settings.model_dump(), "rows": str(rows), "train": train, "threads": threads}
    job |= {"memory": training.memory, "seconds": seconds}
    (work / JOB).write_text(json.dumps(job))
    code = _Process(work, threads).wait(seconds, tell, stop)
    return _read(work, code, settings)


def code_apart(
    work: Path, settings: ModelSettings, threads: int, stop: Callable[[], bool]
) -> tuple[dict[str, str], str]:
    """The sha256 of the files of the recipe, and the release of river, as a training would have them. Raises TrainingError."""
    job = {"settings": settings.model_dump(), "only_code": True, "threads": threads, "seconds": _CODE_S}
    (work / JOB).write_text(json.dumps(job | {"memory": settings.training.memory}))
    code = _Process(work, threads).wait(_CODE_S, lambda _: None, stop)
    answer = _answered(work, code, settings)
    (work / ANSWER).unlink()
    return answer["code"], answer["river"]


def _read(work: Path, code: int, settings: ModelSettings) -> Trained:
    answer = _answered(work, code, settings)
    try:
        return Trained(read_file(work / MODEL, LIMITS[MODEL_FILE]), **answer)
    except OSError as error:
        raise TrainingError(
            f"the model of {settings.name} is too large, or gone ({error.strerror}): train a smaller one"
        ) from None


def _answered(work: Path, code: int, settings: ModelSettings) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(read_file(work / ANSWER, _MOST_ANSWER))
    except FileNotFoundError:
        raise TrainingError(_ended(code, settings)) from None
    if "error" in answer:
        raise TrainingError(shown(" ".join(str(answer["error"]).split()), _MOST_CHARS))
    return answer


def _ended(code: int, settings: ModelSettings) -> str:
    recipe, memory = settings.training.recipe or "the ready recipe", settings.training.memory >> 20
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    if -code == signal.SIGXCPU:
        return f"{recipe} took longer than its processor time: raise [training] timeout"
    return f"{recipe} ended its process ({how}): it crashed, or needs more than the memory here or the {memory:,} MiB of [training] memory"


class _Process:
    """A process with all that it starts."""

    def __init__(self, work: Path, threads: int) -> None:
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        environment |= {f"{name}_NUM_THREADS": str(threads) for name in _POOLS} | {"LOKY_MAX_CPU_COUNT": str(threads)}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "leadline.learning.training.fit", str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | _STEADY,
            start_new_session=True,
        )
        self._said: IO[bytes] = self._child.stdout or io.BytesIO()

    def wait(self, seconds: float, tell: Callable[[str], None], stop: Callable[[], bool]) -> int:
        """Its exit code. Raises TrainingError where it takes too long, or is to stop."""
        began = told = time.monotonic()
        try:
            while self._child.poll() is None:
                self._lines(tell)
                now = time.monotonic()
                if stop():
                    raise StoppedError("the training was stopped: somebody asked for it")
                if now - began > seconds:
                    raise TrainingError(
                        f"the training took longer than {seconds:,.0f} s: raise [training] timeout, or lower max_rows"
                    )
                if now - told > _TELL_S:
                    told = now
                    tell(f"training for {now - began:,.0f} s, {self._resident() >> 20:,} MiB")
            return self._child.returncode
        finally:
            self._end()

    def _lines(self, tell: Callable[[str], None]) -> None:
        """Pass on what it says, for half a second at most."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._said, selectors.EVENT_READ)
            line = self._said.readline() if selector.select(_LOOK_S) else b""
        if line:
            tell(shown(line.decode(errors="replace").strip(), _MOST_CHARS))
        else:
            time.sleep(_LOOK_S / 10)  # it says no more, and is about to end

    def _resident(self) -> int:
        try:
            return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0

    def _end(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
