"""Who answers, written again where the topic has lost it: a record without value, or one that nobody can use, came behind it."""

from leadline.core.release.rollouts.assignments import NO_TIME
from leadline.core.release.versions import Versions
from leadline.records import Rollout

AGAIN_MS = 30_000
"""So long the topic may lack it after it was written again; then something else came behind it, and it is written once more."""


class Restoring:
    """The rollouts of a task that are to be written again."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._written: dict[tuple[str, int], int] = {}

    def first(self) -> int | None:
        """When the next one is to be written; None: none is lost."""
        return min((time for _, time in self._due()), default=None)

    def take(self, now_ms: int) -> list[Rollout]:
        """Those to be written now, as they were."""
        taken = [each for each, time in self._due() if time <= now_ms]
        self._written |= {_name(each): now_ms for each in taken}
        return taken

    def _due(self) -> list[tuple[Rollout, int]]:
        lost = {_name(each): each for each in self._versions.lost()}
        self._written = {name: time for name, time in self._written.items() if name in lost}
        return [
            (each, self._written[name] + AGAIN_MS if name in self._written else NO_TIME) for name, each in lost.items()
        ]


def _name(rollout: Rollout) -> tuple[str, int]:
    return rollout.model, rollout.revision
