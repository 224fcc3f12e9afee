"""What happens to single requests."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PredictionRequest:
    """Somebody asks a model for a score."""

    request_id: str
    model: str
    event_time: int
    features: dict[str, float]
    user_id: str = ""
    categories: dict[str, str] = field(default_factory=dict)


CHAMPION, CHALLENGER, SHADOW = "champion", "challenger", "shadow"
"""Roles of a prediction: its version answers, answers a share of the requests, or says what it would have answered."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A score that one version of a model gave to one request.

    ``role``: champion or challenger answers; shadow says what it would have answered. ``rollout_id``: of the rollout that was under way.
    ``sample``: of which share of the requests a version says so that does not answer.
    ``categories``: as the request named them, in the order of the signature; empty where one is missing (its feature is NaN then).
    """

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
    categories: list[str] = field(default_factory=list)
    rollout_id: str = ""
    sample: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth about one request: a number, or the name of a class; where both are None it takes back what was said before."""

    request_id: str
    outcome: float | None
    outcome_time: int
    class_name: str | None = None


@dataclass(frozen=True, slots=True)
class LabeledPrediction:
    """A prediction with its outcome; of one identity the highest revision holds. ``assumed``: no record said so, none said otherwise."""

    prediction: Prediction
    outcome: float | None
    outcome_time: int | None
    label_delay_ms: int | None
    revision: int
    assumed: bool = False
