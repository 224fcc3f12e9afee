"""The reference of a version in bins, and the bin of each live value: counts in the same bins compare and merge.

Numeric features and the score go into bins of about equal share, bounded by values of the reference; a feature that never changed
gets a bin of its own for that value, with one below and one above, so that a change shows. A category that is rare in the reference
counts as never seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Signature
from leadline.core.reference import FeatureProfile, ReferenceProfile

QUANTILE_BINS = 10
MAX_CATEGORIES = 50
SCORE = "score"
"""Name of the score among the features of a profile; it is the last one."""


@dataclass(frozen=True, slots=True)
class ReferenceBins:
    """The reference bins of one feature: ``size`` of them; see `leadline.core.reference.FeatureProfile` for their order.

    ``lookup`` is for categories: bin of each index of the signature, then of an index that it lacks.
    """

    size: int
    edges: Floats
    lookup: Ints | None

    @classmethod
    def of(cls, profile: FeatureProfile, categories: Sequence[str] = ()) -> "ReferenceBins":
        """The bins of a profile; ``categories`` are those of the signature, to which a value is the index."""
        edges = np.array(profile.edges, np.float64)
        if profile.kind != "categorical":
            return cls(len(edges) + 2, edges, None)
        index = {name: i for i, name in enumerate(profile.categories)}
        unseen = len(index)
        lookup = np.array([*(index.get(name, unseen) for name in categories), unseen], np.int64)
        return cls(unseen + 2, edges, lookup)

    def __call__(self, values: Floats) -> Ints:
        """Bin of each value; NaN is missing and has the last bin.

        >>> ReferenceBins(4, np.array([1.0, 2.0]), None)(np.array([0.5, 1.0, 9.0, np.nan])).tolist()
        [0, 1, 2, 3]
        >>> colours = FeatureProfile("colour", "categorical", [5, 4, 0, 0], [], ["red", "green"])
        >>> ReferenceBins.of(colours, ["green", "red", "rare"])(np.array([0, 1, 2, -1, np.nan])).tolist()
        [1, 0, 2, 2, 3]
        """
        if self.lookup is None:
            found = np.searchsorted(self.edges, values, side="right")
        else:
            last = len(self.lookup) - 1
            known = (values >= 0) & (values < last)
            found = self.lookup[np.where(known, values, last).astype(np.int64)]
        bins: Ints = np.where(np.isnan(values), self.size - 1, found)
        return bins


def build_profile(
    signature: Signature, matrix: Floats, scores: Floats, metrics: Mapping[str, float] | None = None
) -> ReferenceProfile:
    """The profile of reference predictions.

    ``matrix``: rows x features in the order of ``signature.names``, NaN is missing, a category is its index in the signature (as in
    `leadline.records.Prediction.features`). ``scores``: one a row. ``metrics``: name (as in `leadline.records.WindowMetrics`) to value
    on the reference. Raises ValueError where shapes differ, a score is not finite, or a feature has the name of the score.

    >>> signature = Signature("s1", ["age"], ["colour"], {"colour": ["green", "red"]})
    >>> matrix = np.array([[30.0, 0.0], [40.0, 1.0], [np.nan, 1.0]])
    >>> profile = build_profile(signature, matrix, np.array([0.1, 0.2, 0.9]), {"accuracy": 0.9})
    >>> [(feature.name, feature.edges or feature.categories, feature.counts) for feature in profile.features[:2]]
    [('age', [40.0], [1, 1, 1]), ('colour', ['green', 'red'], [1, 2, 0, 0])]
    """
    _check(signature, matrix, scores)
    columns = dict(zip(signature.names, matrix.T, strict=True))
    features = [_numeric(name, "numeric", columns[name]) for name in signature.numeric]
    features += [_categorical(name, columns[name], signature.categories[name]) for name in signature.categorical]
    features.append(_numeric(SCORE, "score", scores))
    return ReferenceProfile(len(scores), features, dict(metrics or {}))


def _check(signature: Signature, matrix: Floats, scores: Floats) -> None:
    shape = (len(scores), len(signature.names))
    if matrix.shape != shape:
        raise ValueError(f"the matrix is {matrix.shape}, the scores and the signature say {shape}")
    if not np.isfinite(scores).all():
        raise ValueError("a score of the reference is not finite")
    if SCORE in signature.names:
        raise ValueError(f"a feature may not be named {SCORE!r}: that is the prediction itself; rename it")


def _numeric(name: str, kind: str, values: Floats) -> FeatureProfile:
    edges = quantile_edges(values[~np.isnan(values)])
    bins = ReferenceBins(len(edges) + 2, edges, None)
    return FeatureProfile(name, kind, count(bins, values), edges.tolist(), [])


def quantile_edges(values: Floats, bins: int = QUANTILE_BINS) -> Floats:
    """Rising inner edges of about equally full bins; values without NaN. Ties share a bin, so there may be fewer than asked for.

    >>> quantile_edges(np.array([0.0, 0.0, 0.0, 1.0])).tolist(), quantile_edges(np.arange(4.0)).tolist()
    ([1.0], [1.0, 2.0, 3.0])
    >>> low, high = quantile_edges(np.array([5.0, 5.0])).tolist()
    >>> low, high > 5
    (5.0, True)
    """
    if not len(values):
        return np.zeros(0)
    shares = np.arange(1, bins) / bins
    found = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    least, most = values.min(), values.max()
    if least == most:
        found = np.array([least, np.nextafter(least, np.inf)])
    elif found[-1] == least:
        found = np.array([np.nextafter(least, np.inf)])
    else:
        found = found[found > least]
    edges: Floats = found[np.isfinite(found)]
    return edges


def _categorical(name: str, values: Floats, categories: Sequence[str]) -> FeatureProfile:
    seen = np.bincount(values[values >= 0].astype(np.int64), minlength=len(categories))
    common = np.sort(np.argsort(-seen, kind="stable")[:MAX_CATEGORIES])
    profile = FeatureProfile(name, "categorical", [], [], [categories[i] for i in common.tolist() if seen[i]])
    counts = count(ReferenceBins.of(profile, categories), values)
    return FeatureProfile(name, "categorical", counts, [], profile.categories)


def count(bins: ReferenceBins, values: Floats) -> list[int]:
    """How many values are in each bin."""
    counts: list[int] = np.bincount(bins(values), minlength=bins.size).tolist()
    return counts
