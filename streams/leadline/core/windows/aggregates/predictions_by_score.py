"""Predicted labels by score, of binary models: what performance is estimated from before any outcome is known."""

from typing import Self

import numpy as np

from leadline.core.windows.aggregates.by_score import SCORE_BINS, ByScore
from leadline.core.windows.aggregates.changes import Changes
from leadline.core.windows.aggregates.limits import beyond, first, negative, not_rising
from leadline.records import WindowPartial


class PredictionsByScore(ByScore):
    """All predictions by score bin, with or without an outcome: those predicted negative (kind 0), and those predicted positive.

    In the record, a bin of those predicted positive has 2,048 added. A bin seldom holds both, so this is a quarter shorter than two counts
    for each bin.
    """

    __slots__ = ()

    @classmethod
    def fold(cls, changes: Changes) -> list["PredictionsByScore"]:
        predicted = changes.predicted
        return cls.count(changes.size, predicted.window, predicted.score, predicted.label, predicted.sign)

    def fields(self) -> dict[str, list[int]]:
        label, at = self.counts.nonzero()
        bins = label * SCORE_BINS + self.used[at]
        return {"prediction_bins": bins.tolist(), "prediction_counts": self.counts[label, at].tolist()}

    @classmethod
    def of(cls, record: WindowPartial) -> Self:
        label, bins = np.divmod(np.array(record.prediction_bins, np.int64), SCORE_BINS)
        used, at = np.unique(bins, return_inverse=True)
        counts = np.zeros((2, len(used)), np.int64)
        counts[label, at] = record.prediction_counts
        return cls(used, counts)

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        bins = not_rising("prediction_bins", record.prediction_bins, 2 * SCORE_BINS)
        return first([bins, negative("prediction_counts", record.prediction_counts)])

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        if len(record.prediction_bins) != len(record.prediction_counts):
            return "prediction_bins and prediction_counts are not equally long"
        return beyond("prediction_counts", sum(record.prediction_counts), record.predictions)
