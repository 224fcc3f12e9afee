"""What is counted and measured of windows."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MatureCounts:
    """The counts of a window at the instant of log time in which it became mature; later records never change them.

    They hold what the log of a partition held up to that instant, however it is read; where no outcome means no, ``matched`` has the
    outcomes that are assumed too. A partition that gets its first prediction of the window later has zeros.
    """

    predictions: int
    matched: int
    predicted_positive: int
    tp: int
    fp: int
    fn: int
    tn: int
    absolute_error_sum: int
    squared_error_sum: int
    score_sum: int = 0


@dataclass(frozen=True, slots=True)
class WindowPartial:
    """One partition's absolute counts of one (model, version, segment, window)."""

    model: str
    model_version: str
    segment: str
    window_start: int
    window_end: int
    source_partition: int
    revision: int
    as_of: int
    state: str
    task: str
    predictions: int
    matched: int
    expired: int
    tp: int
    fp: int
    fn: int
    tn: int
    score_sum: int
    outcome_sum: int
    logloss_sum: int
    brier_sum: int
    error_sum: int
    absolute_error_sum: int
    squared_error_sum: int
    score_bins: list[int]
    positives: list[int]
    negatives: list[int]
    prediction_bins: list[int] = field(default_factory=list)
    prediction_counts: list[int] = field(default_factory=list)
    mature: MatureCounts | None = None
    assumed: int = 0


@dataclass(frozen=True, slots=True)
class MaturedWindow:
    """A window of all segments that has become mature, and how many predictions it is judged by."""

    model_version: str
    window_start: int
    predictions: int


@dataclass(frozen=True, slots=True)
class JoinCounts:
    """Every class of record that the join of one model has met in one partition (-1: in all), and when the last ones arrived.

    ``matured``: the windows that have become mature there since the record before. All that were due before ``as_of`` have been told of.
    """

    model: str
    source_partition: int
    revision: int
    as_of: int
    prediction_records: int
    predictions: int
    duplicate_predictions: int
    matched: int
    expired: int
    expired_no_outcome: int
    expired_late_outcome: int
    negative_delay: int
    outcome_records: int
    outcomes_used: int
    outcomes_duplicate: int
    outcomes_conflicting: int
    outcomes_late: int
    outcomes_orphan: int
    outcomes_after_grace: int
    outcomes_retractions: int
    outcomes_not_a_class: int = 0
    assumed: int = 0
    last_prediction_at: int | None = None
    last_outcome_at: int | None = None
    matured: list[MaturedWindow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Metric:
    """A live number and its 95 % interval; a side that is not known is None."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class FinalValue:
    """Where a number of a window will be in the end: the interval of the value that is realised at maturity, or ``why`` there is none.

    ``metric``: the name of the number in `WindowMetrics`. ``windows``: how many mature windows it was learned from, ``basis``: ``t``,
    ``conformal`` or ``none``. ``hits``: the share of their own intervals, at this age, that held.
    """

    metric: str
    low: float | None
    high: float | None
    windows: int
    basis: str
    hits: float | None
    why: str


@dataclass(frozen=True, slots=True)
class WindowMetrics:
    """Live metrics of one (model, version, segment, window); undefined is None, never zero."""

    model: str
    model_version: str
    segment: str
    window_start: int
    window_end: int
    revision: int
    as_of: int
    state: str
    task: str
    predictions: int
    matched: int
    pending: int
    expired: int
    tp: int
    fp: int
    fn: int
    tn: int
    coverage: float | None
    accuracy: Metric | None
    precision: Metric | None
    recall: Metric | None
    f1: Metric | None
    logloss: Metric | None
    brier: Metric | None
    auc: Metric | None
    mean_score: Metric | None
    outcome_rate: Metric | None
    mae: Metric | None
    rmse: Metric | None
    bias: Metric | None
    auc_error: float | None
    predicted_positive: int = 0
    mature: MatureCounts | None = None
    estimated_accuracy: Metric | None = None
    estimated_precision: Metric | None = None
    estimated_recall: Metric | None = None
    estimated_f1: Metric | None = None
    estimated_auc: Metric | None = None
    estimated_mae: Metric | None = None
    estimated_rmse: Metric | None = None
    nowcast_accuracy: Metric | None = None
    nowcast_precision: Metric | None = None
    nowcast_recall: Metric | None = None
    nowcast_f1: Metric | None = None
    nowcast_auc: Metric | None = None
    nowcast_mae: Metric | None = None
    nowcast_rmse: Metric | None = None
    estimated_error: float | None = None
    finals: list[FinalValue] = field(default_factory=list)
    assumed: int = 0


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """Counts of one feature in the bins of its reference profile."""

    name: str
    counts: list[int]


@dataclass(frozen=True, slots=True)
class WindowProfile:
    """One partition's absolute counts of feature values in one window."""

    model: str
    model_version: str
    window_start: int
    window_end: int
    source_partition: int
    revision: int
    as_of: int
    closed: bool
    predictions: int
    features: list[FeatureCounts]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The answer to one question about one feature, or the score, of one window: is it as in the reference.

    ``finding``: what is asked: ``distribution`` of the values that are there, share of ``missing`` ones, share of ``unseen`` categories.
    ``p_value``: of the null in which rows are independent. ``own_p_value``: of that of the reference's own windows, None where there are
    too few (``own_windows`` below 8). ``drifted``: both nulls are passed.
    """

    model: str
    model_version: str
    window_start: int
    window_end: int
    feature: str
    kind: str
    method: str
    statistic: float
    threshold: float
    p_value: float
    drifted: bool
    n: int
    reference_n: int
    revision: int
    as_of: int
    finding: str = "distribution"
    own_windows: int = 0
    own_p_value: float | None = None
    effect: str = ""
