"""How far a task has come."""

import struct
from dataclasses import astuple, dataclass

import numpy as np

from leadline.core.columnar.columns import Ints

NEVER = -(2**63)
"""Before all times."""
SHADOW_WAIT_MS = 3_600_000
_NAMES = {"predictions": "predictions", "outcomes": "outcomes", "shadow-predictions": "shadow"}


@dataclass(slots=True)
class Progress:
    """How far a task is: runs applied, stage time, and the highest arrival time of each source; the latter also of its records alone,
    whatever a clock said.

    Stage time is of predictions and outcomes alone: shadows that lag or stop hold nothing up but the windows of pairs, and those for
    `SHADOW_WAIT_MS` at most.
    """

    sequence: int = 0
    stage_ms: int = NEVER
    predictions_ms: int = NEVER
    outcomes_ms: int = NEVER
    predictions_log_ms: int = NEVER
    outcomes_log_ms: int = NEVER
    shadow_ms: int = NEVER
    shadow_log_ms: int = NEVER

    _layout = struct.Struct("<8q")

    @property
    def pairs_ms(self) -> int:
        """The time of the windows of pairs: stage time, and that of shadows, where it is not too far behind."""
        return min(self.stage_ms, max(self.shadow_ms, self.stage_ms - SHADOW_WAIT_MS))

    def pack(self) -> bytes:
        """The progress as bytes; `unpack` reads them."""
        return self._layout.pack(*astuple(self))

    def arrive(self, source: str, arrival_ms: int) -> None:
        """A record of ``source`` (or the clock, where it is idle) has come to ``arrival_ms``; stage time is that of the slower one of
        predictions and outcomes.
        """
        name = f"{_NAMES[source]}_ms"
        setattr(self, name, max(getattr(self, name), arrival_ms))
        self.stage_ms = max(self.stage_ms, min(self.predictions_ms, self.outcomes_ms))

    def log_times(self, source: str, arrival_ms: Ints) -> Ints:
        """When the records of a run came in the time of their log, which never goes back: what comes behind another came no earlier.

        >>> Progress(outcomes_log_ms=3).log_times("outcomes", np.array([2, 5, 4])).tolist()
        [3, 5, 5]
        """
        held = f"{_NAMES[source]}_log_ms"
        times = np.maximum.accumulate(np.maximum(arrival_ms, getattr(self, held)))
        setattr(self, held, int(times[-1]) if len(times) else getattr(self, held))
        return times

    @classmethod
    def unpack(cls, value: bytes) -> "Progress":
        """Read what `pack` wrote, here or before there were shadows.

        >>> progress = Progress()
        >>> progress.arrive("predictions", 7)
        >>> progress.arrive("outcomes", 5)
        >>> Progress.unpack(progress.pack()).stage_ms
        5
        """
        known = struct.unpack(f"<{len(value) // 8}q", value)
        return cls(*known)
