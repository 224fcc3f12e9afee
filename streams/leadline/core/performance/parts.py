"""The confusion and the outcomes by score of a window, known or expected: two of them add up."""

from typing import NamedTuple

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.performance.binary import f1
from leadline.core.statistics.intervals import auc_end, wilson
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric


class BinaryParts(NamedTuple):
    """Predictions as numbers that need not be whole: tp, fp, fn, tn (``cells``), and by score bin those that are positive and negative."""

    cells: Floats
    positives: Floats
    negatives: Floats

    @classmethod
    def expected(cls, counts: Floats, share: Floats) -> "BinaryParts":
        """From predictions by predicted class (0, 1) and score bin, and the share of positives in each bin."""
        (fn, tp), (tn, fp) = (counts * share).sum(axis=1), (counts * (1 - share)).sum(axis=1)
        total = counts.sum(axis=0)
        return cls(np.array([tp, fp, fn, tn]), total * share, total * (1 - share))

    def plus(self, other: "BinaryParts") -> "BinaryParts":
        """The sum; both have the same score bins."""
        return BinaryParts(*(mine + its for mine, its in zip(self, other, strict=True)))

    def measured(self, labelled: float) -> dict[str, Metric]:
        """The metrics that are defined, by name; their intervals are those of the value on ``labelled`` of the predictions, at random."""
        tp, fp, fn, tn = self.cells.tolist()
        n = tp + fp + fn + tn
        if n <= 0:
            return {}
        part = labelled / n
        found = {
            "accuracy": wilson(part * (tp + tn), part * n),
            "precision": wilson(part * tp, part * (tp + fp)),
            "recall": wilson(part * tp, part * (tp + fn)),
            "f1": f1(part * tp, part * fp, part * fn),
            "auc": _auc(self.positives, self.negatives, part),
        }
        return {name: metric for name, metric in found.items() if metric is not None}


def _auc(positives: Floats, negatives: Floats, part: float) -> Metric | None:
    """As `leadline.core.performance.binary.auc`, of numbers that need not be whole; None where there is one class."""
    p, n = float(positives.sum()), float(negatives.sum())
    if not p * n:
        return None
    value = float((positives * (np.cumsum(negatives) - negatives / 2)).sum()) / (p * n)
    value, ones, others = min(1.0, value), max(1.0, part * p), max(1.0, part * n)
    return Metric(value, 1 - auc_end(1 - value, ones, others), auc_end(value, ones, others))


def known(counts: WindowCounts) -> BinaryParts:
    """What the outcomes that are there say, in the bins of ``counts.scores``."""
    negatives, positives = _aligned(counts)
    return BinaryParts(np.array(counts.confusion, np.float64), positives, negatives)


def unlabelled(counts: WindowCounts) -> Floats:
    """Predictions without an outcome by predicted class (0, 1) and score bin, in the bins of ``counts.scores``.

    The outcomes by score do not say what was predicted. In nearly all bins all predictions are of one class; in the others, those with an
    outcome are split so that the confusion is right.
    """
    negative, positive = counts.scores.counts.astype(np.float64)
    labelled = np.minimum(_aligned(counts).sum(axis=0), negative + positive)
    mixed = labelled * positive / np.maximum(1.0, negative + positive) * (negative > 0)
    own = np.where(negative > 0, 0.0, labelled)
    wanted = counts.confusion[0] + counts.confusion[1] - own.sum()
    own += np.minimum(mixed * max(0.0, wanted) / max(1e-9, mixed.sum()), np.minimum(labelled, positive))
    rest: Floats = np.maximum(0.0, np.stack([negative - (labelled - own), positive - own]))
    return rest


def _aligned(counts: WindowCounts) -> Floats:
    """Negative and positive outcomes in the bins of ``counts.scores``."""
    used, outcomes = counts.scores.used, counts.outcomes
    at = np.searchsorted(used, outcomes.used)
    there = np.flatnonzero(used[np.minimum(at, len(used) - 1)] == outcomes.used)
    found = np.zeros((2, len(used)))
    found[:, at[there]] = outcomes.counts[:, there]
    return found
