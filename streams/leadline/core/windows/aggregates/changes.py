"""What one run changes in its windows, as columns that the aggregates count."""

from typing import NamedTuple

from leadline.core.columnar.columns import Floats, Ints


class Predicted(NamedTuple):
    """Predictions that were made (``sign`` 1) or taken back (-1); ``window`` is the index of the window of each.

    ``label`` is the predicted label, 0 or 1; -1 for regression. ``mature``: as ``sign``, in the counts that the window has at its maturity;
    0 for what came after that.
    """

    window: Ints
    sign: Ints
    score: Floats
    label: Ints
    mature: Ints


class Expired(NamedTuple):
    """Predictions that went past their horizon without an outcome (``sign`` 1), or did not after all (-1)."""

    window: Ints
    sign: Ints


class Matched(NamedTuple):
    """Predictions that got (``sign`` 1) or lost (-1) an outcome.

    ``label`` (predicted) and ``positive`` (true) are 0 or 1 for binary models, -1 for regression. ``mature`` is as in `Predicted`: either
    that or ``sign`` may be 0. ``assumed``: 1 where the outcome is one that no record said.
    """

    window: Ints
    sign: Ints
    score: Floats
    label: Ints
    outcome: Floats
    positive: Ints
    mature: Ints
    assumed: Ints


class Changes(NamedTuple):
    """All that changes in ``size`` windows."""

    size: int
    predicted: Predicted
    expired: Expired
    matched: Matched
