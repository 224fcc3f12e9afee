"""What one look at the pairs of a rollout says."""

from typing import NamedTuple

from leadline.records import Check


class Look(NamedTuple):
    """The evidence over all windows that were due, and what it says.

    ``verdict``: promote, roll-back, hold, or no-labels. ``better``, ``same``, ``worse``: pairs in which the challenger was right alone,
    both or none, the champion alone; ``unlike``: those without a label that said another class. ``promote``, ``roll_back``: evidence, of
    which 1 / alpha is a verdict. ``segment``: the one that decided, or ``*``. ``reason``: one sentence with its numbers.
    """

    verdict: str
    segment: str
    pairs: int
    better: int
    same: int
    worse: int
    unlike: int
    promote: float
    roll_back: float
    checks: list[Check]
    reason: str
