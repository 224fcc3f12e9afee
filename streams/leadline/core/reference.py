"""What is known of the data that a version was trained on: the yardstick of everything that is watched.

It is made when the version is added and never changes. Times are epoch milliseconds. What needs event times, or outcomes, is empty
where the reference had none.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """How one feature (or the score) was distributed in the reference.

    ``kind`` numeric or score: ``edges`` are rising inner bin edges, bin i holds edges[i-1] <= x < edges[i]; one more bin at the end
    counts missing. ``kind`` categorical: one bin a category of ``categories``, then never-seen, then missing.
    """

    name: str
    kind: str
    counts: list[int]
    edges: list[float]
    categories: list[str]


@dataclass(frozen=True, slots=True)
class FeatureWindow:
    """One of the reference's own windows: ``counts`` has the bins of each feature, in the order of the profile's features."""

    start: int
    predictions: int
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """How well the version did on one segment of the reference (``*``: on all of it).

    ``metrics``: name (as in `leadline.records.WindowMetrics`) to value. ``windows``: for each of the reference's own windows in which
    the segment has rows, in order: its start, its rows, and how many of them were answered right (binary) or the sums of the absolute
    and of the squared errors (regression).
    """

    segment: str
    predictions: int
    metrics: dict[str, float]
    windows: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Outcomes of the reference by score bin, of the bins that hold any, rising.

    ``bins`` are those in which the join counts scores: of `leadline.core.windows.aggregates.by_score`, by ``score_edges`` where scores are
    no probabilities. ``sums`` has a row of positives; of a regression a row of absolute errors, and one of squared errors.
    ``windows``, of probabilities: for each of the reference's own windows (one of all where it has no event times) its start, its rows, how
    many of them were positive, and the sum of the scores. ``fitted``: the share of positives in each bin, by a curve that never falls and
    is fitted to the scores as they were; the bins alone lose where its steps are. Empty for a regression.
    """

    bins: list[int]
    rows: list[int]
    sums: list[list[float]]
    windows: list[list[float]] = field(default_factory=list)
    fitted: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """The data that a version was trained on, in bins, and how well it did there (metric name -> value).

    ``score_edges``: rising values of the score, up to 2,046, between which lie about equally many; empty for probabilities, whose bins
    are fixed. ``classes``: the outcomes that there are, as numbers on the wire; empty where any is one, or nobody knows. ``class_names``:
    what the model calls each, where it has words for them. ``window``: the length of the reference's own windows, 0 where it has no event
    times. ``segments``: all of it (``*``) first.
    """

    predictions: int
    features: list[FeatureProfile]
    metrics: dict[str, float]
    classes: list[float] = field(default_factory=list)
    window: int = 0
    windows: list[FeatureWindow] = field(default_factory=list)
    segments: list[SegmentReference] = field(default_factory=list)
    calibration: Calibration | None = None
    class_names: list[str] = field(default_factory=list)
    score_edges: list[float] = field(default_factory=list)
