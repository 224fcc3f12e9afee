"""How often what was rare in a sample comes in another one (Good 1953, The population frequencies of species)."""

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Rare(NamedTuple):
    """The categories that a sample has less than so many times.

    ``are``: which. ``expected``: the counts to expect: of each other category, then of these together and of what the sample lacks.
    ``worth``: what share of the sample's rows tells the last count as well as if the rare categories had been known beforehand.
    """

    are: NDArray[np.bool_]
    expected: Ints
    worth: float

    @classmethod
    def of(cls, counts: Ints, unseen: int, least: int) -> Self:
        """Rare are those with less than ``least``. The sample that counts them chose them, so another one has more of them.

        By Good and Turing ``least`` more for each category that was seen exactly so often; the others have too many. The variance of the
        estimate is that of Esty (1983, doi 10.1214/aos/1176346256), for any ``least``.

        >>> rare = Rare.of(np.array([500, 300, 10, 10, 10, 9, 1]), 0, 10)
        >>> rare.expected.tolist(), rare.worth
        ([491, 295, 10, 10, 10, 25], 1.0)
        """
        are = counts < least
        kept = counts[~are].astype(float)
        moved = min(least * _often(kept, least), float(kept.sum()))
        shrunk = kept * (1 - moved / max(float(kept.sum()), 1.0))
        together = int(counts[are].sum()) + unseen + moved
        more = least * (least + 1) * _often(kept, least + 1)
        expected: Ints = np.rint(np.append(shrunk, together)).astype(np.int64)
        return cls(are, expected, together / (together + more) if together else 1.0)


def _often(counts: NDArray[np.float64], times: int) -> float:
    """How many categories were seen so many times; an average over numbers that chance hardly tells apart."""
    width = max(1, math.isqrt(times) - 1)
    return int(((counts >= times) & (counts < times + width)).sum()) / width
