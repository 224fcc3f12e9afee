"""Whether scores still tell how often an outcome is positive, in the large: positive outcomes against the mean score, as in the
reference, within the margin.

All of it is of the counts at maturity.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.core.watch.cusum import Evidence, Tally
from leadline.core.watch.incidents import Finding, Incidents, number
from leadline.core.watch.promise import Promise
from leadline.core.watch.waiting import Block
from leadline.core.watch.yardstick import UNIT
from leadline.records import Alert, MatureCounts, iso

Floats = NDArray[np.float64]
Sides = Callable[[float, float, float, float], tuple[Floats, Floats]]
"""Evidence of fewer, and of more, than a share of so many rows: of a count, the rows, the share and rho."""


@dataclass(slots=True)
class Calibration:
    """``under`` and ``over``: fewer, and more, positive outcomes than the scores say.

    They rest on labelled rows, the positive outcomes among them, and as many as the scores say.
    """

    under: Evidence = field(default_factory=Evidence)
    over: Evidence = field(default_factory=Evidence)

    @property
    def is_open(self) -> bool:
        return self.under.is_open or self.over.is_open

    def judge(
        self,
        block: Block,
        counts: MatureCounts,
        sides: Sides,
        own: Promise,
        margin: float,
        log_c: float,
        incidents: Incidents,
        at: int,
    ) -> list[Alert]:
        """Take in a block of a binary model; ``own``: what its reference says."""
        n, positive, expected = counts.matched, counts.tp + counts.fn, counts.score_sum * UNIT
        if not 0 < expected <= n or not 0 < positive <= n:
            return []
        mean, was_open, alerts = expected / n, self.is_open, list[Alert]()
        fewer = sides(positive, n, mean + own.low - margin, own.rho)
        both = (self.under, fewer), (self.over, sides(n - positive, n, 1 - mean - own.high - margin, own.rho))
        for side, evidence in both:
            change, rests_on = side.step(block.start, [n, positive, expected], evidence, log_c)
            found = _finding(block, rests_on, own)
            if change == "opened" and not was_open:
                alerts += incidents.open("calibration", found, at)
            elif change == "resolved" and not self.is_open:
                alerts += incidents.close("calibration", "resolved", found, at)
        return alerts

    def end(self, block: Block, cause: str, incidents: Incidents, at: int) -> list[Alert]:
        """What is open is told of elsewhere from now on."""
        self.under.clear()
        self.over.clear()
        found = Finding("calibration", block.start, block.end, cause, {"windows": iso(block.start)})
        return incidents.close("calibration", "resolved", found, at)

    def forget(self) -> None:
        """What was seen counts for nothing, but where it is open."""
        for side in (self.under, self.over):
            if not side.is_open:
                side.clear()


def _finding(block: Block, tally: Tally, own: Promise) -> Finding:
    n, positive, expected = tally.sums
    rate, mean, since = number(positive / n), number(expected / n), iso(tally.start)
    cause = f"{positive:.0f} of {n:.0f} labelled outcomes since {since} are positive ({rate}), the scores say {mean}{own.said}"
    evidence = {
        "mean_score": mean,
        "outcome_rate": rate,
        "reference_offset": number(own.offset),
        "matched": f"{n:.0f}",
        "since": since,
        "windows": iso(block.start),
    }
    return Finding("calibration", block.start, block.end, cause, evidence)
