"""Evidence that something is wrong, window by window; and while it is, that it is over."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.e_detector import grow, mean_evidence

Floats = NDArray[np.float64]
BACK_AT = math.log(10)
"""The logarithm of the evidence at which something is over."""


@dataclass(slots=True)
class Tally:
    """What evidence rests on: the sums of all blocks since it left its floor; ``start``: of the first of them."""

    start: int = 0
    blocks: int = 0
    sums: list[float] = field(default_factory=list)

    def add(self, start: int, values: Sequence[float]) -> None:
        """Take in a block.

        >>> tally = Tally()
        >>> for start in (100, 200):
        ...     tally.add(start, [3, 1])
        >>> tally
        Tally(start=100, blocks=2, sums=[6.0, 2.0])
        """
        before = self.sums or [0.0] * len(values)
        self.start = self.start if self.blocks else start
        self.blocks, self.sums = self.blocks + 1, [a + b for a, b in zip(before, values, strict=True)]

    def clear(self) -> None:
        self.start, self.blocks, self.sums = 0, 0, []


@dataclass(slots=True)
class Cusum:
    """The evidence of one subject; ``log_back`` while it is open."""

    log_m: list[float] = field(default_factory=list)
    log_back: list[float] = field(default_factory=list)
    is_open: bool = False

    @property
    def is_at_floor(self) -> bool:
        """Whether nothing that was seen speaks for a change of state any more."""
        return max(self.log_back if self.is_open else self.log_m, default=0.0) <= 0

    def step(self, worse: Floats, better: Floats, log_c: float) -> str | None:
        """Take in a window: ``opened`` or ``resolved``, or None where nothing changes.

        >>> cusum, bad, none = Cusum(), np.array([3.0]), np.array([0.0])
        >>> [cusum.step(*each, 5.0) for each in ((bad, none), (bad, none), (none, bad))]
        [None, 'opened', 'resolved']
        """
        if self.is_open:
            self.log_back = grow(_array(self.log_back, better), better).tolist()
            if float(mean_evidence(np.array(self.log_back))) < BACK_AT:
                return None
            self.clear()
            return "resolved"
        self.log_m = grow(_array(self.log_m, worse), worse).tolist()
        if float(mean_evidence(np.array(self.log_m))) < log_c:
            return None
        self.clear()
        self.is_open = True
        return "opened"

    def clear(self) -> None:
        """Start again from nothing."""
        self.log_m, self.log_back, self.is_open = [], [], False


@dataclass(slots=True)
class Evidence:
    """A cusum, and what it rests on."""

    cusum: Cusum = field(default_factory=Cusum)
    tally: Tally = field(default_factory=Tally)

    @property
    def is_open(self) -> bool:
        return self.cusum.is_open

    def step(
        self, start: int, values: Sequence[float], sides: tuple[Floats, Floats], log_c: float
    ) -> tuple[str | None, Tally]:
        """As `Cusum.step`, of the block that starts then; and what it rests on, this block included."""
        self.tally.add(start, values)
        change, rests_on = self.cusum.step(*sides, log_c), replace(self.tally)
        if change is not None or self.cusum.is_at_floor:
            self.tally.clear()
        return change, rests_on

    def clear(self) -> None:
        """Start again from nothing."""
        self.cusum.clear()
        self.tally.clear()


def _array(held: list[float], like: Floats) -> Floats:
    return np.array(held) if len(held) == len(like) else np.zeros(len(like))
