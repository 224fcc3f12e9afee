"""How well scores did where the outcomes are known."""

import numpy as np
from scipy.stats import rankdata

from leadline.core.columnar.columns import Bools, Floats

_TINY = 1e-15
"""How near to 0 and 1 a score counts in the log loss, as in `leadline.core.windows.aggregates.sums`."""


def errors(scores: Floats, outcomes: Floats) -> dict[str, float]:
    """Metrics of a regression by the names of `leadline.records.WindowMetrics`. At least one row.

    >>> errors(np.array([1.0, 4.0]), np.array([2.0, 2.0]))["bias"]
    0.5
    """
    return _regression(scores - outcomes)


def quality(scores: Floats, said: Bools, positive: Bools, probabilities: bool = True) -> dict[str, float]:
    """Metrics of a binary model by the same names, from its scores, its labels and the truth; what is not defined is left out."""
    found = {**_labels(said, positive), "auc": _auc(scores, positive)}
    found |= _probabilities(scores, positive) if probabilities else {}
    return {name: float(value) for name, value in found.items() if value is not None}


def _regression(errors: Floats) -> dict[str, float]:
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "bias": float(errors.mean()),
    }


def _labels(said: Bools, positive: Bools) -> dict[str, float | None]:
    tp, fp, fn = (int((a & b).sum()) for a, b in ((said, positive), (said, ~positive), (~said, positive)))
    return {
        "accuracy": float((said == positive).mean()),
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _probabilities(scores: Floats, positive: Bools) -> dict[str, float | None]:
    safe = np.clip(scores, _TINY, 1 - _TINY)
    return {
        "logloss": -float(np.log(np.where(positive, safe, 1 - safe)).mean()),
        "brier": float(np.square(scores - positive).mean()),
    }


def _auc(scores: Floats, positive: Bools) -> float | None:
    """Share of (positive, negative) pairs in the right order, ties half; None where there is no pair.

    >>> _auc(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]))
    0.75
    """
    ones = int(positive.sum())
    pairs = ones * (len(positive) - ones)
    if not pairs:
        return None
    ranks: Floats = rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / pairs)
