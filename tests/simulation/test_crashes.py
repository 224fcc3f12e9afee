"""Join and performance in memory, killed between any two effects: what is told in the end equals the batch join."""

import random

import pytest

import oracle
from leadline.records import JoinCounts, Outcome, Prediction, WindowMetrics
from leadline.replay.report import counts, newest
from leadline.settings import ModelSettings
from leadline.testing import Crash, Driver
from leadline.topology import step
from leadline.wire.codec import key_of, value_of
from logs import OneModel

STEPS = [step("join"), step("performance")]


def logs(rng):
    """Two logs with everything that goes wrong in them, in order of arrival."""
    time, predictions, outcomes = 0, [], []
    for _ in range(rng.randint(20, 120)):
        time += rng.randint(0, 20)
        request = f"r{rng.randint(0, 25)}"
        if rng.random() < 0.5:
            predictions.append(
                {
                    "request_id": request,
                    "model_version": rng.choice(["v1", "v2"]),
                    "event_time": time - rng.randint(0, 60),
                    "score": rng.choice([0.0, 1.0, rng.random()]),
                    "label_pred": rng.randint(0, 1),
                    "segment": rng.choice("ab"),
                    "arrival_time": time,
                }
            )
        else:
            outcome = rng.choice([0.0, 1.0, 1.0, None])
            outcomes.append(
                {
                    "request_id": request,
                    "outcome": outcome,
                    "outcome_time": time - rng.randint(-30, 90),
                    "arrival_time": time,
                }
            )
    return predictions, outcomes, time + rng.randint(0, 300)


def publish(driver, predictions, outcomes):
    for p in predictions:
        record = Prediction(
            p["request_id"], "m", p["model_version"], "champion", "", p["event_time"], p["arrival_time"], p["score"], p["label_pred"],
            [], "", [p["segment"]], None,
        )  # fmt: skip
        driver.publish("predictions", key_of(record), value_of(record), p["arrival_time"])
    for o in outcomes:
        record = Outcome(o["request_id"], o["outcome"], o["outcome_time"])
        driver.publish("outcomes", key_of(record), value_of(record), o["arrival_time"])


def settle_with_crashes(driver, rng):
    """Work in small runs of random tasks; a task that crashed starts again from its disk, or from its changelog alone."""
    places = [
        (each, partition, noun) for each in STEPS for partition in range(driver.partitions) for noun in each.reads
    ]
    crashes, idle = 0, 0
    while idle < 200:
        place = rng.choice(places)
        try:
            took = driver.work(*place, rng.randint(1, 9))
        except Crash:
            crashes += 1
            took = 1
        if rng.random() < 0.05:
            driver.kill(*place[:2], disk_too=rng.random() < 0.5)
        idle = 0 if took else idle + 1
    return crashes


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_counted_twice(seed):
    rng = random.Random(seed)
    policy = rng.choice(["first", "latest"])
    predictions, outcomes, as_of = logs(rng)

    def crash(_):
        if rng.random() < 0.1:
            raise Crash

    model = ModelSettings(name="m", horizon=80, window=100, policy=policy, grace="never")
    driver = Driver(OneModel(model), STEPS, partitions=rng.choice([1, 2, 3]), on_effect=crash)
    publish(driver, predictions, outcomes)
    for noun in ("predictions", "outcomes"):
        driver.tick(noun, as_of)
    assert settle_with_crashes(driver, rng) > 0

    told = [record for record in driver.read("metrics") if isinstance(record, WindowMetrics | JoinCounts)]
    windows, totals = newest(told)
    wanted, rows, _ = oracle.join(predictions, outcomes, horizon=80, window=100, policy=policy, as_of=as_of)
    got = counts(totals, 0)
    assert {name: got[name] for name in wanted} == wanted
    assert {(w.model_version, w.window_start, w.segment) for w in windows} == set(rows)
    for window in windows:
        row = rows[window.model_version, window.window_start, window.segment]
        assert [
            getattr(window, n) for n in ("predictions", "matched", "pending", "expired", "tp", "fp", "fn", "tn")
        ] == [row[n] for n in ("predictions", "matched", "pending", "expired", "tp", "fp", "fn", "tn")]
        for name in ("accuracy", "precision", "recall", "f1", "logloss", "brier", "mean_score", "outcome_rate"):
            value = getattr(window, name)
            assert (value and value.value) == (row[name] if row[name] is None else pytest.approx(row[name], abs=1e-9))
        assert (window.auc is None) == (row["auc"] is None)
        if window.auc is not None:
            assert abs(window.auc.value - row["auc"]) <= window.auc_error + 1e-12
