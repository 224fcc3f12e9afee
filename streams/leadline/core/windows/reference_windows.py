"""A reference cut by its own times: the windows of every feature, the segments, and the outcomes by score."""

from collections.abc import Mapping

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.models import Signature
from leadline.core.reference import Calibration, FeatureWindow, ReferenceProfile
from leadline.core.statistics.isotonic import isotonic
from leadline.core.windows.aggregates.by_score import SCORE_BINS, score_bin
from leadline.core.windows.keys import window_start
from leadline.core.windows.reference_bins import SCORE, ReferenceBins

MOST_WINDOWS = 400
"""The newest ones are kept: a year of days, a fortnight of hours."""
MOST_SEGMENTS = 200
"""The largest ones are kept."""
_CELL_BYTES = 8
"""Of a count, as it is written."""


def feature_windows(
    profile: ReferenceProfile, signature: Signature, matrix: Floats, scores: Floats, times: Ints, size: int, most: int
) -> list[FeatureWindow]:
    """The counts of every feature in the profile's bins, for each window of ``size`` ms; the newest that have ``most`` bytes."""
    columns: Mapping[str, Floats] = dict(zip(signature.names, matrix.T, strict=True)) | {SCORE: scores}
    bins = [ReferenceBins.of(each, signature.categories.get(each.name, ())) for each in profile.features]
    cells = sum(each.size for each in bins)
    starts, window = newest(times, size, min(MOST_WINDOWS, max(1, most // (_CELL_BYTES * cells))))
    kept = np.flatnonzero(window >= 0)
    counts = [
        _table(window[kept], of(columns[each.name][kept]), len(starts), of.size).tolist()
        for each, of in zip(profile.features, bins, strict=True)
    ]
    rows = np.bincount(window[kept], minlength=len(starts)).tolist()
    return [FeatureWindow(start, rows[i], [each[i] for each in counts]) for i, start in enumerate(starts.tolist())]


def newest(times: Ints, size: int, most: int) -> tuple[Ints, Ints]:
    """The starts of the newest ``most`` windows that have rows, and the window of each row; -1 where it is in none of them.

    >>> [each.tolist() for each in newest(np.array([7, 25, 29, 12]), 10, 2)]
    [[10, 20], [-1, 1, 1, 0]]
    """
    starts, window = np.unique(window_start(times, size), return_inverse=True)
    gone = max(0, len(starts) - most)
    return starts[gone:], np.maximum(window - gone, -1)


def _table(window: Ints, bins: Ints, windows: int, size: int) -> Ints:
    table: Ints = np.bincount(window * size + bins, minlength=windows * size).reshape(windows, size)
    return table


def segment_windows(times: Ints | None, size: int, sums: Floats) -> list[list[float]]:
    """Start, rows and sums of each of the newest windows; ``sums`` has a row of what is added up of each row of the reference.

    >>> segment_windows(np.array([7, 25, 29]), 10, np.array([[1.0, 0.0, 1.0]]))
    [[0, 1, 1.0], [20, 2, 1.0]]
    """
    if times is None:
        return []
    starts, window = newest(times, size, MOST_WINDOWS)
    kept = np.flatnonzero(window >= 0)
    rows = np.bincount(window[kept], minlength=len(starts))
    added = [np.bincount(window[kept], row[kept], len(starts)).tolist() for row in sums]
    return [list(each) for each in zip(starts.tolist(), rows.tolist(), *added, strict=True)]


def calibration_of(scores: Floats, sums: Floats | Bools) -> Calibration:
    """What is added up of each row, by score bin; ``scores`` lie in [0, 1]. One row of sums is that of positives.

    >>> calibration_of(np.array([0.5, 0.5, 1.0]), np.array([[True, False, True]]))
    Calibration(bins=[1024, 2047], rows=[2, 1], sums=[[1.0, 1.0]], windows=[], fitted=[0.5, 1.0])
    """
    bins = score_bin(scores)
    rows = np.bincount(bins, minlength=SCORE_BINS)
    used = np.flatnonzero(rows)
    added = [np.bincount(bins, row, SCORE_BINS)[used].tolist() for row in sums]
    fitted = (
        np.bincount(bins, _fitted(scores, sums[0]), SCORE_BINS)[used] / rows[used] if len(sums) == 1 else np.zeros(0)
    )
    return Calibration(used.tolist(), rows[used].tolist(), added, fitted=fitted.tolist())


def _fitted(scores: Floats, positive: Floats | Bools) -> Floats:
    """The share of positives at the score of each row, which never falls."""
    own, at = np.unique(scores, return_inverse=True)
    rows = np.bincount(at, minlength=len(own)).astype(np.float64)
    return isotonic(np.bincount(at, positive, len(own)) / rows, rows)[at]
