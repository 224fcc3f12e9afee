"""How far a task has come."""

import struct
from dataclasses import astuple, dataclass

import numpy as np

from leadline.core.columnar.columns import Ints

NEVER = -(2**63)
"""Before all times."""


@dataclass(slots=True)
class Progress:
    """How far a task is: runs applied, stage time, and the highest arrival time of each source; the latter also of its records alone,
    whatever a clock said.
    """

    sequence: int = 0
    stage_ms: int = NEVER
    predictions_ms: int = NEVER
    outcomes_ms: int = NEVER
    predictions_log_ms: int = NEVER
    outcomes_log_ms: int = NEVER

    _layout = struct.Struct("<6q")

    def pack(self) -> bytes:
        """The progress as bytes; `unpack` reads them."""
        return self._layout.pack(*astuple(self))

    def arrive(self, source: str, arrival_ms: int) -> None:
        """A record of ``source`` (or the clock, where it is idle) has come to ``arrival_ms``; stage time is the slower source's."""
        held = {"predictions": self.predictions_ms, "outcomes": self.outcomes_ms}
        held[source] = max(held[source], arrival_ms)
        self.predictions_ms, self.outcomes_ms = held["predictions"], held["outcomes"]
        self.stage_ms = max(self.stage_ms, min(held.values()))

    def log_times(self, source: str, arrival_ms: Ints) -> Ints:
        """When the records of a run came in the time of their log, which never goes back: what comes behind another came no earlier.

        >>> Progress(outcomes_log_ms=3).log_times("outcomes", np.array([2, 5, 4])).tolist()
        [3, 5, 5]
        """
        held = f"{source}_log_ms"
        times = np.maximum.accumulate(np.maximum(arrival_ms, getattr(self, held)))
        setattr(self, held, int(times[-1]) if len(times) else getattr(self, held))
        return times

    @classmethod
    def unpack(cls, value: bytes) -> "Progress":
        """Read what `pack` wrote.

        >>> progress = Progress()
        >>> progress.arrive("predictions", 7)
        >>> progress.arrive("outcomes", 5)
        >>> Progress.unpack(progress.pack()).stage_ms
        5
        """
        return cls(*cls._layout.unpack(value))
