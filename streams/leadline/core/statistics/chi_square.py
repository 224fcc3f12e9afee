"""Whether two samples of counts are of one distribution, if their rows are independent."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, chdtrc

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MIN_EXPECTED = 2.0
"""Cells that expect fewer values of the smaller sample than this are counted together: too few for the chi-square law."""


def pool(cells: Ints) -> Ints:
    """Join the columns in which the smaller sample (row) expects too few into one, the last; empty columns vanish.

    >>> pool(np.array([[9, 1, 0, 0, 10], [80, 3, 3, 0, 90]])).tolist()
    [[9, 10, 1], [80, 90, 6]]
    """
    small = _expected(cells) < MIN_EXPECTED
    pooled = np.column_stack([cells[:, ~small], cells[:, small].sum(axis=1)])
    return pooled[:, pooled.any(axis=0)]


def p_value(cells: Ints) -> float:
    """Chance that two samples (rows) of one distribution differ as much as these, or more; columns as `pool` left them.

    Without two columns there is no evidence: 1. The chi-square law holds for columns that expect enough. A last one that expects too
    few joins the smallest of the others, and is tested by itself too, by the exact binomial law of its counts; the answer is twice the
    lesser p.
    """
    if cells.shape[1] < 2:
        return 1.0
    if _expected(cells)[-1] >= MIN_EXPECTED:
        return _chi_square(cells)
    smallest = int(np.argmin(cells[:, :-1].sum(axis=0)))
    others = cells[:, :-1].copy()
    others[:, smallest] += cells[:, -1]
    return min(1.0, 2 * min(_chi_square(others), _binomial(cells)))


def _expected(cells: Ints) -> Floats:
    expected: Floats = cells.sum(axis=0) * (cells.sum(axis=1).min() / cells.sum())
    return expected


def _chi_square(cells: Ints) -> float:
    n, m = cells.sum(axis=1)
    difference = cells[0] * np.sqrt(m / n) - cells[1] * np.sqrt(n / m)
    freedom = cells.shape[1] - 1
    return float(chdtrc(freedom, (difference**2 / cells.sum(axis=0)).sum())) if freedom else 1.0


def _binomial(cells: Ints) -> float:
    """Both tails of the last column's live count, given its total."""
    live, total = int(cells[0, -1]), int(cells[:, -1].sum())
    share = float(cells[0].sum() / cells.sum())
    more = float(bdtrc(live - 1, total, share)) if live else 1.0
    return min(1.0, 2 * min(more, float(bdtr(live, total, share))))
