"""What the pairs of one segment are evidence of, and of all segments together. All evidence is in logarithms."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from leadline.core.release.evidence.bets import NOT_WORSE, WORSE, product, since_any, winnings
from leadline.core.release.evidence.counted import ALL, Cells, Floats, Tallies
from leadline.core.release.evidence.spreads import divided
from leadline.core.release.evidence.terms import Terms


class Twice(NamedTuple):
    """Evidence of the counts as they were when due, which carry the proof, and as they are now."""

    frozen: float = 0.0
    restated: float = 0.0

    @property
    def both(self) -> float:
        """It takes both to act: later corrections may undo, and never do."""
        return min(self)


class Shown(NamedTuple):
    """What the pairs of a segment show. ``not_worse`` and ``worse`` hold whatever the labels would say that are missing;
    ``of_labelled`` is as ``not_worse``, of the pairs alone of which it is known.

    ``divided``: by how much the evidence was divided, as far as that is known from so many ``windows``; none: nothing is known, and there
    is no evidence.
    """

    of: Cells
    not_worse: Twice = Twice()
    worse: Twice = Twice()
    of_labelled: Twice = Twice()
    divided: float = 1.0
    windows: int = 0

    @property
    def unlike(self) -> int:
        return int(self.of.frozen.unlike.sum())

    @property
    def pairs(self) -> int:
        return round(float(self.of.pairs.sum()))


class Worse(NamedTuple):
    """The weighted mean over the segments, and the share of each in it."""

    total: Twice
    shares: Mapping[str, Twice]


def shown(of: Cells, terms: Terms) -> Shown:
    """What the pairs of a segment show by themselves."""
    by = divided(of, terms.reference)
    if by is None:
        return Shown(of)
    margin, allowed = terms.margin(of.segment), terms.allowed(of.segment)
    not_worse = _twice(of, lambda tallies: product(_won(of, tallies.lost, by.promotion, margin, NOT_WORSE)))
    all_known = not of.frozen.unlike.any() and not of.restated.unlike.any()
    return Shown(
        of,
        not_worse,
        _twice(of, lambda tallies: since_any(_won(of, tallies.won, by.rollback, allowed, WORSE))),
        not_worse
        if all_known
        else _twice(of, lambda tallies: product(_won(of, tallies.lower, by.promotion, margin, NOT_WORSE))),
        by.promotion,
        by.windows,
    )


def worse(segments: Sequence[Shown]) -> Worse:
    """Half of the weight is on all pairs, half on the segments, each alike; so all of them together keep to one alpha."""
    others = sum(each.of.segment != ALL for each in segments)
    half = np.log(0.5) if others else 0.0
    shares = {
        each.of.segment: Twice(
            *(log_m + half - (np.log(others) if each.of.segment != ALL else 0.0) for log_m in each.worse)
        )
        for each in segments
    }
    return Worse(Twice(*(float(np.logaddexp.reduce(logs)) for logs in zip(*shares.values(), strict=True))), shares)


def _twice(of: Cells, evidence: Callable[[Tallies], float]) -> Twice:
    frozen = evidence(of.frozen)
    return Twice(frozen, evidence(of.restated) if of.corrected else frozen)


def _won(of: Cells, tallies: Floats, by: float, margin: float, side: float) -> Floats:
    """What each block has won."""
    won = winnings(tallies, of.grid, of.weights, margin, side) / by
    blocks = np.zeros((of.blocks, won.shape[1]))
    np.add.at(blocks, of.block, won)
    return blocks
