"""How a lane goes on after errors: what passes by itself is tried again soon; what does not is told once, and tried again ever later."""

import time
from collections.abc import Callable, Collection

import structlog

from leadline.hosts.health import Health

log = structlog.get_logger("leadline.patience")

KAFKA = "Kafka"
AGAIN_S = 1.0
MOST_S = 30.0
LASTING_S = 30.0
"""An error that should pass and comes again for so long is told too."""
CALM_S = 10.0
"""So long a lane must have been at work again without it until an error counts as over, where nobody says so."""


class _Error:
    def __init__(self, message: str, now: float) -> None:
        self.message = message
        self.since = now
        self.wait_s = 0.0
        self.again_at = now
        self.calm_since: float | None = None


class Patience:
    """The errors of one step that are not over. ``what`` is where one is: a topic and partition, or all that a lane asks of Kafka.

    Its log has an error when it comes, when its message changes and when it is over; the worker's health has what lasts.
    """

    def __init__(self, step: str, health: Health, clock: Callable[[], float] = time.monotonic) -> None:
        self._step = step
        self._health = health
        self._clock = clock
        self._errors: dict[str, _Error] = {}

    def failed(self, what: str, message: str, lasting: bool) -> float:
        """Note an error; so many seconds later it may be tried again. ``lasting``: it does not pass by itself."""
        now = self._clock()
        error = self._errors.setdefault(what, _Error("", now))
        if error.message != message:
            error.message = message
            level = log.error if lasting else log.warning
            level("cannot go on" if lasting else "tries again", step=self._step, what=what, error=message)
        if lasting or now - error.since > LASTING_S:
            self._health.stuck(self._step, what, message)
        error.wait_s = min(MOST_S, 2 * error.wait_s or AGAIN_S) if lasting else AGAIN_S
        error.again_at = now + error.wait_s
        error.calm_since = None
        return error.wait_s

    def must_wait(self, what: str) -> bool:
        """Whether it is too soon to try again."""
        return what in self._errors and self._clock() < self._errors[what].again_at

    def over(self, what: str) -> None:
        """An error is over; nothing where there was none."""
        if self._errors.pop(what, None) is not None:
            log.info("goes on", step=self._step, what=what)
            self._health.freed(self._step, what)

    def calm(self, what: str) -> None:
        """A lane is at work and nothing fails: an error is over where that has been so for some time."""
        error = self._errors.get(what)
        if error is None:
            return
        if error.calm_since is None:
            error.calm_since = self._clock()
        elif self._clock() > error.calm_since + CALM_S:
            self.over(what)

    def keep(self, wanted: Collection[str]) -> None:
        """Others have taken over all but these."""
        for what in set(self._errors) - set(wanted):
            self.over(what)
