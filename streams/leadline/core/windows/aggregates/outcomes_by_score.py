"""True labels by score, of binary models: what AUC and the spread of the losses are made of."""

from typing import Self

import numpy as np

from leadline.core.windows.aggregates.by_score import SCORE_BINS, ByScore
from leadline.core.windows.aggregates.changes import Changes
from leadline.core.windows.aggregates.limits import beyond, first, negative, not_rising
from leadline.records import WindowPartial


class OutcomesByScore(ByScore):
    """Matched predictions by score bin: those whose outcome is negative (kind 0), and those whose outcome is positive."""

    __slots__ = ()

    @classmethod
    def fold(cls, changes: Changes) -> list["OutcomesByScore"]:
        matched = changes.matched
        return cls.count(changes.size, matched.window, matched.score, matched.positive, matched.sign)

    def fields(self) -> dict[str, list[int]]:
        negatives, positives = self.counts.tolist()
        return {"score_bins": self.used.tolist(), "positives": positives, "negatives": negatives}

    @classmethod
    def of(cls, record: WindowPartial) -> Self:
        counts = np.array([record.negatives, record.positives], np.int64)
        return cls(np.array(record.score_bins, np.int64), counts)

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        bins = not_rising("score_bins", record.score_bins, SCORE_BINS)
        return first([bins, negative("positives and negatives", record.positives + record.negatives)])

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        if not len(record.score_bins) == len(record.positives) == len(record.negatives):
            return "score_bins, positives and negatives are not equally long"
        return beyond("positives and negatives", sum(record.positives) + sum(record.negatives), record.matched)
