"""p values of several tests that are looked at together."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bonferroni(p_values: Floats) -> Floats:
    """Corrected so that a limit bounds the chance that any test of no change is below it.

    >>> bonferroni(np.array([0.01, 0.4, 0.9])).tolist()
    [0.03, 1.0, 1.0]
    """
    corrected: Floats = np.minimum(p_values * len(p_values), 1.0)
    return corrected


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Corrected so that a limit bounds the expected share of tests of no change among those that are below it.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    falling = np.argsort(-p_values)
    ranks = np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[falling] = np.minimum(np.minimum.accumulate(p_values[falling] * len(p_values) / ranks), 1.0)
    return corrected
