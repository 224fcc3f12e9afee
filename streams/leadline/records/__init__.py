"""The records on the wire, one frozen class for each schema in ``schemas/``.

Times are integer milliseconds since the epoch. Fields that end in ``_sum`` are whole numbers of 1e-12 units, so that adding and
taking back are exact whatever the order; on the wire they are Avro decimals of scale 12.
"""

from leadline.records.decisions import (
    ACCEPTED,
    ACKNOWLEDGE,
    APPROVE,
    CANCEL,
    CONFIGURE,
    PROMOTE,
    REFUSED,
    REJECT,
    RETRAIN,
    SILENCE,
    Alert,
    AuditEntry,
    Candidate,
    Check,
    Command,
    CommandAnswer,
    LiveSetting,
    LiveSettings,
    RetrainRequest,
    Rollout,
    Training,
    Verdict,
)
from leadline.records.events import LabeledPrediction, Outcome, Prediction, PredictionRequest
from leadline.records.values import brief, identity, iso, to_number
from leadline.records.windows import (
    DriftReport,
    FeatureCounts,
    FinalValue,
    JoinCounts,
    MatureCounts,
    MaturedWindow,
    Metric,
    WindowMetrics,
    WindowPartial,
    WindowProfile,
)
from leadline.records.workers import StageHealth, StageTrouble, WorkerHealth

__all__ = [
    "ACCEPTED",
    "ACKNOWLEDGE",
    "APPROVE",
    "CANCEL",
    "CONFIGURE",
    "PROMOTE",
    "REFUSED",
    "REJECT",
    "RETRAIN",
    "SILENCE",
    "Alert",
    "AuditEntry",
    "Candidate",
    "Check",
    "Command",
    "CommandAnswer",
    "DriftReport",
    "FeatureCounts",
    "FinalValue",
    "JoinCounts",
    "LabeledPrediction",
    "LiveSetting",
    "LiveSettings",
    "MatureCounts",
    "MaturedWindow",
    "Metric",
    "Outcome",
    "Prediction",
    "PredictionRequest",
    "Record",
    "RetrainRequest",
    "Rollout",
    "StageHealth",
    "StageTrouble",
    "Training",
    "Verdict",
    "WindowMetrics",
    "WindowPartial",
    "WindowProfile",
    "WorkerHealth",
    "brief",
    "identity",
    "iso",
    "to_number",
]

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
    | Training
    | Candidate
    | Verdict
    | Rollout
    | Command
    | CommandAnswer
    | LiveSettings
    | AuditEntry
    | WorkerHealth
)
