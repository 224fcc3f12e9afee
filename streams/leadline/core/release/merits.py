"""Metrics of a version on held-out rows, and what each row adds to the difference of two versions.

All tests work on sums over the rows of a day, so every metric is made such a sum. For accuracy, log loss, Brier and mae it is one. The
difference of two rmse is the difference of the squared errors over the sum of both rmse: a sum as well, but for a positive factor. Of an
AUC a row's part is its share of right pairs (DeLong, DeLong and Clarke-Pearson 1988, doi 10.2307/2531595): right to first order.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.stats import rankdata

from leadline.core.columnar.columns import Bools, Floats
from leadline.core.release.held_out import Answers

_TINY = 1e-15
"""How near to 0 and 1 a score counts in the log loss, as in `leadline.core.windows.aggregates.sums`."""
HIGHER_IS_BETTER = frozenset({"accuracy", "auc"})
OF_VALUES = frozenset({"mae", "rmse"})
"""Metrics of a regression; the others are of yes and no."""
OF_PROBABILITIES = frozenset({"log_loss", "brier"})


def _accuracy(answers: Answers, truth: Floats) -> Floats:
    assert answers.labels is not None  # they are those of a model that says yes or no
    return np.equal(answers.labels, truth).astype(np.float64)


def _log_loss(answers: Answers, truth: Floats) -> Floats:
    safe = np.clip(answers.scores, _TINY, 1 - _TINY)
    found: Floats = np.log(np.where(truth > 0, safe, 1 - safe))
    return found


def _squares(answers: Answers, truth: Floats) -> Floats:
    return -np.square(answers.scores - truth)


def _distances(answers: Answers, truth: Floats) -> Floats:
    return -np.abs(answers.scores - truth)


_ROWS: Mapping[str, Callable[[Answers, Floats], Floats]] = {
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "brier": _squares,
    "mae": _distances,
    "rmse": _squares,
}
"""What a row adds to the merit of a version: more is better."""


def measured(metric: str, answers: Answers, truth: Floats) -> float | None:
    """A metric of a version; None where it is not defined.

    >>> measured("auc", Answers(np.array([0.1, 0.9, 0.9]), None), np.array([0.0, 1.0, 0.0]))
    0.75
    """
    if not len(truth):
        return None
    if metric == "auc":
        shares = _right_pairs(answers.scores, truth > 0)
        return None if shares is None else float(shares[truth > 0].mean())
    mean = float(_ROWS[metric](answers, truth).mean())
    if metric in HIGHER_IS_BETTER:
        return mean
    return (-mean) ** 0.5 if metric == "rmse" else -mean


def gains(metric: str, champion: Answers, challenger: Answers, truth: Floats) -> Floats | None:
    """What each row adds to the lead of the challenger, whose mean is that lead; None where the metric is not defined.

    >>> truth = np.array([1.0, 0.0, 1.0])
    >>> gains("rmse", Answers(truth + 2, None), Answers(truth + 1, None), truth).tolist()
    [1.0, 1.0, 1.0]
    """
    if not len(truth):
        return None
    if metric == "auc":
        return _auc_gains(champion.scores, challenger.scores, truth > 0)
    found = _ROWS[metric](challenger, truth) - _ROWS[metric](champion, truth)
    if metric == "rmse":
        both = sum(measured(metric, each, truth) or 0.0 for each in (champion, challenger))
        found = found / (both or 1.0)
    return found


def over_chance(scores: Floats, positive: Bools) -> Floats | None:
    """What each row adds to how far the AUC is above one half, which is their mean; None where it is not defined.

    >>> over_chance(np.array([0.1, 0.9]), np.array([True, False])).tolist()
    [-0.5, -0.5]
    """
    shares = _right_pairs(scores, positive)
    return None if shares is None else _spread(shares - 0.5, positive)


def _auc_gains(champion: Floats, challenger: Floats, positive: Bools) -> Floats | None:
    before, after = _right_pairs(champion, positive), _right_pairs(challenger, positive)
    return None if before is None or after is None else _spread(after - before, positive)


def _spread(gained: Floats, positive: Bools) -> Floats:
    """The parts of rows, weighted so that their mean is what the AUC gains, and their spread that of it."""
    lead = float(gained[positive].mean())
    found: Floats = lead + (gained - lead) * len(positive) / np.where(positive, positive.sum(), (~positive).sum())
    return found


def _right_pairs(scores: Floats, positive: Bools) -> Floats | None:
    """For each row the share of the rows of the other kind that are on the right side of it, ties half; None where there are none."""
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return None
    ranks = rankdata(scores)
    below = np.empty(len(scores))
    below[positive] = (ranks[positive] - rankdata(scores[positive])) / zeros
    below[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / ones
    return below
