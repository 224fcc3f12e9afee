"""The options with which every client of Kafka is made: addresses, passwords and certificates, from the environment."""

import logging
import ssl
from pathlib import Path
from typing import Any

from leadline.settings import Security, SettingsError, load_security

_OF_LIBRDKAFKA = {
    "logger": logging.getLogger("librdkafka"),
    "log.connection.close": False,
    "reconnect.backoff.max.ms": 1000,
    "socket.nagle.disable": True,
    "socket.timeout.ms": 10_000,
}


def connection(bootstrap: str) -> dict[str, Any]:
    """Options of every aiokafka client: the brokers' addresses, and the security of the environment.

    Raises SettingsError where a certificate cannot be read.
    """
    security = load_security()
    options: dict[str, Any] = {"bootstrap_servers": bootstrap, "security_protocol": security.security_protocol}
    if security.encrypted:
        options["ssl_context"] = _context(security)
    if security.sasl_password is not None:
        options["sasl_mechanism"] = security.sasl_mechanism
        options["sasl_plain_username"] = security.sasl_username
        options["sasl_plain_password"] = security.sasl_password.get_secret_value()
    return options


def librdkafka_connection(bootstrap: str) -> dict[str, Any]:
    """The same for a client of confluent-kafka."""
    security = load_security()
    options: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "security.protocol": security.security_protocol,
        "sasl.username": security.sasl_username,
        "ssl.ca.location": security.ssl_cafile,
        "ssl.certificate.location": security.ssl_certfile,
        "ssl.key.location": security.ssl_keyfile,
    }
    if security.sasl_password is not None:
        options["sasl.mechanism"] = security.sasl_mechanism
        options["sasl.password"] = security.sasl_password.get_secret_value()
    return _OF_LIBRDKAFKA | {name: str(value) for name, value in options.items() if value is not None}


def unencrypted(bootstrap: str) -> bool:
    """Whether somebody on the way can read what is sent to these brokers."""
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
