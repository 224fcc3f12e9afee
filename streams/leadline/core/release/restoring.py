"""Who answers, written again where the topic has lost it: a record without value, or one that nobody can use, came behind it."""

from leadline.core.release.versions import Versions
from leadline.records import Rollout


class Restoring:
    """The rollouts of a task that are to be written again, each once until the topic has it."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._written: set[tuple[str, int]] = set()

    @property
    def is_due(self) -> bool:
        """Whether one is lost that was not written again."""
        return any(True for _ in self._unwritten())

    def take(self) -> list[Rollout]:
        """Those that are lost, as they were."""
        taken = self._unwritten()
        self._written |= {(each.model, each.revision) for each in taken}
        return taken

    def _unwritten(self) -> list[Rollout]:
        lost = list(self._versions.lost())
        self._written &= {(each.model, each.revision) for each in lost}
        return [each for each in lost if (each.model, each.revision) not in self._written]
