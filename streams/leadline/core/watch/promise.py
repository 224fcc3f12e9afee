"""How many outcomes are positive for what the scores say: in the reference, and how far its own windows lie apart in that.

Scores need not be probabilities that hold: many a model was trained on weighted classes, and a reference may lack labels of one class.
What counts as drift is another distance of the two than that of the reference.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from leadline.core.reference import ReferenceProfile
from leadline.core.statistics.overdispersion import FEWEST, spread
from leadline.settings import ModelSettings

DOUBT = 0.1
"""The chance that the distance of the reference lies outside of its bounds."""
_MANY = 1e9


class Promise(NamedTuple):
    """``offset``: the share of positives less the mean score, between ``low`` and ``high``; ``rho``: as in `overdispersion`."""

    offset: float
    low: float
    high: float
    rho: float

    @property
    def said(self) -> str:
        """What a person has to know of it."""
        than = "more" if self.offset > 0 else "fewer"
        return f" (in the reference {abs(self.offset):.6g} {than} are than it says)" if self.offset else ""


def promise(profile: ReferenceProfile | None, settings: ModelSettings, rho: float) -> Promise:
    """Of a reference; ``rho`` takes the place of its own where it has no two windows. Where it does not tell, scores are to hold."""
    calibration = profile and profile.calibration
    blocks = _blocks(calibration.windows if calibration else [], settings)
    if not len(blocks):
        return Promise(0.0, 0.0, 0.0, rho)
    rows, positives, scores = blocks.T
    total = float(rows.sum())
    offset, share = float((positives - scores).sum()) / total, float(positives.sum()) / total
    own = spread((rows * share + (positives - scores) - rows * offset).tolist(), rows.tolist())
    knows = own.windows >= FEWEST
    far = float(stdtrit(own.windows - 1 if knows else _MANY, 1 - DOUBT / 2))
    far *= math.sqrt(own.phi * share * (1 - share) / total)
    return Promise(offset, offset - far, offset + far, own.rho if knows else rho)


def _blocks(windows: list[list[float]], settings: ModelSettings) -> np.ndarray:
    """Rows, positives and scores of the reference's own windows, those of a cycle together; nothing where they cannot be."""
    size, sums = settings.alerts.cycle or settings.window, dict[float, list[float]]()
    for start, *row in windows:
        before = sums.setdefault(start // size, [0.0] * 3)
        sums[start // size] = [a + b for a, b in zip(before, row, strict=False)]
    found = np.array([row for row in sums.values() if row[0] > 0], float).reshape(-1, 3)
    possible = np.isfinite(found).all() and ((found >= 0) & (found <= found[:, :1])).all()
    return found if possible else found[:0]
