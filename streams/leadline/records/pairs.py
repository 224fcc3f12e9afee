"""What is counted of requests that two versions scored."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Requests that two versions scored, by what came of them.

    With a label: ``both`` were right, ``first`` alone, ``second`` alone, ``neither``. Without one: they said the same class (``alike``) or
    another (``unlike``). Of regression all with a label are ``both``; ``lower`` and ``upper`` are tallies of its loss differences, first
    less second, on the grid of `leadline.core.windows.loss_grid`: in units of 2^-20, split over the neighbours and rounded down and up.
    ``first_score_sum``, ``second_score_sum``: of all pairs.
    """

    both: int
    first: int
    second: int
    neither: int
    alike: int
    unlike: int
    first_score_sum: int
    second_score_sum: int
    lower: list[int] = field(default_factory=list)
    upper: list[int] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """All of them."""
        return self.both + self.first + self.second + self.neither + self.alike + self.unlike


@dataclass(frozen=True, slots=True)
class PairPartial:
    """One partition's absolute counts of the pairs of two versions, in one segment and window.

    ``first`` stands before ``second`` in the order of their names. ``sample``: of which share of the requests there are pairs; pairs of
    different shares are counted apart. ``mature``: what the log held when the window became mature; None before.
    """

    model: str
    first: str
    second: str
    segment: str
    window_start: int
    window_end: int
    source_partition: int
    sample: float
    revision: int
    as_of: int
    state: str
    task: str
    counts: PairCounts
    mature: PairCounts | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pairs of a champion (``first`` in the counts) and its challenger in one segment and window, summed over all partitions."""

    model: str
    rollout_id: str
    champion: str
    challenger: str
    segment: str
    window_start: int
    window_end: int
    sample: float
    revision: int
    as_of: int
    task: str
    counts: PairCounts
    mature: PairCounts | None = None
