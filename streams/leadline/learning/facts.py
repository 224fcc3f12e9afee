"""All that is known of a reference whose rows are scored and labelled: its profile, own windows, segments and calibration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.models import Signature
from leadline.core.reference import Calibration, ReferenceProfile, SegmentReference
from leadline.core.texts import Texts
from leadline.core.windows.aggregates.by_score import SCORE_BINS, between
from leadline.core.windows.reference_bins import build_profile, quantile_edges
from leadline.core.windows.reference_windows import (
    MOST_SEGMENTS,
    calibration_of,
    feature_windows,
    segment_windows,
)
from leadline.learning.limits import OWN_WINDOWS
from leadline.learning.quality import errors, quality
from leadline.settings import ModelSettings
from leadline.wire.limits import SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Rows of a reference: ``scores``, ``outcomes`` (1 for the positive class, 0 for the other one; of a regression the value itself),
    ``labels`` (whether the model said yes; nothing of a regression), event ``times`` where they are known, and the text of each category
    by which there are ``segments``; of a category without a name the text is the segment.
    """

    scores: Floats
    outcomes: Floats
    labels: Bools
    times: Ints | None = None
    segments: Mapping[str, Texts] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    def metrics(self, settings: ModelSettings, rows: Ints | slice = slice(None)) -> dict[str, float]:
        """Metrics of some rows by the names of `leadline.records.WindowMetrics`."""
        scores, outcomes = self.scores[rows], self.outcomes[rows]
        if settings.task == "regression":
            return errors(scores, outcomes)
        return quality(scores, self.labels[rows], outcomes == 1, settings.score == "probability")

    def sums(self, settings: ModelSettings) -> Floats:
        """What is added up of each row: whether it was right, or its absolute and squared error."""
        if settings.task == "regression":
            error = self.scores - self.outcomes
            return np.stack([np.abs(error), error * error])
        right: Floats = (self.labels == (self.outcomes == 1))[None].astype(np.float64)
        return right


def reference_profile(
    settings: ModelSettings, signature: Signature, matrix: Floats, rows: ScoredRows
) -> ReferenceProfile:
    """The profile of a reference; without times it has no own windows. Raises as `leadline.core.windows.reference_bins.build_profile`."""
    profile = build_profile(signature, matrix, rows.scores, rows.metrics(settings))
    edges = [] if settings.counted_as == "binary" else quantile_edges(rows.scores, SCORE_BINS - 1).tolist()
    calibration = _calibration(settings, np.array(edges), rows)
    profile = replace(profile, score_edges=edges, segments=list(_segments(settings, rows)), calibration=calibration)
    if rows.times is None:
        return profile
    size = settings.window
    windows = feature_windows(profile, signature, matrix, rows.scores, rows.times, size, OWN_WINDOWS)
    return replace(profile, window=size, windows=windows)


def _calibration(settings: ModelSettings, edges: Floats, rows: ScoredRows) -> Calibration:
    """By the bins in which the join counts the scores."""
    if settings.counted_as == "binary":
        positive = rows.outcomes == 1
        times = np.zeros(len(rows), np.int64) if rows.times is None else rows.times
        windows = segment_windows(times, settings.window, np.stack([positive, rows.scores]))
        return replace(calibration_of(rows.scores, positive[None]), windows=windows)
    sums = rows.sums(settings) if settings.task == "regression" else (rows.outcomes == 1)[None]
    return calibration_of(between(edges, rows.scores), sums)


def _segments(settings: ModelSettings, rows: ScoredRows) -> Iterator[SegmentReference]:
    """All rows, then each of the largest segments, the larger first."""
    sums = rows.sums(settings)
    for name, some in [("*", np.arange(len(rows))), *_largest(rows.segments)]:
        times = None if rows.times is None else rows.times[some]
        windows = segment_windows(times, settings.window, sums[:, some])
        yield SegmentReference(name, len(some), rows.metrics(settings, some), windows)


def _largest(segments: Mapping[str, Texts]) -> list[tuple[str, Ints]]:
    """The largest segments, named as the join names them, and their rows; those that no prediction may have are left out."""
    sizes = [
        (-int(count), name, code)
        for name, texts in segments.items()
        for code, count in enumerate(np.bincount(texts.codes + 1, minlength=len(texts.texts) + 1).tolist(), -1)
        if count and len(_named(name, texts, code).encode()) <= SEGMENT_BYTES
    ]
    largest = sorted(sizes)[:MOST_SEGMENTS]
    return [
        (_named(name, segments[name], code), np.flatnonzero(segments[name].codes == code)) for _, name, code in largest
    ]


def _named(name: str, texts: Texts, code: int) -> str:
    text = texts.texts[code] if code >= 0 else ""
    return f"{name}={text}" if name else text
