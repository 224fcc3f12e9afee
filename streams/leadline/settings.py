"""Settings of the installation (environment) and of each model (one TOML file)."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, where, and what to do."""


def duration_ms(value: str | int) -> int:
    """Milliseconds of a duration such as ``12h`` (units ms, s, m, h, d, w; parts add up; a bare number is milliseconds).

    >>> duration_ms("12h"), duration_ms("1d 12h"), duration_ms(250)
    (43200000, 129600000, 250)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value).strip()
    parts = re.findall(r"(\d+)\s*(ms|s|m|h|d|w)", text)
    if not parts or re.sub(r"(\d+)\s*(ms|s|m|h|d|w)|\s", "", text):
        raise ValueError(f"{value!r} is not a duration: write for example 30s, 12h or 7d")
    return sum(int(number) * _UNITS_MS[unit] for number, unit in parts)


def _grace_ms(value: Any) -> Any:
    return None if value == "never" else value if value is None else duration_ms(value)


DurationMs = Annotated[int, BeforeValidator(duration_ms)]
PositiveMs = Annotated[DurationMs, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lookup(_Strict):
    """A feature view that is read from Redis when the request is scored.

    The view's row of a request is the Redis hash ``<prefix>:features:<view>:<value of the category key>``, its fields named as
    ``features`` (and ``updated_ms``, from which the age is taken).
    """

    key: str
    features: list[str]


class AlertLimits(_Strict):
    """When a performance alert opens and resolves."""

    metric: Literal["accuracy", "precision", "recall", "auc", "mae", "rmse"] = "accuracy"
    reference: float | None = None
    margin: float = Field(0.02, ge=0)
    min_coverage: float = Field(0.5, ge=0, le=1)
    open_after: int = Field(2, ge=1)
    resolve_after: int = Field(2, ge=1)


class DriftLimits(_Strict):
    """When a feature counts as drifted: PSI above its size-corrected limit, and the chi-square p below ``p_value``."""

    psi: float = Field(0.1, gt=0)
    p_value: float = Field(0.001, gt=0, lt=1)


class ModelSettings(_Strict):
    """Everything that Leadline knows about one model; read from one TOML file, versioned with the model.

    ``horizon``: how long after the event an outcome time may be. ``grace``: how much longer a record may take to arrive before its window
    is sealed; ``never`` seals, and keeps all state for ever. ``segments``: names of categories.
    """

    name: str = Field(min_length=1, max_length=200)
    task: Literal["binary", "regression"] = "binary"
    positive: float = 1.0
    threshold: float = 0.5
    numeric: list[str] = []
    categorical: list[str] = []
    lookups: dict[str, Lookup] = {}
    missing: Literal["nan", "refuse"] = "nan"
    horizon: PositiveMs = duration_ms("7d")
    grace: Annotated[int | None, BeforeValidator(_grace_ms)] = duration_ms("1d")
    window: PositiveMs = duration_ms("1d")
    policy: Literal["first", "latest"] = "first"
    segments: list[str] = []
    alerts: AlertLimits = AlertLimits()
    drift: DriftLimits = DriftLimits()
    retrain_cooldown: DurationMs = duration_ms("7d")
    runbook: str = ""


def load_model_settings(path: Path) -> ModelSettings:
    """The model settings in a TOML file; raises SettingsError that names the file and each wrong field."""
    try:
        return ModelSettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such model file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """A validation error in one line: each wrong field and why."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())


class Settings(BaseSettings):
    """Settings of one installation, from the environment (prefix ``LEADLINE_``).

    ``KAFKA_BOOTSTRAP``, ``REDIS_URL`` and ``KAFKA_JARS_DIR`` keep the names that everybody uses.
    """

    model_config = SettingsConfigDict(env_prefix="LEADLINE_", extra="ignore", frozen=True, populate_by_name=True)

    kafka_bootstrap: str | None = Field(None, validation_alias=AliasChoices("KAFKA_BOOTSTRAP", "kafka_bootstrap"))
    redis_url: SecretStr | None = Field(None, validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    kafka_jars_dir: Path | None = Field(None, validation_alias=AliasChoices("KAFKA_JARS_DIR", "kafka_jars_dir"))
    prefix: str = Field("leadline", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    models: Path = Path("models")
    state: Path = Path(".leadline/state")
    cache: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "leadline"
    )
    partitions: int = Field(2, ge=1)
    replication: int = Field(1, ge=1)
    clock: Literal["wall", "records"] = "wall"
    run_records: int = Field(8192, ge=1)
    record_bytes: int = Field(1_048_576, ge=1024)
    session_timeout: DurationMs = duration_ms("6s")


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; raises SettingsError that names each wrong variable."""
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})
    except ValidationError as error:
        raise SettingsError(explain(error)) from None
