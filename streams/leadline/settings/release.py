"""The settings by which a new version is trained, compared and let in: `ModelSettings.training`, ``gate`` and ``approval``."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from leadline.settings.values import DurationMs, PositiveMs, duration_ms, size_bytes

Bytes = Annotated[int, BeforeValidator(size_bytes), Field(ge=64 << 20)]
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


class RolloutSettings(_Strict):
    """How an approved version takes over from the champion.

    ``begin``: ``at-once`` it becomes champion, or by a ``rollout``. ``shadow``: so long it scores in shadow at least, then it answers the
    shares ``steps``, each for ``bake`` at least; more than half of the requests only once it is proven. ``sample``: of which share of the
    requests those versions score too that do not answer. ``alpha``: how often a version that is worse by more than ``margin`` may become
    champion, and how often one that is no worse is rolled back. ``segment_margin``: the same in each of the segments ``protected``.
    ``budget``: what all promotions since a person's may lose together. ``min_pairs``: before so many there is no verdict. ``max_failed``:
    by how much the share of requests without a score may be above the champion's; ``max_slower``: how many times as long as the champion
    it may take; ``max_shift``: how far its mean score may be from the champion's on the same requests, in standard deviations of the
    reference; ``max_estimated_drop``: by how much the accuracy that is estimated without labels may be below the champion's (of a
    regression: by what share of it the mean absolute error may be above).
    ``automatic``: what is proven becomes champion; else a person promotes it. ``deadline``: a rollout that is not proven by then is
    inconclusive: ``on_deadline``. ``watch``: so long the champion before goes on in shadow after a promotion (unset: horizon and grace).
    ``cooldown``: so long after a rollback the same version does not begin again by itself.
    """

    begin: Literal["at-once", "rollout"] = "at-once"
    automatic: bool = True
    shadow: DurationMs = duration_ms("1d")
    steps: list[Share] = Field([0.01, 0.05, 0.25, 0.5], max_length=20)
    bake: DurationMs = duration_ms("1h")
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    margin: float = Field(0.0, ge=0, lt=1)
    segment_margin: float = Field(0.02, ge=0, lt=1)
    protected: list[str] = Field([], max_length=1000)
    budget: float = Field(0.0, ge=0, lt=1)
    min_pairs: int = Field(100, ge=1)
    max_failed: Annotated[float, Field(ge=0, le=1)] = 0.005
    max_slower: float = Field(5.0, ge=1)
    max_shift: float = Field(0.5, gt=0)
    max_estimated_drop: float = Field(0.03, ge=0)
    deadline: PositiveMs | None = None
    on_deadline: Literal["abort", "hold", "promote"] = "abort"
    watch: PositiveMs | None = None
    cooldown: DurationMs = duration_ms("7d")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.steps != sorted(set(self.steps)):
            raise ValueError("steps rise")
        if self.automatic and self.margin > self.budget:
            raise ValueError(
                "margins add up over promotions: with automatic = true a margin needs a budget that is no smaller"
            )
        return self
