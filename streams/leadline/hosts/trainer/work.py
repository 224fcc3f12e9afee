"""One training in a thread of its own: what it has to know, what it says meanwhile, and what came of it."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from leadline.core.release.trainings import Open
from leadline.errors import LeadlineError
from leadline.hosts.contract import Installation
from leadline.hosts.trainer.rows import Log, rows
from leadline.learning.model_files import ModelFiles
from leadline.learning.store import have_here, published
from leadline.learning.training import Made
from leadline.records import RetrainRequest, Verdict
from leadline.settings import ModelSettings

_END_S = 10.0


class Make(Protocol):
    """As `leadline.learning.training.make_candidate`."""

    def __call__(
        self,
        root: Path,
        settings: ModelSettings,
        champion: str | None,
        request: RetrainRequest,
        rows: Iterable[pa.RecordBatch],
        cut: dict[str, int],
        now_ms: int,
        tell: Callable[[str], None],
        stop: Callable[[], bool],
        topic_ids: dict[str, str],
        start: dict[str, int],
    ) -> Made: ...


class Judge(Protocol):
    """As `leadline.learning.gate.gate_version`."""

    def __call__(
        self,
        root: Path,
        settings: ModelSettings,
        champion: str | None,
        challenger: str,
        held_out: Path,
        candidates: int,
        now_ms: int,
    ) -> Verdict: ...


class Steps(NamedTuple):
    """What a training is made of."""

    make: Make
    judge: Judge


class Standing(NamedTuple):
    """What was so when a training began: the log up to the cut, who answered, and candidates since he does."""

    log: Log
    champion: str | None
    candidates: int
    now_ms: int


class Work:
    """A training that runs. ``said`` is the last that it said of itself."""

    def __init__(self, installation: Installation, steps: Steps, asked: Open, standing: Standing) -> None:
        self.asked = asked
        self.standing = standing
        self.said = "reads the labeled predictions"
        self._steps = steps
        self._installation = installation
        self._stop = threading.Event()
        self._running = asyncio.create_task(asyncio.to_thread(self._run))

    @property
    def has_ended(self) -> bool:
        """Whether there is a result."""
        return self._running.done()

    async def result(self) -> tuple[Made, Verdict]:
        """The candidate, and what the gate says. Raises LeadlineError where the training failed."""
        return await self._running

    async def end(self) -> None:
        """End it, whatever it is at; what it would have said counts no more. A thread that does not end soon is left to itself."""
        self._stop.set()
        await asyncio.wait([self._running], timeout=_END_S)

    def _run(self) -> tuple[Made, Verdict]:
        request, (log, champion, candidates, now_ms) = self.asked.request, self.standing
        root = self._installation.settings.models
        have_here(self._installation.settings, request.model, sets=True)
        settings = ModelFiles(root).settings(request.model)
        if settings is None:
            raise LeadlineError(f"no model is called {request.model} in {root}: copy its folder there, and ask again")
        stop, (ids, start, cut) = self._stop.is_set, log
        found = rows(self._installation, cut, stop)
        with published(self._installation.settings, request.model):
            made = self._steps.make(
                root, settings, champion, request, found, cut, now_ms, self._tell, stop, topic_ids=ids, start=start
            )
        self._tell(f"compares {made.version} with {champion or 'nothing'}")
        return made, self._steps.judge(root, settings, champion, made.version, made.held_out, candidates, now_ms)

    def _tell(self, message: str) -> None:
        self.said = message
