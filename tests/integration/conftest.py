"""Real servers, one of each for the session: your own where KAFKA_BOOTSTRAP and REDIS_URL name them, else embedded ones."""

import pytest

from leadline.embedded import servers
from leadline.settings import load_settings


@pytest.fixture(scope="session")
def kafka():
    with servers(load_settings(), redis=False) as running:
        yield running.bootstrap


@pytest.fixture(scope="session")
def redis_url():
    with servers(load_settings(kafka_bootstrap="none:1"), redis=True) as running:
        yield running.redis_url
