"""The records on the wire, one frozen class for each schema in ``schemas/``.

Times are integer milliseconds since the epoch. Fields that end in ``_sum`` are whole numbers of 1e-12 units, so that adding and
taking back are exact whatever the order; on the wire they are Avro decimals of scale 12.
"""

import json
from dataclasses import dataclass, field

import numpy as np

_compact = json.JSONEncoder(separators=(",", ":")).encode


def identity(*parts: str | int) -> bytes:
    """The key of a record that is not of one request: what it is about, as a JSON array.

    >>> identity("counts", "delays", 3)
    b'["counts","delays",3]'
    """
    return _compact(parts).encode()


def iso(time_ms: int) -> str:
    """A time as ISO-8601 in UTC, with milliseconds where there are any; of any year, unlike datetime.

    >>> iso(0), iso(-1), iso(-62_135_596_800_001), iso(2**53)
    ('1970-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '0000-12-31T23:59:59.999Z', '287396-10-12T08:59:00.992Z')
    """
    return str(np.datetime64(time_ms, "ms")).removesuffix(".000") + "Z"


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """Somebody asks a model for a score."""

    request_id: str
    model: str
    event_time: int
    features: dict[str, float]
    user_id: str = ""
    categories: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A score that one version of a model gave to one request."""

    request_id: str
    model: str
    model_version: str
    role: str
    user_id: str
    event_time: int
    scored_at: int
    score: float
    predicted_label: int | None
    features: list[float]
    signature: str
    segments: list[str]
    feature_age_ms: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth about one request; ``outcome`` None takes back what was said before."""

    request_id: str
    outcome: float | None
    outcome_time: int


@dataclass(frozen=True, slots=True)
class LabeledPrediction:
    """A prediction with its outcome; of one identity the highest revision holds."""

    prediction: Prediction
    outcome: float | None
    outcome_time: int | None
    label_delay_ms: int | None
    revision: int


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


@dataclass(frozen=True, slots=True)
class JoinCounts:
    """Every class of record that the join of one model has met in one partition (-1: in all)."""

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


@dataclass(frozen=True, slots=True)
class Metric:
    """A live number and its 95 % interval; a side that is not known is None."""

    value: float
    low: float | None = None
    high: float | None = None


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
    """Whether one feature, or the score, of one window is distributed as in the reference."""

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


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should look at; ``alert_id`` is stable from opened to resolved."""

    alert_id: str
    kind: str
    severity: str
    state: str
    model: str
    model_version: str
    segment: str
    window_start: int
    window_end: int
    revision: int
    evidence: dict[str, str]
    runbook: str


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """Train this model again, and why."""

    retrain_id: str
    model: str
    model_version: str
    event_time: int
    cause: str
    alert_id: str
    evidence: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which version of a model answers; the newest of a model holds."""

    model: str
    champion: str
    event_time: int
    actor: str
    reason: str


Record = (
    PredictionRequest
    | Prediction
    | Outcome
    | LabeledPrediction
    | WindowPartial
    | JoinCounts
    | WindowMetrics
    | WindowProfile
    | DriftReport
    | Alert
    | RetrainRequest
    | Rollout
)
