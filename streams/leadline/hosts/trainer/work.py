"""One training in a thread of its own: what it has to know, what it says meanwhile, and what came of it."""

import asyncio
import threading
from contextlib import closing
from typing import NamedTuple

from leadline.core.release.trainings import Open
from leadline.errors import LeadlineError
from leadline.hosts.contract import Installation
from leadline.hosts.trainer.rows import rows
from leadline.learning.gate import gate_version
from leadline.learning.model_files import ModelFiles
from leadline.learning.store import have_here, published
from leadline.learning.training import Log, Made, make_candidate
from leadline.records import Verdict

_END_S = 10.0


class Standing(NamedTuple):
    """What was so when a training began: the log up to the cut, who answered, and candidates since he does."""

    log: Log
    champion: str | None
    candidates: int
    now_ms: int


class Work:
    """A training that runs. ``said`` is the last that it said of itself."""

    def __init__(self, installation: Installation, asked: Open, standing: Standing) -> None:
        self.asked = asked
        self.standing = standing
        self.said = "reads the labeled predictions"
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
        root, stop = self._installation.settings.models, self._stop.is_set
        have_here(self._installation.settings, request.model, sets=True)
        settings = ModelFiles(root).settings(request.model)
        if settings is None:
            raise LeadlineError(f"no model is called {request.model} in {root}: copy its folder there, and ask again")
        with (
            closing(rows(self._installation, log, stop)) as found,
            published(self._installation.settings, request.model),
        ):
            made = make_candidate(root, settings, champion, request, found, log, now_ms, self._tell, stop)
        self._tell(f"compares {made.version} with {champion or 'nothing'}")
        return made, gate_version(root, settings, champion, made.version, made.held_out, candidates, now_ms)

    def _tell(self, message: str) -> None:
        self.said = message
