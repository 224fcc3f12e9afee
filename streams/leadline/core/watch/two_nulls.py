"""Whether a window differs from its reference by more than chance: by two nulls, of which both have to be passed.

The first takes rows as independent: a chi-square test of two samples, and a size that has to be passed. Without drift, the population
stability index (PSI) is about ``chi2(cells - 1) * (1/n + 1/m)`` for n live and m reference values (Yurdakul and Naranjo 2020, Statistical
properties of the population stability index), so that a fixed limit is passed by chance in a small window: the limit rises to that law's
quantile. A share has to move by Cohen's h of 0.2. The other distances have no limit of size of their own.

The second takes the reference's own windows as they are: the distance has to be larger than that of a further own window. It needs at
least eight of them; with fewer, the first decides.

All questions of a window are looked at together: their p values are corrected for it, in each null by itself.
"""

from typing import NamedTuple, Self

import numpy as np
from scipy.special import chdtri

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.reference import ReferenceProfile
from leadline.core.statistics.chi_square import p_value, pool
from leadline.core.statistics.distances import COHEN_H, PSI
from leadline.core.statistics.own_windows import OwnWindows, own_windows
from leadline.core.statistics.several import benjamini_hochberg, bonferroni
from leadline.core.watch.questions import Question, questions
from leadline.settings import DriftLimits

SMALL_SHARE = 0.2
"""Cohen's h of a small effect: from 0 to 1 %, from 10 to 17 %, from 50 to 60 %."""


class TwoNulls(NamedTuple):
    """A question, and how far the reference's own windows are from the rest of it."""

    question: Question
    own: OwnWindows

    def compare(self, live: Ints, limits: DriftLimits, tests: int) -> "Comparison":
        """Compare the counts of the cells in a window; ``tests`` is how many questions are looked at together.

        Where either is empty, or all is in one cell, there is no evidence: distance 0, p 1.
        """
        reference, distance = self.question.reference, self.question.distance
        n, m = int(live.sum()), int(reference.sum())
        cells = pool(np.stack([live, reference])) if n and m else np.zeros((2, 0), np.int64)
        together = tests if limits.correction == "bonferroni" else 1
        if cells.shape[1] < 2:
            return Comparison(
                live, 0.0, self._threshold(live, limits, together, 0.0), 1.0, 1.0 if self.own.enough else None
            )
        size = float(distance.of(live, reference, self.own.n))
        noise = float(distance.by_chance(reference, n, m))
        own_p = self.own.p_value(size**distance.power, noise) if self.own.enough else None
        return Comparison(live, size, self._threshold(live, limits, together, noise), p_value(cells), own_p)

    def _threshold(self, live: Ints, limits: DriftLimits, together: int, noise: float) -> float:
        """The size that has to be passed; in the second null at the level of one of so many questions ``together``."""
        distance, least = self.question.distance, 0.0
        if distance is COHEN_H:
            least = SMALL_SHARE
        elif distance is PSI:
            least = max(limits.psi, self._by_chance(live, limits.p_value / together))
        if not self.own.enough or not noise:
            return least
        own = self.own.limit(limits.own_p_value / together, noise) ** (1 / distance.power)
        return max(least, float(own))

    def _by_chance(self, live: Ints, level: float) -> float:
        reference = self.question.reference
        n, m = int(live.sum()), int(reference.sum())
        freedom = int((live + reference > 0).sum()) - 1
        return float(chdtri(freedom, level)) * (1 / n + 1 / m) if n and m and freedom > 0 else 0.0


class Comparison(NamedTuple):
    """The distance of ``live``, what it has to pass, and its p value in each null: of this question alone."""

    live: Ints
    statistic: float
    threshold: float
    p_value: float
    own_p_value: float | None


class Verdict(NamedTuple):
    """The answer to a question, with p values that are corrected for all questions."""

    nulls: TwoNulls
    found: Comparison
    p_value: float
    own_p_value: float | None
    drifted: bool


class VersionNulls(NamedTuple):
    """All questions about the features of one version, the score last; ``made_of``: the reference and the method."""

    made_of: tuple[ReferenceProfile, str]
    all: list[TwoNulls]

    @classmethod
    def of(cls, profile: ReferenceProfile, method: str) -> Self:
        """Look at each own window of the reference, for each question."""
        order = sorted(range(len(profile.features)), key=lambda i: profile.features[i].kind == "score")
        made = [
            TwoNulls(
                question, own_windows(_own_counts(profile, i) @ question.cells, question.counted, question.distance)
            )
            for i in order
            for question in questions(profile.features[i], method)
        ]
        return cls((profile, method), made)

    def judge(self, counts: dict[str, Ints], limits: DriftLimits) -> list[Verdict]:
        """The verdict on each question, by the counts of each feature in the reference bins."""
        found = [
            each.compare(counts[each.question.feature.name] @ each.question.cells, limits, len(self.all))
            for each in self.all
        ]
        corrected = bonferroni if limits.correction == "bonferroni" else benjamini_hochberg
        p_values = corrected(np.array([each.p_value for each in found])).tolist()
        own = corrected(_known([each.own_p_value for each in found])).tolist()
        return [_verdict(*row, limits) for row in zip(self.all, found, p_values, own, strict=True)]


def _verdict(nulls: TwoNulls, found: Comparison, p: float, own_p: float, limits: DriftLimits) -> Verdict:
    passed = found.statistic > found.threshold and p < limits.p_value
    if found.own_p_value is None:
        return Verdict(nulls, found, p, None, passed)
    return Verdict(nulls, found, p, own_p, passed and own_p < limits.own_p_value)


def _known(p_values: list[float | None]) -> Floats:
    return np.array([1.0 if each is None else each for each in p_values])


def _own_counts(profile: ReferenceProfile, place: int) -> Ints:
    """The counts of one feature in each own window; none where any has other bins than the profile."""
    bins = len(profile.features[place].counts)
    rows = [
        window.counts[place]
        for window in sorted(profile.windows, key=lambda each: each.start)
        if len(window.counts) > place
    ]
    return np.array(rows if all(len(row) == bins for row in rows) else [], np.int64).reshape(-1, bins)
