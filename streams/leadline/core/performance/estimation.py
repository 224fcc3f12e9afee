"""Performance without outcomes, and with those that are there: the estimate and the nowcast of a window.

The estimate is confidence-based (CBPE): in each score bin, as many of the predictions are expected to be positive as in the reference.
So tp = sum n+ c, fp = sum n+ (1 - c), fn = sum n- c, and the AUC is that of n c positives and n (1 - c) negatives; no outcome is asked for.
Of a regression, the mean errors by score bin take the place of c. The nowcast takes what is known, and the expectation for the rest. Both
lie where the relation of score and outcome is no longer that of the reference, so neither stands alone.
"""

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.performance.errors_by_score import ErrorParts
from leadline.core.performance.expectation import Expectation
from leadline.core.performance.parts import BinaryParts, known, unlabelled
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric


def estimated(counts: WindowCounts, expectation: Expectation) -> dict[str, Metric]:
    """The expected metrics of all predictions of a window, by name; empty where its scores are not all counted.

    An interval is that of the value on as many predictions as have an outcome, or may still get one.
    """
    if not _is_counted(counts):
        return {}
    predictions, found = counts.scores.counts.astype(np.float64), expectation(counts.scores.used)
    if len(found) == 1:
        return BinaryParts.expected(predictions, found[0]).measured(labelled_in_the_end(counts))
    return ErrorParts.expected(predictions.sum(axis=0), found).measured(labelled_in_the_end(counts))


def nowcast(counts: WindowCounts, expectation: Expectation) -> dict[str, Metric]:
    """The same where outcomes that are there stand for themselves. Only what is not known makes the interval."""
    if not _is_counted(counts):
        return {}
    expected, in_the_end = expectation(counts.scores.used), labelled_in_the_end(counts)
    if len(expected) == 1:
        rest = unlabelled(counts)
        found = known(counts).plus(BinaryParts.expected(rest, expected[0])).measured(in_the_end)
    else:
        rest = _unlabelled_by_score(counts)
        found = ErrorParts.known(counts).plus(ErrorParts.expected(rest, expected)).measured(in_the_end)
    share = (float(rest.sum()) + 1) / (counts.tallies[0] + 1)
    return {name: narrowed(metric, share) for name, metric in found.items()}


def labelled_in_the_end(counts: WindowCounts) -> int:
    """How many predictions have an outcome, or may still get one; two at least, for there is no interval of less."""
    predictions, _, expired = counts.tallies[:3]
    return max(2, predictions - expired)


def narrowed(metric: Metric, share: float) -> Metric:
    """A metric whose interval is the part of it that is left where only a share of what it is made of is not known.

    >>> narrowed(Metric(0.5, 0.4, 0.7), 0.25)
    Metric(value=0.5, low=0.45, high=0.6)
    """
    half = min(1.0, share) ** 0.5
    low, high = (
        None if side is None else metric.value + half * (side - metric.value) for side in (metric.low, metric.high)
    )
    return Metric(metric.value, low, high)


def _is_counted(counts: WindowCounts) -> bool:
    return bool(len(counts.scores.used)) and int(counts.scores.counts.sum()) == counts.tallies[0]


def _unlabelled_by_score(counts: WindowCounts) -> Floats:
    """Of a regression outcomes are not counted by score: those that are missing are taken to be spread as all predictions are."""
    predictions, matched, *_ = counts.tallies
    rest: Floats = counts.scores.counts.sum(axis=0) * (1 - matched / predictions)
    return rest
