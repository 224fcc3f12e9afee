"""Retraining decides by its logs alone: however alerts and rollouts are read, the same requests come out, those of a naive reading."""

from dataclasses import asdict
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.records import Alert, Rollout
from leadline.settings import ModelSettings
from leadline.testing import oracle
from leadline.testing.driver import Crash, Driver
from leadline.topology import step
from leadline.wire.codec import value_of
from stages import Models

COOLDOWN = 100
MODELS = Models({name: ModelSettings(name=name, retrain_cooldown=COOLDOWN) for name in "mn"})
STEP = step("retraining")
TIMES = st.integers(0, 400)


@st.composite
def alerts(draw):
    """An alert with its arrival time; few ids, so that one may open, resolve and open again."""
    number, state = (
        draw(st.integers(0, 9)),
        draw(st.sampled_from(["opened", "opened", "updated", "resolved", "withdrawn"])),
    )
    kind = draw(st.sampled_from(["performance"] * 3 + ["concept-drift", "data-drift"]))
    alert = Alert(
        alert_id=f"a{number}",
        kind=kind,
        severity="critical",
        state=state,
        model=draw(st.sampled_from("mmn")),
        model_version=draw(st.sampled_from(["v1", "v2"])),
        segment=draw(st.sampled_from(["*", "*", "*", "a=b"])),
        window_start=0,
        window_end=40 * number,
        revision=1,
        evidence={},
        runbook="",
        early=draw(st.sampled_from([False] * 4 + [True])),
    )
    return alert, draw(TIMES)


@st.composite
def rollouts(draw):
    arrival_ms = draw(TIMES)
    champion = draw(st.sampled_from(["v1", "v2", "not-here"]))
    return Rollout(draw(st.sampled_from("mn")), champion, arrival_ms, "test", "to see"), arrival_ms


LOG_OF_ALERTS = st.lists(alerts(), max_size=25).map(lambda log: sorted(log, key=lambda each: each[1]))
LOG_OF_ROLLOUTS = st.lists(rollouts(), max_size=8).map(lambda log: sorted(log, key=lambda each: each[1]))


def publish(driver, topic, record, arrival_ms):
    driver.publish(topic, record.model.encode(), value_of(record), arrival_ms)


def replay(alert_log, rollout_log, random, partitions):
    """Read both logs, the alerts in runs of any length, while workers die and lose their disks.

    An alert is there after all rollouts that arrived before it; of the later rollouts some may be there, or none.
    """
    driver = Driver(MODELS, [STEP], partitions, on_effect=lambda _: crash(random))
    waiting, later = list(alert_log), list(rollout_log)
    while waiting or later:
        due = later and (not waiting or later[0][1] < waiting[0][1])
        if due or (later and random.random() < 0.3):
            publish(driver, "rollouts", *later.pop(0))
        else:
            publish(driver, "alerts", *waiting.pop(0))
        if random.random() < 0.5:
            work(driver, random)
    while any(work(driver, random) for _ in range(20 * partitions)):
        pass
    return driver.log("retrain-requests")


def crash(random):
    if random.random() < 0.1:
        raise Crash


def work(driver, random):
    partition = random.randrange(driver.partitions)
    if random.random() < 0.1:
        driver.kill(STEP, partition, disk_too=random.random() < 0.5)
    try:
        return driver.work(STEP, partition, "alerts", random.randint(1, 5))
    except Crash:
        return 1


def of(model, log):
    return [asdict(record) | {"arrival_time": arrival_ms} for record, arrival_ms in log if record.model == model]


@settings(max_examples=200)
@given(LOG_OF_ALERTS, LOG_OF_ROLLOUTS, st.integers(0, 2**32).map(Random), st.integers(1, 3))
def test_every_reading_of_the_logs_asks_for_the_same(alert_log, rollout_log, random, partitions):
    one, other = (replay(alert_log, rollout_log, random, partitions) for _ in range(2))
    assert one == other
    for model in "mn":
        wanted = oracle.retrain(of(model, alert_log), of(model, rollout_log), COOLDOWN)
        assert [row["alert_id"] for row in one if row["model"] == model] == wanted
