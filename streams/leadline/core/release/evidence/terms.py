"""What the pairs of a rollout are judged by."""

import math
from typing import NamedTuple, Self

from leadline.core.columnar.columns import Bools, Ints
from leadline.core.statistics.overdispersion import INDEPENDENT, Spread
from leadline.settings import ModelSettings
from leadline.settings.release import RolloutSettings


class Terms(NamedTuple):
    """``since``: when the rollout began; ``now``: the stage time that all partitions have reached.

    ``spent``: what promotions since a person's may have lost already. ``reference``: how far the differences of the two versions vary
    between windows of a reference, where that is known.
    """

    rollout: RolloutSettings
    window: int
    block: int
    mature_after: int
    since: int
    now: int
    spent: float = 0.0
    reference: Spread = INDEPENDENT

    @classmethod
    def of(
        cls, settings: ModelSettings, since: int, now: int, spent: float = 0.0, reference: Spread = INDEPENDENT
    ) -> Self:
        """By the settings of a model."""
        block = settings.alerts.cycle or settings.window
        return cls(settings.rollout, settings.window, block, settings.mature_after, since, now, spent, reference)

    @property
    def limit(self) -> float:
        """So much evidence is a verdict."""
        return 1 / self.rollout.alpha

    @property
    def log_limit(self) -> float:
        return -math.log(self.rollout.alpha)

    def margin(self, segment: str) -> float:
        """By how much the challenger may be worse there; over all at most what is left of the budget, where nobody is asked."""
        if segment != "*":
            return self.rollout.segment_margin
        if not self.rollout.automatic:
            return self.rollout.margin
        return max(0.0, min(self.rollout.margin, self.rollout.budget - self.spent))

    def allowed(self, segment: str) -> float:
        """What is no reason to roll back: the margin, whatever is left of the budget."""
        return self.rollout.margin if segment == "*" else self.rollout.segment_margin

    @property
    def _begin(self) -> int:
        """When the window began in which the rollout did."""
        return self.since // self.window * self.window

    def block_of(self, window_start: Ints) -> Ints:
        """Which block a window is in, counted from the window in which the rollout began; below 0: before it."""
        block: Ints = (window_start - self._begin) // self.block
        return block

    def is_over(self, block: Ints) -> Bools:
        """Whether all windows of a block are mature by the clock."""
        over: Bools = block < self.over
        return over

    @property
    def over(self) -> int:
        """How many blocks are over by the clock, whether there are pairs in them or not; below 0: the first one is not yet begun.

        >>> settings = ModelSettings(name="m", window=10, horizon=5)
        >>> [Terms.of(settings, 20, now).over for now in (35, 36, 45, 46)]
        [0, 1, 1, 2]
        """
        return (self.now - 1 - self.mature_after - self._begin) // self.block
