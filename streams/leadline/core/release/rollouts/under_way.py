"""What is known of a model's rollouts: the one that is under way, what waits for its end, and what is remembered. Every list has a most."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_WAITING, MOST_REMEMBERED = 20, 50
"""Approved versions that wait for the end of a rollout, and versions that cool down."""
MOST_ARMS = 8
"""Versions of an A/B test beside the champion."""


class Estimate(NamedTuple):
    """What is expected of a version in one window: its requests, their mean loss, and the mean of its square."""

    requests: int
    loss: float
    square: float


class Missed(NamedTuple):
    """How much less than estimated the loss of a window was, by so many labels."""

    labels: int
    by: float


@dataclass(slots=True)
class UnderWay:
    """A rollout. ``champion``: who answered when it began, to whom a rollback goes; ``before``: the champion before that.

    ``mode``: shadow, canary or ab, also while it is paused or watched; ``shares``: of each version beside the one that answers most.
    ``since``: when the step began; ``began``: the rollout. ``proven``: whether the last look says promote; ``shown``: its numbers.
    ``held``: what was told of why it does not go on. ``told``: what the last verdict on its evidence said, in which ``cycle`` and of how
    many ``pairs``; ``looked``: when that was looked at. ``verdicts``: how many there are, ``verdict_id``: the last one's.
    ``is_late``: whether it was told that the deadline is over. ``filed``: when it is looked at next.
    ``scores``: of the newest windows of each version the pairs and the sums of the two scores, for the guardrails.
    ``answers``: since when its version answers somebody, None before; ``estimates``: of the newest windows since then what is expected
    of each version.
    """

    rollout_id: str
    version: str
    champion: str
    before: str
    state: str
    mode: str
    shares: dict[str, float]
    began: int
    since: int
    step: int = 0
    proven: bool = False
    shown: str = ""
    held: str = ""
    told: list[str] = field(default_factory=list)
    verdict_id: str = ""
    cycle: int = 0
    pairs: int = 0
    looked: int = 0
    verdicts: int = 0
    is_late: bool = False
    filed: int = -(2**63)
    scores: dict[str, list[int]] = field(default_factory=dict)
    answers: int | None = None
    estimates: dict[int, dict[str, Estimate]] = field(default_factory=dict)

    @property
    def arms(self) -> list[str]:
        """The versions that are compared with the champion."""
        return [self.version] if self.state == "watched" else sorted(self.shares)

    @property
    def at(self) -> str:
        """Where its verdicts are given."""
        return "watch" if self.state == "watched" else self.mode


@dataclass(slots=True)
class Approved:
    """An approved version that waits for the end of a rollout. ``champion``: who answered when it was approved."""

    version: str
    champion: str
    actor: str
    reason: str
    cause: str


@dataclass(slots=True)
class OfModel:
    """All of one model. ``spent``: what automatic promotions since a person's may lose together.

    ``cooling``: until when a version that was rolled back does not begin by itself.
    ``missed``: of the newest windows of each version with labels how far its estimate was off.
    """

    under_way: UnderWay | None = None
    waiting: list[Approved] = field(default_factory=list)
    spent: float = 0.0
    cooling: dict[str, int] = field(default_factory=dict)
    missed: dict[str, dict[int, Missed]] = field(default_factory=dict)
    clock: int = -(2**63)

    def pass_time(self, at_ms: int) -> int:
        """The time of the model's rollouts, which never goes back."""
        self.clock = max(self.clock, at_ms)
        return self.clock

    def wait(self, approved: Approved) -> bool:
        """Whether an approved version can wait; one that waits already does so on."""
        self.waiting = [each for each in self.waiting if each.version != approved.version]
        if len(self.waiting) >= MOST_WAITING:
            return False
        self.waiting.append(approved)
        return True

    def forget(self, version: str) -> None:
        """A version waits no more."""
        self.waiting = [each for each in self.waiting if each.version != version]

    def cool(self, versions: Iterable[str], until_ms: int) -> None:
        """These versions were rolled back."""
        added = dict.fromkeys(versions, until_ms)
        kept = [(version, time) for version, time in self.cooling.items() if version not in added]
        self.cooling = dict([*kept, *added.items()][-MOST_REMEMBERED:])


def place(rollout: UnderWay) -> str:
    """Where a rollout is, for a person.

    >>> place(UnderWay("r", "v2", "v1", "", "paused", "canary", {"v2": 0.05}, 0, 0, step=1))
    'paused, canary, step 2, v2 answers 0.05'
    """
    paused = "paused, " if rollout.state == "paused" else ""
    step = f", step {rollout.step + 1}" if rollout.mode == "canary" else ""
    shares = "".join(f", {name} answers {share:.3g}" for name, share in rollout.shares.items() if share)
    return "watched" if rollout.state == "watched" else f"{paused}{rollout.mode}{step}{shares}"
