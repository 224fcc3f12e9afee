"""The whole topology in memory: a log gives the same confirmed incidents live, at once, in other runs and in other partitions."""

import random

import numpy as np
import pytest

from leadline.core.models import LoadedVersion, Signature
from leadline.core.reference import ReferenceProfile, SegmentReference
from leadline.core.windows.reference_bins import build_profile
from leadline.records import Outcome, PredictionRequest, Rollout
from leadline.settings import AlertLimits, ModelSettings
from leadline.testing.driver import Driver
from leadline.wire.codec import key_of, value_of
from stages import Models

WINDOW, HORIZON, EACH = 1000, 3000, 10
COUNT = 24 * WINDOW // EACH


class Curve:
    def predict(self, matrix, texts=None):
        return 1 / (1 + np.exp(-matrix[:, 0]))


def models():
    signature, values = Signature("s", ["x"], [], {}), np.linspace(-3, 3, 200).reshape(-1, 1)
    binned = build_profile(signature, values, Curve().predict(values), {"accuracy": 0.9})
    windows = [[float(i), 200.0, 180.0] for i in range(10)]
    segments = [SegmentReference(name, 2000, {"accuracy": 0.9}, windows) for name in ("*", "c=a", "c=b")]
    profile = ReferenceProfile(2000, binned.features, binned.metrics, [], WINDOW, [], segments)
    settings = ModelSettings(
        name="m", numeric=["x"], segments=["c"], horizon=HORIZON, window=WINDOW, grace=2 * WINDOW,
        alerts=AlertLimits(false_alarms=f"1 per {30 * WINDOW}ms"),
    )  # fmt: skip
    return Models({"m": settings}, {("m", "v1"): LoadedVersion(settings, "v1", signature, profile, Curve())})


def log(seed):
    """Requests with outcomes that come up to a horizon later; from windows 8 to 13 the category b is answered wrong half of the time."""
    rng, rows = random.Random(seed), []
    for number in range(COUNT):
        at, x, category = number * EACH, rng.uniform(-3, 3), rng.choice("ab")
        bad = 0.7 if category == "b" and 8 <= at // WINDOW < 14 else 0.1
        truth = float((x > 0) != (rng.random() < bad))
        request = PredictionRequest(f"r{number}", "m", at, {"x": x}, "", {"c": category})
        late = rng.randint(1, HORIZON)
        rows.append((at, "prediction-requests", request))
        rows.append((at + late, "outcomes", Outcome(f"r{number}", truth, at + late)))
    return sorted(rows, key=lambda row: row[0])


def incidents(rows, partitions, most, every):
    driver = Driver(models(), partitions=partitions)
    rollout = Rollout("m", "v1", 0, "test", "to see")
    driver.publish("rollouts", key_of("rollouts", rollout), value_of(rollout), 0)
    for i, (at, topic, record) in enumerate(rows):
        driver.publish(topic, record.request_id.encode(), value_of(record), at)
        if every and i % every == 0:
            driver.settle(most)
    driver.settle(most)
    for topic in ("predictions", "outcomes"):
        driver.tick(topic, 60 * WINDOW)
    driver.settle(most)
    confirmed = [each for each in driver.read("alerts") if each.kind in ("performance", "concept-drift")]
    return [
        (each.alert_id, each.kind, each.state, each.segments, each.window_start, each.evidence["value"])
        for each in confirmed
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_incidents_however_the_log_is_read(seed):
    rows = log(seed)
    one = incidents(rows, partitions=1, most=50, every=100)
    assert [(kind, state) for _, kind, state, *_ in one][:1] == [("performance", "opened")]
    assert "c=b" in one[0][3]
    assert one[0][4] // WINDOW in (8, 9)
    assert incidents(rows, partitions=1, most=5000, every=0) == one
    assert incidents(rows, partitions=3, most=70, every=300) == one
    assert incidents(rows, partitions=4, most=1000, every=0) == one
