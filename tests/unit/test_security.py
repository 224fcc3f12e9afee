"""Security that cannot work is refused with one line that names the variable and no secret."""

import pytest

from leadline.kafka.connections import connection, unencrypted
from leadline.settings import SettingsError, load_security, load_settings


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: Input should be"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "s3cret"}, "wants KAFKA_SASL_USERNAME"),
        ({"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "s3cret"}, "a user is given"),
        ({"KAFKA_SSL_CAFILE": __file__}, "certificates are given"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "/nowhere.pem"}, "KAFKA_SSL_CAFILE: Path does not point"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTFILE": __file__}, "go together"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(environment, message, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as refused:
        load_security()
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_security_without_a_broker_is_refused(monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP is not"):
        load_settings()


def test_a_file_that_is_no_certificate_is_refused(monkeypatch):
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_SSL_CAFILE", __file__)
    with pytest.raises(SettingsError, match=r"a certificate or key cannot be used .* check .*test_security\.py"):
        connection("broker:9092")


def test_the_password_is_in_no_repr(monkeypatch):
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cret")
    assert "s3cret" not in repr(load_security())
    assert connection("broker:9092")["sasl_plain_password"] == "s3cret"


@pytest.mark.parametrize(
    ("bootstrap", "open_"), [("localhost:1,127.0.0.1:2,[::1]:3", False), ("localhost:1,broker:2", True)]
)
def test_loopback_needs_no_encryption(bootstrap, open_):
    assert unencrypted(bootstrap) == open_


@pytest.mark.parametrize(
    "url", ["redis://me:half/s3cret@host:6379", "redis://host/0?password=s3cret", "http://me:s3cret@host", "s3cret",
            "rediss://host/0?ssl_cert_reqs=none&x=s3cret"],
)  # fmt: skip
def test_a_redis_url_that_cannot_be_used_safely_is_refused_and_not_repeated(url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SettingsError, match="REDIS_URL: write redis://") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)


def test_a_redis_url_may_hold_a_password(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "rediss://me:s3cret%2F@host:6379/0")
    assert "s3cret" not in repr(load_settings())
