"""Settings of one model: one TOML file, versioned with the model."""

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from leadline.records import to_number
from leadline.settings.files import read_below, read_file
from leadline.settings.release import ApprovalSettings, GateSettings, RolloutSettings, TrainingSettings
from leadline.settings.values import DurationMs, PositiveMs, SettingsError, duration_ms, explain

MOST_BYTES = 262_144
"""Of a file of model settings."""


def _grace_ms(value: Any) -> Any:
    return None if value == "never" else value if value is None else duration_ms(value)


_LONGEST_MS = duration_ms("36500d")
"""Of a horizon, grace or window: times of the far future are still whole numbers of 64 bits with it."""
LongestMs = Annotated[PositiveMs, Field(le=_LONGEST_MS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lookup(_Strict):
    """A feature view that is read from Redis when the request is scored.

    The view's row of a request is the Redis hash ``<prefix>:features:<view>:<value of the category key>``, its fields named as
    ``features`` (and ``updated_ms``, from which the age is taken).
    """

    key: str
    features: list[str]


Kind = Literal["performance", "concept-drift", "data-drift", "calibration"]
WEIGHTS: dict[Kind, float] = {"performance": 0.5, "concept-drift": 0.2, "data-drift": 0.2, "calibration": 0.1}
Share = Annotated[float, Field(ge=0, le=1)]


class Allowed(NamedTuple):
    """So many false incidents in a period."""

    number: float
    period_ms: int

    @classmethod
    def of(cls, text: str) -> "Allowed":
        """Read ``1 per 30d``; raises ValueError.

        >>> Allowed.of("1 per 30d")
        Allowed(number=1.0, period_ms=2592000000)
        """
        number, per, period = text.partition(" per ")
        try:
            found = cls(float(number), duration_ms(period))
        except ValueError:
            found = cls(0.0, 0)
        if not per or not (0 < found.number < math.inf and found.period_ms > 0):
            raise ValueError(f"{text!r} is not a number of false alarms: write for example 1 per 30d")
        return found


def _allowed(text: str) -> str:
    Allowed.of(text)
    return text


FalseAlarms = Annotated[str, AfterValidator(_allowed)]


class AlertLimits(_Strict):
    """What counts as worse, and how many false incidents are allowed.

    ``metric`` is judged against ``reference`` (by default that of the version) less ``margin``. ``false_alarms``: how many false
    incidents of the version that answers are allowed, those of each kind by ``weights``; ``early_false_alarms``: how many early ones that
    labels do not confirm. ``mode``: ``proven`` holds for every stream whose expected metric is not beyond the limit, and is slower;
    ``calibrated`` takes the spread from the reference's own windows. ``cycle``: windows of a whole cycle (a day, a week) are judged
    together. ``min_coverage``: mature windows with a smaller share of labels are not judged. ``open_after``, ``resolve_after``: a feature
    counts as drifted after so many drifted windows in a row, and no longer after so many others; performance goes by ``false_alarms``.
    ``dead_letters``: the share of the requests of ten minutes that may become dead letters.
    """

    metric: Literal["accuracy", "precision", "recall", "auc", "mae", "rmse"] = "accuracy"
    reference: float | None = None
    margin: float = Field(0.02, ge=0)
    min_coverage: Share = 0.0
    open_after: int = Field(2, ge=1)
    resolve_after: int = Field(2, ge=1)
    false_alarms: FalseAlarms = "1 per 30d"
    early_false_alarms: FalseAlarms = "1 per 30d"
    mode: Literal["calibrated", "proven"] = "calibrated"
    cycle: Annotated[PositiveMs, Field(le=_LONGEST_MS)] | None = None
    weights: dict[Kind, Share] = WEIGHTS
    dead_letters: Share = 0.05

    @field_validator("weights")
    @classmethod
    def _within(cls, weights: dict[Kind, float]) -> dict[Kind, float]:
        if sum(weights.values()) > 1 + 1e-9:
            raise ValueError("they add up to more than 1: then more false alarms than allowed are to be expected")
        return weights

    def weight(self, kind: Kind) -> float:
        """The share of the false alarms that a kind may cause; one that is not named may cause none, and opens nothing."""
        return self.weights.get(kind, 0.0)


class DriftLimits(_Strict):
    """When a feature counts as drifted: by ``method`` further from its reference than chance is.

    Chance is what independent rows differ by (chi-square p below ``p_value``) and what the reference's own windows differ by (p below
    ``own_p_value``); both, corrected for all questions of a window by ``correction``. ``psi``: the least PSI that counts; the other methods
    have no such limit.
    """

    method: Literal["psi", "jensen-shannon", "ks", "wasserstein"] = "psi"
    psi: float = Field(0.1, gt=0)
    p_value: float = Field(0.001, gt=0, lt=1)
    own_p_value: float = Field(0.01, gt=0, lt=1)
    correction: Literal["bonferroni", "benjamini-hochberg"] = "bonferroni"


class ModelSettings(_Strict):
    """Everything that Leadline knows about one model; read from one TOML file, versioned with the model.

    ``positive``: the class whose probability is the score; needed where the classes are not 0 and 1, or false and true. ``threshold``: a
    score from which on the model says yes; without one, what the model itself says counts. ``score``: ``decision`` where the model has a
    decision function and no probabilities: logloss, brier and mean_score are null then. ``categories``: for a model that was trained on
    whole numbers in place of categories, which category has the number 0, 1 and so on. ``trusted``: types of your own, as
    ``package.module.Class``, that the model's file may have.
    ``missing``: ``refuse`` where a request has to give every feature, ``nan`` where the model is asked without those that are missing;
    unset, `leadline model add` writes what the model can take.
    ``horizon``: how long after the event an outcome time may be. ``grace``: how much longer a record may take to arrive before its window
    is sealed; ``never`` seals, and keeps all state for ever. ``unlabelled``: ``negative`` where no outcome means no (fraud, churn): a
    prediction that has none when horizon and grace are over counts as labelled with the negative class. ``segments``: names of categories.
    ``segment_limit``: how many combinations of their values a partition counts for each version; predictions of further ones count under
    ``*`` and ``other``.
    """

    name: str = Field(min_length=1, max_length=200)
    task: Literal["binary", "regression"] = "binary"
    positive: float | bool | str | None = None
    threshold: float | None = None
    score: Literal["probability", "decision"] = "probability"
    numeric: list[str] = []
    categorical: list[str] = []
    categories: dict[str, list[str]] = {}
    trusted: list[str] = []
    lookups: dict[str, Lookup] = {}
    missing: Literal["nan", "refuse"] | None = None
    horizon: LongestMs = duration_ms("7d")
    grace: Annotated[Annotated[int, Field(ge=0, le=_LONGEST_MS)] | None, BeforeValidator(_grace_ms)] = duration_ms("1d")
    window: LongestMs = duration_ms("1d")
    policy: Literal["first", "latest"] = "first"
    unlabelled: Literal["unknown", "negative"] = "unknown"
    segments: list[str] = Field([], max_length=32)
    segment_limit: int = Field(10_000, ge=1)
    alerts: AlertLimits = AlertLimits()
    drift: DriftLimits = DriftLimits()
    training: TrainingSettings = TrainingSettings()
    gate: GateSettings = GateSettings()
    approval: ApprovalSettings = ApprovalSettings()
    rollout: RolloutSettings = RolloutSettings()
    retrain_cooldown: DurationMs = duration_ms("7d")
    runbook: str = ""

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        cycle = self.alerts.cycle
        if cycle is not None and cycle % self.window:
            raise ValueError("alerts.cycle is no whole number of windows")
        return self

    @model_validator(mode="after")
    def _no_outcome_means_no_at_some_time(self) -> Self:
        if self.unlabelled == "negative" and self.task != "binary":
            raise ValueError(
                'unlabelled = "negative" is for binary models: no outcome can only mean no where there is a no'
            )
        if self.unlabelled == "negative" and self.grace is None:
            raise ValueError('unlabelled = "negative" needs a grace: with grace = "never" an outcome may always come')
        return self

    @property
    def mature_after(self) -> int:
        """How long after its end a window is mature: its horizon is over, or, where no outcome means no, its grace too."""
        return self.horizon + (self.grace or 0) * (self.unlabelled == "negative")

    @property
    def positive_outcome(self) -> float:
        """The number that is a positive outcome on the wire: that of the positive class, and 1 where it is a word.

        >>> [ModelSettings(name="m", positive=each).positive_outcome for each in (2, "2", False, "false", "yes", None)]
        [2.0, 2.0, 0.0, 0.0, 1.0, 1.0]
        """
        if not isinstance(self.positive, str):
            return 1.0 if self.positive is None else float(self.positive)
        try:
            return to_number(self.positive)
        except ValueError:
            return float(self.positive.lower() != "false")

    @property
    def known_threshold(self) -> float:
        """The threshold, or the usual one."""
        usual = 0.0 if self.score == "decision" else 0.5
        return usual if self.threshold is None else self.threshold

    @property
    def counted_as(self) -> str:
        """The task by which windows are measured: that of a binary model without probabilities is ``decision``."""
        return "decision" if self.task == "binary" and self.score == "decision" else self.task


def load_model_settings(path: Path, root: Path | None = None) -> ModelSettings:
    """The model settings in a TOML file; raises SettingsError that names the file and each wrong field.

    ``root``: a folder above the file, from which on no name may be a symbolic link.
    """
    try:
        data = read_below(root, path.relative_to(root).parts, MOST_BYTES) if root else read_file(path, MOST_BYTES)
        return ModelSettings.model_validate(tomllib.loads(data.decode()))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such model file") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # of tomllib, of UTF-8, and of a whole number with thousands of digits
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
