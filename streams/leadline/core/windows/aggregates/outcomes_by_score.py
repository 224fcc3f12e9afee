"""True labels by score, of binary models: what AUC and the spread of the losses are made of."""

from leadline.core.windows.aggregates.by_score import ByScore
from leadline.core.windows.aggregates.changes import Changes
from leadline.records import WindowPartial


class OutcomesByScore(ByScore):
    """Matched predictions by score bin: those whose outcome is negative, and those whose outcome is positive."""

    __slots__ = ()
    names = ("score_bins", "negatives", "positives")

    @classmethod
    def fold(cls, changes: Changes) -> list["OutcomesByScore"]:
        matched = changes.matched
        return cls.count(changes.size, matched.window, matched.score, matched.positive, matched.sign)

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        return cls.disagree(record, record.matched)
