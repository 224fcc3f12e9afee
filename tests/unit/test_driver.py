"""The driver hosts tables, and steps that gather, as they are said to be hosted."""

import random

import pytest

from leadline.core.processor import Effects, EventDriven, Output
from leadline.core.scoring.routing import Deployments
from leadline.records import Outcome, RetrainRequest, Rollout
from leadline.testing.driver import Crash, Driver
from leadline.topology import Step
from leadline.wire.codec import key_of, value_of
from stages import Models

PARTITIONS = 3


class Counting(EventDriven):
    """Numbers the outcomes of all partitions in one row, and says which partition each is of."""

    def __init__(self, store):
        self.store = store

    def on_time(self, now_ms, idle):
        self.idle = idle
        return Effects()

    def on_batch(self, batch):
        held = int(self.store.get(b"n") or 0)
        requests = [
            RetrainRequest(
                retrain_id=str(held + at),
                model="m",
                model_version=str(batch.partition),
                event_time=at,
                cause=key.decode(),
                alert_id="",
                evidence={},
            )
            for at, key in enumerate(batch.keys)
        ]
        self.store.put(b"n", b"%d" % (held + len(requests)))
        return Effects([Output("retrain-requests", [b"m"] * len(requests), records=requests)])


class Asking(EventDriven):
    """Says for each outcome who answers for the model."""

    def __init__(self, deployments):
        self.deployments = deployments

    def on_batch(self, batch):
        champion = self.deployments.champion("m") or "nobody"
        requests = [
            RetrainRequest(
                retrain_id=key.decode(),
                model="m",
                model_version=champion,
                event_time=0,
                cause="",
                alert_id="",
                evidence={},
            )
            for key in batch.keys
        ]
        return Effects([Output("retrain-requests", batch.keys, records=requests)])


GATHERING = Step("gathering", ("outcomes",), ("retrain-requests",), lambda task: Counting(task.store), gathers=True)
ASKING = Step(
    "asking",
    ("outcomes",),
    ("retrain-requests",),
    lambda task: Asking(Deployments(task.tables["rollouts"])),
    stateful=False,
    tables=("rollouts",),
)


def publish(driver, record, arrival_ms=0):
    topic = "rollouts" if isinstance(record, Rollout) else "outcomes"
    driver.publish(topic, key_of(topic, record), value_of(record), arrival_ms)


@pytest.mark.parametrize("seed", range(20))
def test_a_step_that_gathers_is_one_task_over_all_partitions(seed):
    """Whatever happens to it, each record of each partition counts once."""
    rng = random.Random(seed)

    def crash(_):
        if rng.random() < 0.1:
            raise Crash

    driver = Driver(Models(), [GATHERING], PARTITIONS, on_effect=crash)
    left = 60
    while left or any(work(driver, rng) for _ in range(40)):
        if left:
            left -= 1
            publish(driver, Outcome(f"r{left}", 1.0, 0))
        if rng.random() < 0.3:
            work(driver, rng)
        if rng.random() < 0.1:
            driver.move(GATHERING, rng.randrange(PARTITIONS), rng.randrange(2))
        if rng.random() < 0.1:
            driver.kill(GATHERING, rng.randrange(PARTITIONS), disk_too=True)
    rows = driver.read("retrain-requests")
    assert [row.retrain_id for row in rows] == [str(number) for number in range(60)]
    assert {row.cause for row in rows} == {f"r{number}" for number in range(60)}
    for partition in range(PARTITIONS):
        own = [key.decode() for key, *_ in driver.topics["outcomes", partition]]
        assert own == [row.cause for row in rows if row.model_version == str(partition)]


def work(driver, rng):
    try:
        return driver.work(GATHERING, rng.randrange(PARTITIONS), "outcomes", rng.randint(1, 4))
    except Crash:
        return 1


def test_a_source_of_a_step_that_gathers_is_idle_when_all_its_partitions_are():
    driver = Driver(Models(), [GATHERING], PARTITIONS)
    for number in range(30):
        publish(driver, Outcome(f"r{number}", 1.0, 0))
    task = driver._task(GATHERING, 2)
    for partition in range(PARTITIONS):
        driver.pass_time(10)
        assert task.processor.idle == frozenset()
        driver.work(GATHERING, partition, "outcomes", 1000)
    driver.pass_time(10)
    assert task.processor.idle == {"outcomes"}


def test_tables_are_read_to_their_end_before_a_run():
    driver = Driver(Models(), [ASKING], PARTITIONS)
    for number, champion in enumerate((None, "v1", "v2")):
        if champion:
            publish(driver, Rollout("m", champion, 0, "me", "why"), number)
        publish(driver, Outcome(f"r{number}", 1.0, 0), number)
        driver.settle()
    said = {row.retrain_id: row.model_version for row in driver.read("retrain-requests")}
    assert said == {"r0": "nobody", "r1": "v1", "r2": "v2"}


def test_a_task_that_starts_again_knows_its_tables():
    driver = Driver(Models(), [ASKING])
    publish(driver, Rollout("m", "v1", 0, "me", "why"))
    for number in range(2):
        publish(driver, Outcome(f"r{number}", 1.0, 0))
        driver.settle()
        driver.kill(ASKING, 0, disk_too=True)
    assert [row.model_version for row in driver.read("retrain-requests")] == ["v1", "v1"]
