"""The records on the wire, one frozen class for each schema in ``schemas/``.

Times are integer milliseconds since the epoch. Fields that end in ``_sum`` are whole numbers of 1e-12 units, so that adding and
taking back are exact whatever the order; on the wire they are Avro decimals of scale 12.
"""

from leadline.records.decisions import (
    ABORT,
    ACCEPTED,
    ACKNOWLEDGE,
    APPROVE,
    CANCEL,
    CONFIGURE,
    LEAD_MS,
    PAUSE,
    PROMOTE,
    REFUSED,
    REJECT,
    RESUME,
    RETRAIN,
    ROLL_BACK,
    SILENCE,
    START,
    Alert,
    Assignment,
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
from leadline.records.events import (
    CHALLENGER,
    CHAMPION,
    SHADOW,
    LabeledPrediction,
    Outcome,
    Prediction,
    PredictionRequest,
)
from leadline.records.pairs import Comparison, PairCounts, PairPartial
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
from leadline.records.workers import StageHealth, StageTrouble, VersionHealth, WorkerHealth

__all__ = [
    "ABORT",
    "ACCEPTED",
    "ACKNOWLEDGE",
    "APPROVE",
    "CANCEL",
    "CHALLENGER",
    "CHAMPION",
    "CONFIGURE",
    "LEAD_MS",
    "PAUSE",
    "PROMOTE",
    "REFUSED",
    "REJECT",
    "RESUME",
    "RETRAIN",
    "ROLL_BACK",
    "SHADOW",
    "SILENCE",
    "START",
    "Alert",
    "Assignment",
    "AuditEntry",
    "Candidate",
    "Check",
    "Command",
    "CommandAnswer",
    "Comparison",
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
    "PairCounts",
    "PairPartial",
    "Prediction",
    "PredictionRequest",
    "Record",
    "RetrainRequest",
    "Rollout",
    "StageHealth",
    "StageTrouble",
    "Training",
    "Verdict",
    "VersionHealth",
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
    | PairPartial
    | Comparison
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
