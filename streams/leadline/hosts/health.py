"""What is wrong with the stages of this worker, as they themselves know it."""

import threading
import time
from typing import NamedTuple


class Trouble(NamedTuple):
    """Something that does not pass by itself. ``what`` is where: a topic with its partition, or a model with its version.

    ``message`` says what happened and what to do; ``since_ms`` is the time at which it was first seen.
    """

    step: str
    what: str
    message: str
    since_ms: int


class Health:
    """The troubles that are open now; lanes on any thread open and close them."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Trouble] = {}
        self._lock = threading.Lock()

    def stuck(self, step: str, what: str, message: str) -> None:
        """A step cannot go on with ``what`` until somebody mends it. Said again, it keeps the time at which it was said first."""
        with self._lock:
            known = self._open.get((step, what))
            since_ms = known.since_ms if known else int(time.time() * 1000)
            self._open[step, what] = Trouble(step, what, message, since_ms)

    def freed(self, step: str, what: str) -> None:
        """A step goes on with ``what``; nothing where it was not stuck."""
        with self._lock:
            self._open.pop((step, what), None)

    def troubles(self) -> list[Trouble]:
        """All that is open, the oldest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda trouble: trouble.since_ms)
