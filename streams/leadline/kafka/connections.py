"""How this installation reaches Kafka and Redis: the one place where clients get their addresses, passwords and certificates."""

import logging
import ssl
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from pydantic import SecretStr

from leadline.settings import Security, SettingsError, load_security

_OF_LIBRDKAFKA = {
    "logger": logging.getLogger("librdkafka"),
    "log.connection.close": False,
    "reconnect.backoff.max.ms": 1000,
    "socket.nagle.disable": True,
    "socket.timeout.ms": 10_000,
}


def reach(bootstrap: str) -> dict[str, Any]:
    """What every aiokafka client is made with: where the brokers are, and the security of the environment.

    Raises SettingsError where a certificate cannot be read.
    """
    security = load_security()
    found: dict[str, Any] = {"bootstrap_servers": bootstrap, "security_protocol": security.security_protocol}
    if security.encrypted:
        found["ssl_context"] = _context(security)
    if security.sasl_password is not None:
        found["sasl_mechanism"] = security.sasl_mechanism
        found["sasl_plain_username"] = security.sasl_username
        found["sasl_plain_password"] = security.sasl_password.get_secret_value()
    return found


def reach_librdkafka(bootstrap: str) -> dict[str, Any]:
    """The same for a client of confluent-kafka."""
    security = load_security()
    found: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "security.protocol": security.security_protocol,
        "sasl.username": security.sasl_username,
        "ssl.ca.location": security.ssl_cafile,
        "ssl.certificate.location": security.ssl_certfile,
        "ssl.key.location": security.ssl_keyfile,
    }
    if security.sasl_password is not None:
        found["sasl.mechanism"] = security.sasl_mechanism
        found["sasl.password"] = security.sasl_password.get_secret_value()
    return _OF_LIBRDKAFKA | {name: str(value) for name, value in found.items() if value is not None}


def reach_redis(url: SecretStr, **options: Any) -> redis.asyncio.Redis:
    """A client of the Redis at a URL, which may hold a password."""
    return redis.asyncio.from_url(url.get_secret_value(), **_of_redis(url, options))


def reach_redis_blocking(url: SecretStr, **options: Any) -> redis.Redis:
    """The same for a thread that waits."""
    return redis.from_url(url.get_secret_value(), **_of_redis(url, options))


def _of_redis(url: SecretStr, options: dict[str, Any]) -> dict[str, Any]:
    cafile = load_security().redis_ssl_cafile
    if url.get_secret_value().startswith("rediss:"):
        options |= {"ssl_ca_certs": str(cafile)} if cafile else {}
        options |= {"ssl_check_hostname": True}
    return options


def unencrypted(bootstrap: str) -> bool:
    """Whether what is sent there can be read on the way."""
    hosts = [address.strip().rpartition(":")[0] for address in bootstrap.split(",")]
    return not load_security().encrypted and any(host not in ("localhost", "127.0.0.1", "[::1]") for host in hosts)


def _context(security: Security) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=security.ssl_cafile)
        if security.ssl_certfile is not None:
            context.load_cert_chain(security.ssl_certfile, security.ssl_keyfile, password=_no_passphrase)
    except (ssl.SSLError, OSError) as error:
        names = ", ".join(str(path) for path in _files(security))
        raise SettingsError(f"a certificate or key cannot be used ({error}): check {names}") from None
    return context


def _files(security: Security) -> list[Path]:
    files = (security.ssl_cafile, security.ssl_certfile, security.ssl_keyfile)
    return [path for path in files if path is not None]


def _no_passphrase() -> str:
    """Instead of a question at the terminal, which nobody would see."""
    return ""
