"""Features from a real Redis that is killed, sleeps, is empty, or holds what nobody expects there."""

import os
import signal
import time

import numpy as np
import pytest
import redis.asyncio as redis

from leadline.embedded import EmbeddedRedis
from leadline.lookups.features import FeaturesAwayError, FeatureView, put_features, row_key
from leadline.records import PredictionRequest
from leadline.settings import Lookup, ModelSettings, load_settings
from leadline.wire.codec import decode, value_of
from leadline.wire.run import Run
from stages import Models

pytestmark = pytest.mark.integration

HELD = {"jfk": {"wind": 3.0}, "lga": {"wind": 5.0}}
UPDATED_MS = 1_700_000_000_000


@pytest.fixture
async def server(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        client = redis.from_url(running.url)
        for key, values in HELD.items():
            await put_features(client, "p", "weather", key, values, UPDATED_MS)
        await client.hset(row_key("p", "weather", "odd"), mapping={"wind": "1_0", "updated_ms": "1e400"})
        await client.set(row_key("p", "weather", "text"), "no hash")
        await client.aclose()
        yield running


@pytest.fixture
def view(server):
    yield (found := view_of(server, "nan"))
    found.close()


def view_of(server, missing):
    model = ModelSettings(
        name="m", numeric=["wind"], lookups={"weather": Lookup(key="origin", features=["wind"])}, missing=missing
    )
    return FeatureView(load_settings(redis_url=server.url, prefix="p"), Models({"m": model}))


def requests(*origins):
    made = [
        value_of(
            PredictionRequest(
                request_id=f"r{n}", model="m", event_time=0, features={}, user_id="", categories={"origin": o}
            )
        )
        for n, o in enumerate(origins)
    ]
    count, keys = len(made), [f"r{n}".encode() for n in range(len(made))]
    run = Run("prediction-requests", 0, list(range(count)), [0] * count, keys, made, [()] * count)
    return decode(run, 1 << 20)[0]


def test_a_key_of_another_type_is_a_missing_row_and_redis_is_asked_again(view):
    assert np.isnan(view.fetch(requests("text")).values["wind"]).all()
    assert view.fetch(requests("jfk")).values["wind"] == [3]


def test_what_redis_does_not_know_is_missing_and_has_no_age(view):
    found = view.fetch(requests("jfk", "nowhere", "odd", "text", "lga", "jfk"))
    np.testing.assert_array_equal(found.values["wind"], [3, np.nan, np.nan, np.nan, 5, 3])
    np.testing.assert_array_equal(found.updated_ms, [UPDATED_MS, np.nan, np.nan, np.nan, UPDATED_MS, UPDATED_MS])


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_without_redis_features_are_missing_and_it_is_left_alone_for_a_while(server, view, fault):
    assert view.fetch(requests("jfk")).values["wind"] == [3]
    pid = server.pid
    os.kill(pid, fault)
    try:
        began = time.monotonic()
        for _ in range(100):
            found = view.fetch(requests("jfk", "lga"))
            assert np.isnan(found.values["wind"]).all()
            assert np.isnan(found.updated_ms).all()
        assert time.monotonic() - began < 10  # a hundred waits would be half a minute and more
    finally:
        os.kill(pid, signal.SIGCONT) if fault == signal.SIGSTOP else server.start()
    client = redis.from_url(server.url)
    await put_features(client, "p", "weather", "jfk", {"wind": 8.0}, UPDATED_MS)  # a killed server saved nothing
    await client.aclose()
    deadline = time.monotonic() + 30
    while view.fetch(requests("jfk")).values["wind"] != [8]:
        assert time.monotonic() < deadline


def test_a_model_that_refuses_what_is_missing_waits_for_redis(server):
    view = view_of(server, "refuse")
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(FeaturesAwayError, match="check REDIS_URL"):
        view.fetch(requests("jfk"))
    view.close()
