"""The settings by which a new version is trained, compared and let in: `ModelSettings.training`, ``gate`` and ``approval``."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leadline.settings.values import DurationMs, PositiveMs, duration_ms

Bytes = Annotated[int, Field(ge=64 << 20)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSettings(_Strict):
    """How a model is trained again, and when without an incident.

    ``recipe``: ``module:function`` of an importable module; the function gets ``params`` and returns an estimator that is not fitted.
    ``online``: it returns a model of river, which goes on from its last snapshot and learns each new label once. Without a recipe
    gradient boosting over what the signature says is trained, and calibrated. ``base``: a Parquet or CSV file of rows from before
    Leadline. ``holdout``: the newest share of the rows, on which the candidate is compared; ``gap``: rows so long before it are left
    out. ``schedule``: asked for in event time; ``new_labels``: or after so many. ``budget``: most trainings in 30 days.
    """

    recipe: str = ""
    online: bool = False
    params: dict[str, Any] = {}
    base: str = ""
    holdout: Share = 0.2
    gap: DurationMs = 0
    max_rows: int = Field(1_000_000, ge=100)
    timeout: PositiveMs = duration_ms("1h")
    memory: Bytes = 4 << 30
    seed: int = Field(0, ge=0, lt=2**32)
    on: list[
        Literal[
            "performance", "concept-drift", "calibration", "estimated-performance", "data-drift", "prediction-drift"
        ]
    ] = ["performance", "concept-drift"]
    schedule: PositiveMs | None = None
    new_labels: Annotated[int, Field(ge=1)] | None = None
    budget: int = Field(30, ge=0, le=1000)

    @model_validator(mode="after")
    def _learns_in_order(self) -> Self:
        if self.online and (not self.recipe or self.base or self.gap):
            raise ValueError(
                "with online = true name a recipe, and neither base nor gap: each label is learned, in order"
            )
        return self


class GateSettings(_Strict):
    """What a challenger has to show on the held-out rows, beside the champion on the same rows.

    ``metric`` may be worse by ``margin`` at most, over all and in each segment of ``min_rows`` rows or more; ``effect``: it has to be
    better by so much. ``alpha``: how often one that is no better may pass. ``calibration_error``: the largest mean distance of scores
    from outcomes. ``max_gap``: how far the metric of two segments may be apart. ``latency``: most milliseconds for 1,000 rows.
    ``checks``: further ones, ``module:function`` of importable modules.
    """

    metric: Literal["accuracy", "auc", "log_loss", "brier", "mae", "rmse"] | None = None
    margin: float = Field(0.0, ge=0)
    segment_margin: float = Field(0.05, ge=0)
    effect: float = Field(0.0, ge=0)
    alpha: Share = 0.05
    min_rows: int = Field(100, ge=1)
    calibration_error: float | None = Field(None, gt=0)
    max_gap: float | None = Field(None, gt=0)
    latency: float | None = Field(None, gt=0)
    size: int | None = Field(None, ge=1)
    checks: list[str] = []


class ApprovalSettings(_Strict):
    """Who has to agree before a version becomes champion.

    ``policy``: nobody (``auto``), ``one`` person, or ``two``. ``not_requester``: not who asked for the training or the promotion.
    ``proof``: a name is a ``claim``; with ``signature`` only commands that are signed by a key of ``keys`` count, by the name that it has
    there. ``expires``: so long an approval is waited for.
    """

    policy: Literal["auto", "one", "two"] = "auto"
    not_requester: bool = True
    proof: Literal["claim", "signature"] = "claim"
    keys: dict[str, str] = {}
    expires: PositiveMs = duration_ms("7d")
