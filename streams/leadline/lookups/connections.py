"""The options with which every client of Redis is made: its URL, and certificates from the environment."""

from typing import Any

import redis
import redis.asyncio
from pydantic import SecretStr

from leadline.settings import load_security


def redis_client(url: SecretStr, **options: Any) -> redis.asyncio.Redis:
    """A client for coroutines; the URL may hold a password."""
    return redis.asyncio.from_url(url.get_secret_value(), **_with_security(url, options))


def blocking_redis_client(url: SecretStr, **options: Any) -> redis.Redis:
    """A client for a thread that waits for its answers."""
    return redis.from_url(url.get_secret_value(), **_with_security(url, options))


def _with_security(url: SecretStr, options: dict[str, Any]) -> dict[str, Any]:
    cafile = load_security().redis_ssl_cafile
    if url.get_secret_value().startswith("rediss:"):
        options |= {"ssl_ca_certs": str(cafile)} if cafile else {}
        options |= {"ssl_check_hostname": True}
    return options
