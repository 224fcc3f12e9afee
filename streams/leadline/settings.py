"""Settings of the installation (environment) and of each model (one TOML file)."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)
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


def _redis_url(value: str | None) -> str | None:
    """A URL without options: those could hold a password, or turn the check of certificates off."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        fine = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0 and not parts.query
    except ValueError:  # says what it could not read, which may be a part of the password
        fine = False
    if not fine:
        raise ValueError(
            "write redis://[user:password@]host[:port][/db] or rediss://..., with no options behind a ?; "
            "a / or @ of a password is written %2F or %40"
        )
    return value


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
    is sealed; ``never`` seals, and keeps all state for ever. ``segments``: names of categories. ``segment_limit``: how many combinations of
    their values a partition counts for each version; predictions of further ones count under ``*`` and ``other``.
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
    segment_limit: int = Field(10_000, ge=1)
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


def explain(error: ValidationError, prefix: str = "") -> str:
    """A validation error in one line: each wrong field and why."""
    return "; ".join(f"{_field(e['loc'], prefix)}{e['msg'].removeprefix('Value error, ')}" for e in error.errors())


def _field(place: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(map(str, place)) or ("" if prefix else "settings")
    return name and f"{prefix + name.upper() if prefix and name.islower() else name}: "


class Security(BaseSettings):
    """How clients prove themselves to Kafka, and Kafka to them, from the environment (prefix ``KAFKA_``); names as Kafka's own.

    With ``ssl_cafile`` only that authority is trusted, without it those of the system. ``ssl_certfile`` and ``ssl_keyfile`` are for brokers
    that ask for a client's certificate. Host names are always checked. Redis says all of it in its URL (``rediss://user:password@host``),
    but its authority: ``REDIS_SSL_CAFILE``.
    """

    model_config = SettingsConfigDict(
        env_prefix="KAFKA_", extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: FilePath | None = None
    ssl_certfile: FilePath | None = None
    ssl_keyfile: FilePath | None = None
    redis_ssl_cafile: FilePath | None = Field(
        None, validation_alias=AliasChoices("REDIS_SSL_CAFILE", "redis_ssl_cafile")
    )

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol.endswith("SSL")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        user = self.sasl_username, self.sasl_password
        if self.security_protocol.startswith("SASL") and None in user:
            raise ValueError("KAFKA_SECURITY_PROTOCOL wants KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        if not self.security_protocol.startswith("SASL") and user != (None, None):
            raise ValueError("a user is given: set KAFKA_SECURITY_PROTOCOL to SASL_SSL (or SASL_PLAINTEXT)")
        if not self.encrypted and (self.ssl_cafile or self.ssl_certfile or self.ssl_keyfile):
            raise ValueError("certificates are given: set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE go together")
        return self


def load_security() -> Security:
    """Security from the environment; raises SettingsError that names what is wrong, and no secret."""
    try:
        return Security()
    except ValidationError as error:
        raise SettingsError(explain(error, "KAFKA_")) from None


class Settings(BaseSettings):
    """Settings of one installation, from the environment (prefix ``LEADLINE_``).

    ``KAFKA_BOOTSTRAP``, ``REDIS_URL`` and ``KAFKA_JARS_DIR`` keep the names that everybody uses.
    """

    model_config = SettingsConfigDict(env_prefix="LEADLINE_", extra="ignore", frozen=True, populate_by_name=True)

    kafka_bootstrap: str | None = Field(None, validation_alias=AliasChoices("KAFKA_BOOTSTRAP", "kafka_bootstrap"))
    redis_url: Annotated[SecretStr | None, BeforeValidator(_redis_url)] = Field(
        None, validation_alias=AliasChoices("REDIS_URL", "redis_url")
    )
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
    run_records: int = Field(8192, ge=1, le=1_000_000)
    record_bytes: int = Field(1_048_576, ge=1024)
    session_timeout: DurationMs = duration_ms("6s")


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; raises SettingsError that names each wrong variable."""
    try:
        settings = Settings(**{k: v for k, v in overrides.items() if v is not None})
    except ValidationError as error:
        raise SettingsError(explain(error)) from None
    if settings.kafka_bootstrap is None and load_security().security_protocol != "PLAINTEXT":
        raise SettingsError("KAFKA_SECURITY_PROTOCOL is set, and KAFKA_BOOTSTRAP is not: name your broker's host:port")
    return settings
