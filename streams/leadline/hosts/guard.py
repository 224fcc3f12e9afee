"""What a version may take where nobody waits for it: time, memory, and ends of its process. One that takes more is stopped, and told.

Which version was at work when the process ended, and how often that was so, stands in two small files: the process that is started
in its place reads them.
"""

import fcntl
import json
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from leadline.core.models import StoppedError
from leadline.hosts.health import Health
from leadline.hosts.watching import Watch
from leadline.records import SHADOW
from leadline.settings.private import private_folder

log = structlog.get_logger("leadline.shadow")

SLOW_S, MOST_SLOW = 2.0, 10
"""A call that takes so long is slow; after so many a version is stopped."""
HANGS_S = 120.0
"""A call, or a version's loading, that takes so long never ends: the process does."""
MOST_ENDS = 3
"""After so many ends of the process with the same version at work it is stopped."""
_FULL = 0.9
"""The process ends by itself where it has so much of the memory that it may have: behind it everything fails, not the model alone."""
_LOOK_S = 1.0
_MARK_BYTES = 2048
_GIVES_WAY = 10
"""The priority of the process is so much below that of others (`nice`): nobody waits for it."""


def stand_back(most_bytes: int | None) -> None:
    """This process gets the processor after others, and no more memory of its own than so much."""
    os.nice(_GIVES_WAY)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, resource.RLIM_INFINITY))


@dataclass(slots=True)
class Record:
    """What a version has taken in a rollout. ``stopped``: why it scores no more, empty while it does."""

    rollout_id: str
    ends: int = 0
    slow: int = 0
    stopped: str = ""


class Guard(Watch):
    """Watches versions by these limits. ``alone``: nobody else shares the process, so that it may end.

    ``rollout_of`` says which rollout of a model is under way: with the next one all counts begin anew.
    """

    def __init__(
        self, state: Path, health: Health, rollout_of: Callable[[str], str], memory: int | None, alone: bool
    ) -> None:
        super().__init__()
        self._health, self._rollout_of, self._alone = health, rollout_of, alone
        self._memory = memory if alone else None
        private_folder(state)
        self._mark, self._file = _own_files(state)
        self._records = _read(self._file)
        self._grown = Counter[tuple[str, str]]()
        self._began: tuple[float, str, str] | None = None
        self._before = 0
        self._count_end()
        for model, version in list(self._records):
            self._tell(model, version)

    def end_what_hangs(self) -> None:
        """From now on this process ends where a call never does, if it is ``alone``."""
        if self._alone:
            threading.Thread(target=self._look, daemon=True, name="shadow-guard").start()

    # -- what is watched --------------------------------------------------------------------------------------------------

    def is_stopped(self, model: str, version: str) -> bool:
        """Whether a version scores no more here."""
        return bool(self._record(model, version).stopped)

    @contextmanager
    def loading(self, model: str, version: str) -> Iterator[None]:
        """While a version is loaded. Where memory ends, or the process, it is told of this version."""
        self._at_work(model, version)
        yield
        self._at_rest(model, version)

    def begins(self, model: str, version: str) -> None:
        """A version is about to score; raises StoppedError where it is not to."""
        if self.is_stopped(model, version):
            raise StoppedError
        self._at_work(model, version)

    def ends(self, model: str, version: str, seconds: float) -> None:
        """A version has scored, or failed. Raises MemoryError where there is hardly any left."""
        super().ends(model, version, seconds)
        self._at_rest(model, version)
        if seconds > SLOW_S:
            record = self._record(model, version)
            record.slow += 1
            if record.slow >= MOST_SLOW:
                self._stop(model, version, f"{record.slow} of its calls took longer than {SLOW_S:g} s")
            self._keep()

    def ran_out(self) -> None:
        """Memory has ended: the version that took most of it is to be told of when the process has ended."""
        grown = +self._grown
        if grown:
            self._write(*grown.most_common(1)[0][0])

    # -- how --------------------------------------------------------------------------------------------------------------

    def _at_work(self, model: str, version: str) -> None:
        self._write(model, version)
        self._before = _data_bytes()
        self._began = time.monotonic(), model, version

    def _at_rest(self, model: str, version: str) -> None:
        self._began = None
        self._write()
        data = _data_bytes()
        self._grown[model, version] += max(0, data - self._before)
        if self._memory is not None and data > _FULL * self._memory:
            self.ran_out()
            raise MemoryError(f"the shadow stage has {data >> 20} MiB of the {self._memory >> 20} that it may have")

    def _write(self, *at_work: str) -> None:
        os.pwrite(self._mark, json.dumps(at_work).encode().ljust(_MARK_BYTES), 0)

    def _count_end(self) -> None:
        """A process before this one may have ended with a version at work."""
        try:
            held = os.pread(self._mark, 1 << 16, 0).decode()
            model, version = json.JSONDecoder().raw_decode(held or "[]")[0]  # behind it may be the end of a longer one
        except ValueError:
            return
        self._write()
        record = self._record(model, version)
        record.ends += 1
        log.error("the process ended with this version at work", model=model, version=version, times=record.ends)
        if record.ends >= MOST_ENDS:
            self._stop(model, version, f"its process ended {record.ends} times while it was at work, or for its memory")
        self._keep()

    def _record(self, model: str, version: str) -> Record:
        rollout_id = self._rollout_of(model)
        known = self._records.get((model, version))
        if known is None or known.rollout_id != rollout_id:
            if known is not None and known.stopped:
                self._health.freed(SHADOW, f"{model} {version}")
                self._health.stops(model, version, SHADOW, "")
            known = self._records[model, version] = Record(rollout_id)
        return known

    def _stop(self, model: str, version: str, why: str) -> None:
        self._record(model, version).stopped = why
        log.error("this version scores no more in shadow", model=model, version=version, reason=why)
        self._tell(model, version)

    def _tell(self, model: str, version: str) -> None:
        if why := self._record(model, version).stopped:
            message = f"it is stopped for this rollout: {why}; mend the version, and roll it out anew"
            self._health.stuck(SHADOW, f"{model} {version}", message)
            self._health.stops(model, version, SHADOW, why)

    def _keep(self) -> None:
        rows = [[model, version, asdict(record)] for (model, version), record in self._records.items()]
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(rows), "utf-8")
        beside.replace(self._file)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            began = self._began
            if began is not None and time.monotonic() - began[0] > HANGS_S:
                log.critical("a call never ends, and so the process does", model=began[1], version=began[2])
                os._exit(1)


def _own_files(state: Path) -> tuple[int, Path]:
    """The open file that says who is at work, and the one that keeps what there was; of no other process that lives."""
    number = 0
    while True:
        mark = os.open(state / f"shadow-{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(mark)
            number += 1
        else:
            return mark, state / f"shadow-{number}.json"


def _read(file: Path) -> dict[tuple[str, str], Record]:
    """What is kept; nothing where that cannot be read."""
    try:
        return {(model, version): Record(**held) for model, version, held in json.loads(file.read_text("utf-8"))}
    except (OSError, ValueError, TypeError):
        return {}


def _data_bytes() -> int:
    """Memory of this process alone, as its limit counts it."""
    return int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()
