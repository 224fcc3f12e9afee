"""The whole loop in worker processes on real servers: requests in; predictions, metrics, alerts and a retrain request out."""

import asyncio
import json
import random
import time
import uuid
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import redis.asyncio as redis
from aiokafka import AIOKafkaProducer

from factories import prediction
from leadline.core.windows.latest import latest
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.learning.add import add_version
from leadline.learning.train import train
from leadline.lookups.features import put_features
from leadline.records import Outcome, PredictionRequest, Rollout, WindowMetrics
from leadline.settings import ModelSettings, load_settings
from leadline.topology import STEPS
from leadline.wire.codec import key_of, value_of
from servers import Talk

pytestmark = pytest.mark.integration

HOUR = 3_600_000
START = -3 * HOUR
SETTINGS = ModelSettings(
    name="fraud", numeric=["amount", "age"], categorical=["country"], segments=["country"], horizon=HOUR, grace=HOUR,
    window=HOUR, lookups={"customers": {"key": "customer", "features": ["age"]}}, retrain_cooldown=HOUR,
)  # fmt: skip
NAMES = [step.name for step in STEPS]
COUNTRIES = ["", "de", "österreich"]


def reference(rng):
    amount, age = rng.normal(0, 1, 4000), rng.normal(0, 1, 4000)
    country = rng.choice(COUNTRIES, 4000)
    truth = amount - age + rng.normal(0, 0.7, 4000) > 0
    return pa.table({"amount": amount, "age": age, "country": country, "outcome": truth.astype(float)})


class Loop(Talk):
    """The running loop."""

    def __init__(self, bootstrap, redis_url, settings, predictor):
        super().__init__(bootstrap, settings, redis_url)
        self.predictor = predictor

    async def settle(self):
        await super().settle(self.workers, NAMES)

    async def reasons(self):
        """Reasons of the dead letters, by key."""
        return {r.key: dict(r.headers)["leadline-reason"].decode() for r in await self.records("dead-letters")}


@pytest.fixture(scope="module")
def loop(kafka, redis_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    settings = load_settings(
        prefix=f"test-{uuid.uuid4().hex[:8]}", clock="records", models=folder / "models", state=folder / "state"
    )
    data = reference(np.random.default_rng(3))
    version = add_version(settings.models, SETTINGS, "v1", train(data, SETTINGS, "outcome"), data, "outcome")
    asyncio.run(prepare(kafka, redis_url, settings))
    loop = Loop(kafka, redis_url, settings, version.predictor)
    with Workers(2, NAMES, loop.environment, settings.state, folder / "logs", lambda _: None) as loop.workers:
        yield loop
    asyncio.run(cluster.remove(kafka, settings.prefix))


async def prepare(kafka, redis_url, settings):
    stateful = [step.name for step in STEPS if step.stateful]
    await apply_topics(kafka, settings.prefix, 2, 1, None, stateful)
    rollout = Rollout("fraud", "v1", 0, "test", "first")
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(
            f"{settings.prefix}.rollouts", value_of(rollout), key=key_of("rollouts", rollout), partition=0
        )
    client = redis.from_url(redis_url)
    for customer in range(50):
        await put_features(client, settings.prefix, "customers", str(customer), {"age": customer / 25 - 1}, START)
    await client.aclose()


def request(rng, name, event):
    country, customer = rng.choice(COUNTRIES), str(rng.randrange(50))
    categories = {"customer": customer} | ({"country": country} if country else {})
    return PredictionRequest(
        request_id=name,
        model="fraud",
        event_time=event,
        features={"amount": rng.gauss(0, 1)},
        user_id="",
        categories=categories,
    )


def as_json(record):
    return json.dumps(
        {
            "request_id": record.request_id, "model": record.model, "event_time": record.event_time,
            "features": record.features, "categories": record.categories,
        }
    ).encode()  # fmt: skip


def exact(request, predictor, looked_up):
    """The row and the score that a request should get."""
    country = request.categories.get("country")
    row = [request.features["amount"], int(request.categories["customer"]) / 25 - 1 if looked_up else np.nan]
    row.append(np.nan if country is None else ["de", "österreich"].index(country))
    return row, float(predictor.predict(np.array([row]))[0])


async def test_the_loop_from_requests_to_a_retrain_request(loop):
    rng, asked = random.Random(4), []
    for hour in range(6):
        requests = [request(rng, f"hour-{hour}-ö{n}", START + hour * HOUR + n * 10_000) for n in range(300)]
        asked += requests
        rows = [
            (r.request_id.encode(), as_json(r) if n % 3 else value_of(r), r.event_time) for n, r in enumerate(requests)
        ]
        await loop.send("prediction-requests", rows)
    await loop.settle()
    emitted = {p.request_id: p for p in await loop.read("predictions")}
    assert set(emitted) == {r.request_id for r in asked}
    for each in asked:
        made = emitted[each.request_id]
        looked_up = made.feature_age_ms is not None
        row, score = exact(each, loop.predictor, looked_up)
        assert made.score == pytest.approx(score, abs=1e-12)
        assert made.features == pytest.approx(row, nan_ok=True)
        assert made.segments == [f"country={each.categories.get('country', '')}"]
        assert made.feature_age_ms == (each.event_time - START if looked_up else None)
    known = sum(made.feature_age_ms is not None for made in emitted.values())
    assert known > len(asked) / 2, "without a Redis that answers in time requests are scored with what there is"
    for part, wrong in ((asked[:900], True), (asked[900:], False)):  # three hours always wrong, then always right
        outcomes = []
        for each in part:
            truth = float(emitted[each.request_id].predicted_label != wrong)
            record = Outcome(each.request_id, truth, each.event_time + 60_000)
            outcomes.append((each.request_id.encode(), value_of(record), record.outcome_time))
        await loop.send("outcomes", outcomes)
        await loop.settle()
    await loop.tell_time(START + 20 * HOUR)
    await loop.settle()

    metrics = [r for r in await loop.read("metrics") if isinstance(r, WindowMetrics) and r.segment == "*"]
    newest = latest(metrics, lambda record: record.window_start)
    assert [newest[START + h * HOUR].accuracy.value for h in range(6)] == [0, 0, 0, 1, 1, 1]
    assert all(record.state == "sealed" and record.matched == 300 for record in newest.values())

    performance = [a for a in await loop.read("alerts") if a.kind == "performance"]
    alerts = [a for a in performance if a.segment == "*"]
    assert [alerts[0].state, alerts[-1].state] == ["opened", "resolved"]
    assert len({a.alert_id for a in alerts}) == 1
    wishes = await loop.read("retrain-requests")
    assert {wish.model for wish in wishes} == {"fraud"}
    assert {wish.alert_id for wish in wishes} <= {a.alert_id for a in performance}


async def test_what_cannot_be_used_becomes_a_dead_letter_and_the_stages_go_on(loop):
    rng, at = random.Random(5), START + 30 * HOUR
    good = request(rng, "good-one", at)
    whole = value_of(good)
    hostile = {
        b"cut": (whole[:-3], "undecodable"),
        b"longer": (value_of(request(rng, "longer", at)) + b"\0", "trailing-bytes"),
        b"other-schema": (b"\xc3\x01" + b"12345678" + whole[10:], "unknown-schema"),
        b"not-json": (b"{broken", "json-not-a-record"),
        b"no-model": (b'{"request_id": "no-model", "event_time": 0, "features": {}}', "json-not-a-record"),
        b"nobody": (as_json(request(rng, "nobody", at)).replace(b"fraud", b"other"), "unknown-model"),
        b"mine": (as_json(request(rng, "yours", at)), "key-mismatch"),
        b"null": (b"", "unknown-schema"),
        b"endless": (value_of(request(rng, "endless", 10**17)), "time-out-of-range"),
        b"huge": (b"{" + b" " * (2 << 20), "record-too-large"),
        b"segment": (value_of(replace(request(rng, "segment", at), categories={"country": "é" * 500})), "too-long"),
        b"name": (value_of(replace(request(rng, "name", at), model="\x7f" * 1_000_000)), "too-long"),
        b"ahead": (value_of(request(rng, "ahead", at + 25 * HOUR)), "event-time-ahead"),
        b"infinite": (as_json(request(rng, "infinite", at)).replace(b'"amount": ', b'"amount": 1e999, "x": '), "json-not-a-record"),
    }  # fmt: skip
    longest = request(rng, "longest", at)
    big = PredictionRequest(
        request_id=longest.request_id,
        model="fraud",
        event_time=at,
        features=longest.features,
        user_id="u" * 4096,
        categories=longest.categories,
    )
    rows = [(key, value, at) for key, (value, _) in hostile.items()]
    await loop.send("prediction-requests", [*rows, (b"good-one", whole, at), (b"longest", value_of(big), at)])
    nan = prediction("nan", at, model="fraud", score=float("nan"), signature="s")
    edges = [
        prediction(f"edge-{score}", at, model="fraud", score=score, signature="s", segments=["country="])
        for score in (0.0, 1.0)
    ]
    await loop.send("predictions", [(p.request_id.encode(), value_of(p), at) for p in (nan, *edges)])
    outcomes = [
        Outcome("edge-0.0", 1.0, at + 1),
        Outcome("edge-1.0", 1.0, at + 1),
        Outcome("endless", float("inf"), at),
    ]
    await loop.send("outcomes", [(o.request_id.encode(), value_of(o), at) for o in outcomes])
    await loop.settle()

    reasons = await loop.reasons()
    assert {key: reasons.get(key) for key in hostile if key != b"endless"} == {
        key: reason for key, (_, reason) in hostile.items() if key != b"endless"
    }
    assert reasons[b"nan"] == "score-not-finite"
    letters = await loop.records("dead-letters")
    assert len(letters) == len(hostile) + 2
    [cut] = [r for r in letters if r.key == b"cut"]
    headers = dict(cut.headers)
    assert cut.value == whole[:-3]
    assert headers["__connect.errors.topic"] == f"{loop.prefix}.prediction-requests".encode()
    assert headers["__connect.errors.connector.name"] == f"{loop.prefix}.scoring".encode()
    emitted = {p.request_id: p for p in await loop.read("predictions")}
    assert {"good-one", "longest"} <= set(emitted)
    assert len(emitted["longest"].user_id) == 4096
    [window] = [
        record
        for record in {
            (r.window_start, r.segment): r for r in await loop.read("metrics") if isinstance(r, WindowMetrics)
        }.values()
        if record.window_start == at and record.segment == "*"
    ]
    assert (window.predictions, window.matched) == (4, 2)
    assert window.logloss.value == pytest.approx((-np.log(1e-15) - np.log(1 - 1e-15)) / 2, rel=1e-9)


async def test_a_rollout_takes_effect_while_requests_come(loop):
    data = reference(np.random.default_rng(8))
    add_version(loop.settings.models, SETTINGS, "v2", train(data, SETTINGS, "outcome"), data, "outcome")
    rollout = Rollout("fraud", "v2", 1, "test", "better")
    async with AIOKafkaProducer(bootstrap_servers=loop.bootstrap) as producer:
        await producer.send_and_wait(
            f"{loop.prefix}.rollouts", value_of(rollout), key=key_of("rollouts", rollout), partition=0
        )
    rng, deadline = random.Random(6), time.monotonic() + 300
    for number in range(1000):
        each = request(rng, f"after-{number}", START + 40 * HOUR)
        await loop.send("prediction-requests", [(each.request_id.encode(), value_of(each), each.event_time)])
        await loop.settle()
        made, *_ = [p for p in await loop.read("predictions") if p.request_id == each.request_id]
        if made.model_version == "v2":
            return
        assert time.monotonic() < deadline
    pytest.fail("v2 never answered")
