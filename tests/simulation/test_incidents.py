"""The whole topology in memory: a log gives the same confirmed incidents live, at once, in other runs and in other partitions.

The same records, word for word: ids, times, windows, causes, evidence.
"""

import random

import numpy as np
import pytest

from leadline.core.models import LoadedVersion, Signature
from leadline.core.reference import ReferenceProfile, SegmentReference
from leadline.core.windows.reference_bins import build_profile
from leadline.records import Outcome, PredictionRequest, Rollout
from leadline.settings import AlertLimits, ModelSettings
from leadline.testing.driver import Driver
from leadline.topology import STEPS
from leadline.wire.codec import key_of, value_of
from stages import Models

WINDOW, HORIZON, EACH = 1000, 3000, 10
COUNT = 24 * WINDOW // EACH
CONFIRMED = ("performance", "concept-drift", "calibration", "labels-biased")


class Curve:
    def predict(self, matrix, texts=None):
        return 1 / (1 + np.exp(-matrix[:, 0]))


def models(by="c"):
    signature, values = Signature("s", ["x"], [], {}), np.linspace(-3, 3, 200).reshape(-1, 1)
    binned = build_profile(signature, values, Curve().predict(values), {"accuracy": 0.9})
    windows = [[float(i), 200.0, 180.0] for i in range(10)]
    segments = [SegmentReference(name, 2000, {"accuracy": 0.9}, windows) for name in ("*", "c=a", "c=b")]
    profile = ReferenceProfile(2000, binned.features, binned.metrics, [], WINDOW, [], segments)
    settings = ModelSettings(
        name="m", numeric=["x"], segments=[by] if by else [], horizon=HORIZON, window=WINDOW, grace=2 * WINDOW,
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


def sparse(seed, kind):
    """A few requests in each window, so that many partitions have none of it; outcomes come up to two windows after maturity.

    From window 8 to 17 answers are wrong (``performance``), or right far more often than their scores say (``calibration``).
    """
    rng, rows = random.Random(seed), []
    for number in range(24 * WINDOW // 300):
        at, category, bad = number * 300, rng.choice("ab"), 8 <= number * 300 // WINDOW < 18
        x = rng.uniform(0.1, 1) if bad and kind == "calibration" else rng.uniform(-3, 3)
        chance = 1 / (1 + np.exp(-x)) if not bad else 0.97 if kind == "calibration" else float(x < 0)
        request = PredictionRequest(f"r{number}", "m", at, {"x": x}, "", {"c": category})
        happened = at + rng.randint(1, HORIZON)
        arrives = happened + rng.choice([0, 0, 0, rng.randint(0, HORIZON)])
        rows.append((at, "prediction-requests", request))
        rows.append((arrives, "outcomes", Outcome(f"r{number}", float(rng.random() < chance), happened)))
    return sorted(rows, key=lambda row: row[0])


def started(partitions, by="c"):
    driver = Driver(models(by), partitions=partitions)
    rollout = Rollout("m", "v1", 0, "test", "to see")
    driver.publish("rollouts", key_of("rollouts", rollout), value_of(rollout), 0)
    return driver


def unevenly(driver, rng, most):
    """Let the tasks work, some of them a hundred times less often than others."""
    sources = [(step, p, topic) for step in STEPS for p in range(driver.partitions) for topic in step.reads]
    for _ in range(4):
        slow = rng.sample(sources, len(sources) // 3)
        for _ in range(40):
            for source in sources:
                if source not in slow or rng.random() < 0.01:
                    driver.work(*source, rng.randint(1, most))


def told(driver):
    return [each for each in driver.read("alerts") if each.kind in CONFIRMED]


def incidents(rows, partitions, most, every, by="c"):
    driver = started(partitions, by)
    for i, (at, topic, record) in enumerate(rows):
        driver.publish(topic, record.request_id.encode(), value_of(record), at)
        if every and i % every == 0:
            driver.settle(most)
    driver.settle(most)
    for topic in ("predictions", "outcomes"):
        driver.tick(topic, 60 * WINDOW)
    driver.settle(most)
    return told(driver)


def incidents_of_uneven_work(rows, partitions, most, seed):
    driver, rng = started(partitions, by=""), random.Random(seed)
    for at, topic, record in rows:
        driver.publish(topic, record.request_id.encode(), value_of(record), at)
    unevenly(driver, rng, most)
    driver.settle()
    for topic in ("predictions", "outcomes"):
        driver.tick(topic, 60 * WINDOW)
    unevenly(driver, rng, most)
    driver.settle()
    return told(driver)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_incidents_however_the_log_is_read(seed):
    rows = log(seed)
    one = incidents(rows, partitions=1, most=50, every=100)
    assert [(each.kind, each.state) for each in one][:1] == [("performance", "opened")]
    assert "c=b" in one[0].segments
    assert one[0].window_start // WINDOW in (8, 9)
    assert one[0].at == one[0].window_end + HORIZON
    assert incidents(rows, partitions=1, most=5000, every=0) == one
    assert incidents(rows, partitions=3, most=70, every=300) == one
    assert incidents(rows, partitions=4, most=1000, every=0) == one


@pytest.mark.parametrize("kind", ["performance", "calibration"])
@pytest.mark.parametrize("seed", range(3))
def test_a_window_that_only_a_slow_task_knows_of_is_waited_for(kind, seed):
    rows, rng = sparse(seed, kind), random.Random(seed)
    one = incidents(rows, partitions=1, most=50, every=7, by="")
    assert one[0].kind == kind
    for partitions in rng.sample([2, 3, 4], 2):
        assert incidents_of_uneven_work(rows, partitions, rng.choice([5, 50, 1000]), seed) == one
