"""What is asked of the values of a feature: are they distributed as in the reference, are more missing, are more of no known category.

Each question looks at the counts of some cells, each one or several of the reference bins.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from leadline.core.columnar.columns import Ints
from leadline.core.reference import FeatureProfile
from leadline.core.statistics.distances import BY_NAME, COHEN_H, JENSEN_SHANNON, Distance
from leadline.core.statistics.rare import Rare
from leadline.core.windows.reference_bins import MAX_CATEGORIES

RARE = 10
"""Categories that the reference has less often are looked at together with those that it never has."""


class Question(NamedTuple):
    """``cells``: the bins (rows) of each cell (column). ``reference``: how many of each cell it has, or lets expect."""

    feature: FeatureProfile
    finding: str
    cells: Ints
    reference: Ints
    distance: Distance

    @classmethod
    def of_bins(cls, feature: FeatureProfile, finding: str, cells: Ints, distance: Distance) -> "Question":
        """The question where the reference lets expect what it has."""
        return cls(feature, finding, cells, np.array(feature.counts, np.int64) @ cells, distance)

    @property
    def counted(self) -> Ints:
        """How many of each cell the reference has."""
        return np.array(self.feature.counts, np.int64) @ self.cells


def questions(feature: FeatureProfile, method: str) -> Iterator[Question]:
    """All questions about a feature, or the score (which is never missing)."""
    if feature.kind == "categorical":
        # Categories have no order: what needs one is not asked of them.
        yield _by_category(feature, JENSEN_SHANNON if BY_NAME[method].ordered else BY_NAME[method])
    else:
        cells = np.eye(len(feature.counts), dtype=np.int64)[:, :-1]
        yield Question.of_bins(feature, "distribution", cells, BY_NAME[method])
    if feature.kind != "score":
        yield Question.of_bins(feature, "missing", _last_of(len(feature.counts)), COHEN_H)
    if feature.kind == "categorical":
        yield _unseen(feature)


def _last_of(bins: int) -> Ints:
    """Two cells: all bins but the last, and the last."""
    last = np.arange(bins) == bins - 1
    return np.column_stack([~last, last]).astype(np.int64)


def _by_category(feature: FeatureProfile, distance: Distance) -> Question:
    """A cell for each category that the reference has often enough, and one for all others."""
    rare = _rare(feature, RARE)
    return Question(feature, "distribution", _cells(rare), rare.expected, distance)


def _unseen(feature: FeatureProfile) -> Question:
    rare = _rare(feature, 1)
    cells = _cells(rare)
    two = np.column_stack([cells[:, :-1].sum(axis=1), cells[:, -1]])
    expected = rare.worth * np.array([rare.expected[:-1].sum(), rare.expected[-1]])
    return Question(feature, "unseen", two, np.rint(expected).astype(np.int64), COHEN_H)


def _rare(feature: FeatureProfile, least: int) -> Rare:
    """Where a reference has too many categories, its profile has the most frequent ones: those of the rarest number count as rare, since
    some of that number are left out.
    """
    *known, unseen, _ = feature.counts
    counts = np.array(known, np.int64)
    cut = int(counts.min()) + 1 if unseen and len(known) >= MAX_CATEGORIES else 0
    return Rare.of(counts, unseen, max(least, cut))


def _cells(rare: Rare) -> Ints:
    """The cell of each bin: of a category that is not rare its own, then one of all others; missing values have none."""
    size, categories = len(rare.expected), len(rare.are)
    places = np.append(np.where(rare.are, size - 1, np.cumsum(~rare.are) - 1), size - 1)
    cells = np.zeros((categories + 2, size), np.int64)
    cells[np.arange(categories + 1), places] = 1
    return cells
