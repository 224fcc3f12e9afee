"""Evidence that something is wrong, window by window; and while it is, that it is over."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.e_detector import grow, mean_evidence

Floats = NDArray[np.float64]
BACK_AT = math.log(10)
"""The logarithm of the evidence at which something is over."""


@dataclass(slots=True)
class Cusum:
    """The evidence of one subject; ``log_back`` while it is open."""

    log_m: list[float] = field(default_factory=list)
    log_back: list[float] = field(default_factory=list)
    is_open: bool = False

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


def _array(held: list[float], like: Floats) -> Floats:
    return np.array(held) if len(held) == len(like) else np.zeros(len(like))
