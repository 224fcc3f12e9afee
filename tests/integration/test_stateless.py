"""The stateless lane on a real broker: every request is scored, and none is acknowledged before its prediction is there."""

import asyncio
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from hostile import Spoilt
from leadline.core.models import LoadedVersion, Signature
from leadline.hosts import patience, scoring
from leadline.hosts.contract import Installation
from leadline.hosts.scoring import ScoringLane
from leadline.hosts.tables import HostedTable, Tables
from leadline.kafka import cluster, quick_producers
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import new_producer
from leadline.lookups.features import FeaturesAwayError, FeatureView
from leadline.records import PredictionRequest
from leadline.settings import ModelSettings, load_settings
from leadline.topology import step
from leadline.wire.codec import WIRE, value_of
from servers import InProcess, Talk
from stages import Models, rolled_out

pytestmark = pytest.mark.integration

SETTINGS = ModelSettings(name="m", numeric=["x"])


class Doubles:
    def predict(self, matrix, texts=None):
        return np.abs(matrix[:, 0]) * 2


@pytest.fixture
async def talk(kafka, tmp_path):
    settings = load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}", models=tmp_path)
    await apply_topics(kafka, settings.prefix, 2, 1, None, [])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


@asynccontextmanager
async def running(talk, view=None):
    scored = LoadedVersion(SETTINGS, "v1", Signature("s", ["x"], [], {}), None, Doubles())
    models = Models({"m": SETTINGS}, {("m", "v1"): scored})
    view = view or FeatureView(talk.settings, models)
    rollouts = HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE)
    rollouts.table = rolled_out(m="v1")
    lane = ScoringLane(
        step("scoring"), Installation(talk.settings, talk.bootstrap, models, tables=Tables([rollouts])), view
    )
    working = asyncio.create_task(lane.run())
    try:
        yield InProcess(working)
    finally:
        lane.stop()
        await working


def request(n, user=""):
    return PredictionRequest(
        request_id=f"r{n}", model="m", event_time=n, features={"x": n / 1000}, user_id=user, categories={}
    )


async def ask(talk, numbers):
    await talk.send("prediction-requests", [(b"r%d" % n, value_of(request(n)), n) for n in numbers])


async def scores(talk):
    return sorted((made.request_id, made.score) for made in await talk.read("predictions"))


def expected(numbers):
    return sorted((f"r{n}", n / 1000 * 2) for n in numbers)


async def test_each_request_is_scored_on_its_own_partition_and_not_again_by_the_next_owner(talk):
    await ask(talk, range(300))
    async with running(talk) as lane:
        await talk.settle(lane, ["scoring"])
        await ask(talk, range(300, 303))
        await talk.settle(lane, ["scoring"])
    async with running(talk) as lane:
        await ask(talk, [303])
        await talk.settle(lane, ["scoring"])
    assert await scores(talk) == expected(range(304))
    asked = {record.key: record.partition for record in await talk.records("prediction-requests")}
    assert {record.key: record.partition for record in await talk.records("predictions")} == asked


async def test_what_is_done_is_acknowledged_when_the_lane_stops(talk, monkeypatch):
    monkeypatch.setattr(scoring, "COMMIT_EVERY_S", 3600)  # and not before
    await ask(talk, range(300))
    async with running(talk), asyncio.timeout(120):
        while len(await talk.records("predictions")) < 300:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert not sum((await cluster.lag(talk.bootstrap, talk.prefix, step("scoring"))).values())
    assert await scores(talk) == expected(range(300))


async def test_the_ends_of_transactions_leave_no_lag(talk):
    async with running(talk) as lane, new_producer(talk.bootstrap, f"{talk.prefix}-asks") as producer:
        for n in range(3):
            async with producer.transaction():
                for partition in range(2):
                    key = b"r%d" % (2 * n + partition)
                    value = value_of(request(2 * n + partition))
                    await producer.send(f"{talk.prefix}.prediction-requests", value, key, partition=partition)
            await talk.settle(lane, ["scoring"])
    assert await scores(talk) == expected(range(6))


async def test_predictions_stand_in_the_order_of_their_requests_where_those_tell_the_time(talk, monkeypatch):
    """However many come at once: behind a later one it would count as later, and may be forgotten by then."""
    monkeypatch.setattr(
        quick_producers, "_TOGETHER_MS", 500
    )  # as a producer is late that finds the broker again after another
    talk.settings = load_settings(prefix=talk.prefix, models=talk.settings.models, clock="records", run_records=40)
    async with running(talk) as lane:
        for numbers in (range(1), range(1, 90), range(90, 180)):
            await ask(talk, numbers)
            await talk.settle(lane, ["scoring"])
    for partition in range(2):
        asked, answered = [
            [each.key for each in await talk.records(topic) if each.partition == partition]
            for topic in ("prediction-requests", "predictions")
        ]
        assert answered == asked


@pytest.mark.parametrize("clock", ["wall", "records"])
@pytest.mark.parametrize(("letters_take", "letter"), [(4 << 20, "whole"), (2000, "stub"), (200, "none")])
async def test_a_prediction_that_its_topic_does_not_take_is_a_dead_letter_and_no_other_comes_twice(
    talk, clock, letters_take, letter
):
    """A letter that its topic does not take either comes without the bytes, or is in the log alone; nothing stands still."""
    talk.settings = load_settings(prefix=talk.prefix, models=talk.settings.models, clock=clock)
    await talk.limit("predictions", 2000)
    await talk.limit("dead-letters", letters_take)
    large = {7, 205}
    asked = [(b"r%d" % n, value_of(request(n, user="u" * 3000 if n in large else "")), n) for n in range(300)]
    async with running(talk) as lane:
        await talk.send("prediction-requests", asked)
        await talk.settle(lane, ["scoring"])
        await ask(talk, [300])
        await talk.settle(lane, ["scoring"])
    assert await scores(talk) == expected(set(range(301)) - large)
    found = [(dict(each.headers), each.value) for each in await talk.records("dead-letters")]
    assert {each["leadline-reason"] for each, _ in found} == ({b"output-too-large"} if letter != "none" else set())
    assert sorted(value for _, value in found) == {
        "whole": sorted(asked[n][1] for n in large), "stub": [b""] * 2, "none": [],
    }[letter]  # fmt: skip
    places = {
        (each.partition, each.offset) for each in await talk.records("prediction-requests") if len(each.value) > 2000
    }
    said = {(int(each["__connect.errors.partition"]), int(each["__connect.errors.offset"])) for each, _ in found}
    assert said == (places if letter != "none" else set())


async def test_a_lane_that_joins_again_lets_go_of_its_clients(talk, monkeypatch):
    """Their threads would be as many as its failures."""
    monkeypatch.setattr(patience, "AGAIN_S", 0.1)
    await ask(talk, range(10))

    counts = []

    class NotThere:
        def fetch(self, batch):
            counts.append(len(list(Path("/proc/self/task").iterdir())))
            raise FeaturesAwayError("not there")

    async with running(talk, NotThere()), asyncio.timeout(120):
        while len(counts) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert max(counts[2:]) <= counts[1]


@pytest.mark.parametrize("clock", ["wall", "records"])
async def test_a_header_that_is_not_utf_8_stops_nothing(talk, clock):
    talk.settings = load_settings(prefix=talk.prefix, models=talk.settings.models, clock=clock)
    topic = f"{talk.prefix}.prediction-requests"
    async with AIOKafkaProducer(bootstrap_servers=talk.bootstrap) as producer:
        batch = producer.create_batch()
        for n in range(3):
            name = "not-utf-8" if n == 1 else "fine"
            batch.append(key=b"r%d" % n, value=value_of(request(n)), timestamp=n, headers=[(name, b"x")])
        batch._builder = Spoilt(batch._builder)
        await (await producer.send_batch(batch, topic, partition=0))
    async with running(talk) as lane:
        await talk.settle(lane, ["scoring"])
    assert await scores(talk) == expected(range(3))
