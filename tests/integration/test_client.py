"""The client of the package against a worker: ask, await, tell, and read on, in asyncio and without."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from leadline.client import ORIGIN, Client, RefusedError, SyncClient
from leadline.kafka import cluster
from leadline.learning.add import add_version
from leadline.records import LabeledPrediction, Prediction, WindowMetrics
from leadline.settings import ModelSettings

pytestmark = pytest.mark.integration

SETTINGS = ModelSettings(name="fraud", numeric=["x"], horizon=3_600_000, window=3_600_000)


@pytest.fixture(scope="module")
def served(kafka, tmp_path_factory):
    """The prefix of topics, and an environment, where a worker serves a model."""
    home, prefix = tmp_path_factory.mktemp("client"), f"test-{uuid.uuid4().hex[:8]}"
    table = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 0, 1, 1]})
    model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    add_version(home / "models", SETTINGS, "v1", model, table, "y")
    env = os.environ | {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none",
        "LEADLINE_MODELS": str(home / "models"), "LEADLINE_STATE": str(home / "state"),
    }  # fmt: skip
    leadline = [sys.executable, "-m", "leadline"]
    subprocess.run([*leadline, "topics", "apply"], env=env, cwd=home, check=True, timeout=120, capture_output=True)
    with (home / "log").open("wb") as log:
        worker = subprocess.Popen([*leadline, "worker"], env=env, cwd=home, stderr=log)
    promote = [*leadline, "model", "promote", "fraud", "v1"]
    subprocess.run(promote, env=env, cwd=home, check=True, timeout=120, capture_output=True)
    yield prefix, env
    worker.send_signal(signal.SIGINT)
    worker.wait(60)
    asyncio.run(cluster.remove(kafka, prefix))


def test_ask_await_tell_and_read_the_label(served, kafka):
    prefix, _ = served

    async def walk():
        began = datetime.now(UTC) - timedelta(seconds=5)
        async with Client(kafka, prefix) as client:
            found = await asyncio.gather(*(client.predict("fraud", {"x": float(x)}, within_s=30) for x in range(4)))
            assert [each.predicted_label for each in found] == [0, 0, 1, 1]
            for each in found:
                await client.send_outcome(each.request_id, each.predicted_label == 1)
            async with client.records("labeled-predictions", since=began) as labeled, asyncio.timeout(60):
                seen = {}
                async for each in labeled:
                    assert isinstance(each.record, LabeledPrediction)
                    seen[each.record.prediction.request_id] = each.record.outcome
                    if len(seen) == 4:
                        break
            assert seen == {each.request_id: float(each.predicted_label) for each in found}
            async with client.records("metrics", since=ORIGIN) as metrics, asyncio.timeout(60):
                async for each in metrics:
                    if isinstance(each.record, WindowMetrics) and each.record.matched >= 4:
                        assert each.record.accuracy.value == 1.0
                        break

    asyncio.run(walk())


def test_a_request_that_is_refused_says_why_and_one_without_an_answer_says_that(served, kafka):
    prefix, _ = served

    async def walk():
        async with Client(kafka, prefix) as client:
            with pytest.raises(RefusedError, match="unknown-model") as error:
                await client.predict("nobody", {"x": 1.0}, within_s=30)
            assert error.value.reason == "unknown-model"
            with pytest.raises(TimeoutError):
                await client.predict("fraud", {"x": 1.0}, within_s=0.0001)
            assert (await client.predict("fraud", {"x": 3.0}, within_s=30)).predicted_label == 1

    asyncio.run(walk())


def test_without_asyncio_and_by_hand(served, kafka):
    prefix, _ = served
    with SyncClient(kafka, prefix) as client:
        asked = [client.predict("fraud", {"x": 3.0}, within_s=30).request_id for _ in range(3)]
        group = uuid.uuid4().hex
        with client.records("predictions", since=ORIGIN, group=group, by_hand=True) as predictions:
            first = next(predictions)
            assert isinstance(first.record, Prediction)
            predictions.commit()
            next(predictions)  # it is handed out, and not committed
        with client.records("predictions", since=ORIGIN, group=group, by_hand=True) as predictions:
            again = []
            while not set(asked) <= {first.record.request_id, *again}:
                again.append(next(predictions).record.request_id)
        assert first.record.request_id not in again
        assert len(again) == len(set(again))
        with pytest.raises(ValueError, match="choose from"):
            client.records("nothing")
