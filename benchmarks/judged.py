"""What a judge says of a rollout at the end of a day."""

from typing import NamedTuple


class Judged(NamedTuple):
    """``verdict``: promote or roll-back ends the rollout. ``pairs``: those that were due."""

    verdict: str
    pairs: int
