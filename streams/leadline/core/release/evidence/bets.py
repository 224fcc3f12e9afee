"""Bets on the differences of pairs: what they have won is evidence, at any look.

A difference d is in [-1, 1]: 1 where the challenger alone was right. The bet ``1 + stake (d + margin) / (1 + margin)`` wins nothing in
the mean while d is ``-margin`` or less in the mean, whatever came before; so the product over pairs reaches 1 / alpha at any time at all
with a chance of alpha at most (Ville). It needs only how many pairs had which d. Waudby-Smith and Ramdas 2024
(doi 10.1093/jrsssb/qkad009), with constant stakes, mixed. All is in logarithms: rows are cells (a window at one sampling rate) or blocks,
columns are stakes.
"""

import numpy as np
from numpy.typing import NDArray

from leadline.core.statistics.e_detector import MOST

Floats = NDArray[np.float64]
STAKES = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9])
NOT_WORSE, WORSE = 1.0, -1.0
"""What is bet on: the mean of d is above ``-margin``, or below."""


def winnings(tallies: Floats, grid: Floats, weights: Floats, margin: float, side: float) -> Floats:
    """What the pairs of each cell win: ``tallies`` has a row a cell and a column a value of d (``grid``); ``weights`` scale the stakes.

    >>> won = winnings(np.array([[0.0, 8.0, 2.0]]), np.array([-1.0, 0.0, 1.0]), np.ones(1), 0.0, NOT_WORSE)
    >>> np.exp(won[0, [3, 7]]).round(2).tolist()
    [1.21, 3.61]
    """
    gains = side * (grid + margin) / (1 + margin)
    won = np.empty((len(tallies), len(STAKES)))
    for weight in np.unique(weights):
        rows = weights == weight
        won[rows] = tallies[rows] @ np.log1p(weight * STAKES * gains[:, None])
    return won


def product(won: Floats) -> float:
    """Evidence of all blocks together: the mean over the stakes of what each has won. The order of blocks does not matter."""
    return mixed(won.sum(axis=0))


def since_any(won: Floats) -> float:
    """Evidence of the blocks since the one that speaks most for it: what was good before does not hide what is bad now.

    A CUSUM, ``M = max(M, f) * L``, that begins again at block t with ``f = floors[t]`` in place of 1. All floors add up to 1, so M reaches
    1 / alpha at any time at all with a chance of alpha at most, however long the rollout is. (From a floor of 1 there is no such bound:
    chance alone reaches every limit in the end.)
    """
    if not len(won):
        return 0.0
    total = won.cumsum(axis=0)
    before = total - won
    best = (log_floors(len(won))[:, None] - before).max(axis=0)
    return mixed(total[-1] + best)


def log_floors(blocks: int) -> Floats:
    """Half for the first block: a challenger is bad from the start, most often; 1 / (2 t (t - 1)) for block t.

    >>> np.exp(log_floors(4)).round(4).tolist(), float(np.exp(log_floors(10_000)).sum().round(3))
    ([0.5, 0.25, 0.0833, 0.0417], 1.0)
    """
    t = np.arange(2, blocks + 1, dtype=np.float64)
    floors: Floats = -np.log(2 * np.concatenate([[1.0], t * (t - 1)])[:blocks])
    return floors


def mixed(won: Floats) -> float:
    """The mean over the stakes, held within what a number can be."""
    return float(np.clip(np.logaddexp.reduce(won) - np.log(len(STAKES)), -MOST, MOST))
