"""Whether labels come less often for one predicted class than for the other: then what is labelled is not like the rest.

Two things must be so: the labelled shares of the two predicted classes differ, and the labelled rows are composed otherwise than the
labelled rows of the reference (or, where that is not known, than before). A reference that lacks labels alike is no finding.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from scipy.special import log_ndtr

from leadline.core.statistics.overdispersion import deflation
from leadline.records import MatureCounts

POOLED = 8
"""Judged windows that are looked at together."""
LEAST = 0.1
"""A smaller difference of the labelled shares does not count."""
DOUBTFUL = math.log(0.05)
"""With a p value below this, a window is not judged by its labels."""
CERTAIN = math.log(1e-4)
"""With a p value below this, the finding is an incident."""


class Labelled(NamedTuple):
    """Counts by predicted class: labelled and all of the positive ones, then of the negative ones."""

    positive: int
    of_positive: int
    negative: int
    of_negative: int

    @classmethod
    def of(cls, counts: MatureCounts) -> "Labelled":
        positive, negative = counts.tp + counts.fp, counts.tn + counts.fn
        return cls(positive, counts.predicted_positive, negative, counts.predictions - counts.predicted_positive)

    @property
    def is_possible(self) -> bool:
        return 0 <= self.positive <= self.of_positive and 0 <= self.negative <= self.of_negative

    @property
    def shares(self) -> tuple[float, float]:
        return self.positive / max(1, self.of_positive), self.negative / max(1, self.of_negative)

    @property
    def composition(self) -> float:
        return self.positive / max(1, self.positive + self.negative)


@dataclass(slots=True)
class Bias:
    """``pooled``: the last windows; ``first``: the first ones, added up, against which later ones are held."""

    pooled: list[list[int]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    seen: int = 0
    is_open: bool = False

    def step(
        self, counts: MatureCounts, reference: tuple[float, int] | None, rho: float
    ) -> tuple[bool, str | None, Labelled]:
        """Take in a block: whether its labels are doubtful, what becomes of the finding, and the counts that it rests on."""
        found = Labelled.of(counts)
        if not found.is_possible or not counts.predicted_positive:
            return False, None, found  # it is not told how many were predicted positive
        self.pooled = [*self.pooled, list(found)][-POOLED:]
        total = Labelled(*(sum(column) for column in zip(*self.pooled, strict=True)))
        log_p = self._log_p(total, reference, rho)
        self.seen += 1
        if self.seen <= POOLED:
            self.first = list(total)
        before = self.is_open
        self.is_open = log_p < (DOUBTFUL if before else CERTAIN)
        change = None if before == self.is_open else "opened" if self.is_open else "resolved"
        return log_p < DOUBTFUL, change, total

    def _log_p(self, total: Labelled, reference: tuple[float, int] | None, rho: float) -> float:
        """The larger p value of both questions, as a logarithm; 0 where there is nothing to ask."""
        more, less = total.shares
        if abs(more - less) < LEAST or not all(total[1::2]):
            return 0.0
        phi = float(deflation(sum(total[1::2]) / max(1, len(self.pooled)), rho))
        labelled = total.positive + total.negative
        apart = _log_p(more, total.of_positive, less, total.of_negative, phi)
        if reference is None and self.seen < POOLED:
            return 0.0
        first = Labelled(*self.first) if self.first else total
        share, rows = reference or (first.composition, first.positive + first.negative)
        return max(apart, _log_p(total.composition, labelled, share, rows, phi))


def _log_p(one: float, n: int, other: float, m: int, phi: float) -> float:
    """The two-sided p value, as a logarithm, of two shares that differ by chance, their variance ``phi`` times the binomial one."""
    if not n or not m:
        return 0.0
    share = (one * n + other * m) / (n + m)
    deviation = math.sqrt(max(1e-12, share * (1 - share) * (1 / n + 1 / m) * phi))
    return min(0.0, math.log(2) + float(log_ndtr(-abs(one - other) / deviation)))
