"""Settings of the installation, from the environment."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from leadline.settings.values import Address, DurationMs, SettingsError, address, duration_ms, explain, size_bytes


Megabytes = Annotated[int, Field(ge=256 << 20)]
"""Bytes, so many that a worker can begin."""


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


def _cache() -> Path:
    """Where caches are; beside the state for a user without a home."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "leadline"
    try:
        return Path.home() / ".cache" / "leadline"
    except RuntimeError:
        return Path(".leadline/cache")


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
    ``health``: where a worker tells its health over HTTP.
    ``shadow_memory``: memory of a worker that hosts nothing but the shadow stage.
    ``max_ahead``: how far ahead of its arrival an event, or an outcome, may have happened.
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
    cache: Path = Field(default_factory=_cache)
    partitions: int = Field(2, ge=1)
    replication: int = Field(1, ge=1)
    clock: Literal["wall", "records"] = "wall"
    run_records: int = Field(8192, ge=1, le=1_000_000)
    record_bytes: int = Field(1_048_576, ge=1024, le=3 << 20)
    max_ahead: DurationMs = duration_ms("1d")
    session_timeout: DurationMs = duration_ms("6s")
    health: Annotated[Address | None, BeforeValidator(address), NoDecode] = Address("127.0.0.1", 8088)
    shadow_memory: Annotated[Megabytes | None, BeforeValidator(size_bytes), NoDecode] = 2 << 30


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment; raises SettingsError that names each wrong variable."""
    try:
        settings = Settings(**{k: v for k, v in overrides.items() if v is not None})
    except ValidationError as error:
        raise SettingsError(explain(error)) from None
    if settings.kafka_bootstrap is None and load_security().security_protocol != "PLAINTEXT":
        raise SettingsError("KAFKA_SECURITY_PROTOCOL is set, and KAFKA_BOOTSTRAP is not: name your broker's host:port")
    return settings
