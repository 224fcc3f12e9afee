"""The loop in each form of its topics, beside a real schema registry, and what Confluent's own clients read of it and send to it."""

import asyncio
import contextlib
import io
import json
import random
import subprocess
import sys
import time
import uuid

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from leadline.cli.checkup.findings import Level
from leadline.cli.checkup.look_at_registry import look_at_registry
from leadline.core.windows.latest import latest
from leadline.embedded.errors import EmbeddedError
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.schemas import Learner, known_ids
from leadline.learning.add import add_version
from leadline.learning.train import train
from leadline.records import JoinCounts, Outcome, PredictionRequest, Rollout, WindowMetrics
from leadline.settings import ModelSettings, SettingsError, load_settings
from leadline.topology import STEPS
from leadline.wire import registered
from leadline.wire.codec import key_of, value_of
from leadline.wire.registered import Known
from leadline.wire.schemas import schema
from leadline.wire.topics import BY_NAME, TOPICS
from registries import registry
from servers import Talk

pytestmark = pytest.mark.integration

HOUR = 3_600_000
SETTINGS = ModelSettings(
    name="fraud",
    numeric=["amount"],
    categorical=["country"],
    segments=["country"],
    horizon=HOUR,
    grace=HOUR,
    window=HOUR,
)
NAMES = [step.name for step in STEPS]
ASK = {
    "type": "record", "name": "Ask", "namespace": "shop", "fields": [
        {"name": "request_id", "type": "string"}, {"name": "model", "type": "string"},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "features", "type": {"type": "record", "name": "F", "fields": [{"name": "amount", "type": "float"}]}},
        {"name": "categories", "type": {"type": "map", "values": "string"}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def asks(schemas, monkeypatch):
    """The registry, known to the readers of this process, which know no id yet."""
    known = Known()
    monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", schemas.url)
    monkeypatch.setattr(registered, "KNOWN", known)
    monkeypatch.setattr("leadline.kafka.schemas.KNOWN", known)
    monkeypatch.setattr("leadline.kafka.schemas._LEARNER", Learner(known))
    return schemas


def settings_of(folder, **more):
    return load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}", clock="records", models=folder / "models", **more)


# -- at the registry ------------------------------------------------------------------------------------------------------


async def test_subjects_are_registered_once_and_checked(asks, schemas, tmp_path):
    here = settings_of(tmp_path, format="confluent", schema_registry=schemas.url)
    ids = await known_ids(here)
    assert set(ids) == {topic.name for topic in TOPICS if topic.has_form}
    assert await known_ids(here) == ids
    subjects = {each for each in schemas.ask("GET", "/subjects")[1] if each.startswith(here.prefix)}
    assert subjects == {f"{here.prefix}.{topic}-value" for topic in ids}
    assert json.loads(schemas.ask("GET", f"/schemas/ids/{ids['alerts']}")[1]["schema"]) == schema("Alert")
    other = settings_of(tmp_path, format="confluent", schema_registry=schemas.url)
    subject = f"{other.prefix}.drift-value"
    schemas.register(subject, ASK)
    schemas.ask("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})
    with pytest.raises(SettingsError, match=f"subject {subject}: {schemas.url} refuses: HTTP 409 .*compat") as error:
        await known_ids(other)
    assert "\n" not in str(error.value)
    [fine] = await look_at_registry(here)
    assert fine.level is Level.FINE
    bad = [each.what for each in await look_at_registry(other) if each.level is Level.WRONG]
    assert bad == [f"subject {subject}"]
    elsewhere = settings_of(tmp_path, format="confluent", schema_registry=schemas.url.replace("/v7", "/v99"))
    [no_route] = await look_at_registry(elsewhere)
    assert (no_route.level, "check the path" in no_route.mend) == (Level.WRONG, True)


# -- the loop -------------------------------------------------------------------------------------------------------------


class Place(Talk):
    """An installation whose workers can be started in one form after the other."""

    def __init__(self, kafka, folder, url):
        super().__init__(kafka, settings_of(folder))
        self._folder, self._url = folder, url

    async def prepare(self):
        await apply_topics(self.bootstrap, self.prefix, 2, 1, None, [step.name for step in STEPS if step.stateful])
        rollout = Rollout("fraud", "v1", 0, "test", "first")
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            name = f"{self.prefix}.rollouts"
            await producer.send_and_wait(name, value_of(rollout), key=key_of("rollouts", rollout), partition=0)

    def run(self, command):
        """What a command prints."""
        environment = self.environment | {"LEADLINE_SCHEMA_REGISTRY": self._url, "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "leadline", *command]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def workers(self, form):
        own = {"LEADLINE_FORMAT": form, "LEADLINE_SCHEMA_REGISTRY": self._url, "LEADLINE_HEALTH": "none"}
        state, logs = self._folder / self.prefix / "state", self._folder / self.prefix / "logs"
        with Workers(1, NAMES, self.environment | own, state, logs, lambda _: None) as workers:
            yield workers


def requests(hours):
    rng = random.Random(9)
    made = []
    for hour in range(6):
        for n in range(40):
            country = {"country": rng.choice(["de", "fr"])}
            each = PredictionRequest(
                f"r-{hour}-{n}", "fraud", hour * HOUR + n, {"amount": rng.gauss(0, 1)}, "", country
            )
            made += [each] if hour in hours else []
    return made


async def work(place, form, hours):
    """Requests of some hours, their predictions, and outcomes for most of them: right in even hours, wrong in odd ones."""
    asked = requests(hours)
    with place.workers(form) as workers:
        rows = [(each.request_id.encode(), value_of(each), each.event_time) for each in asked]
        await place.send("prediction-requests", rows)
        await place.settle(workers, NAMES)
        labels = {each.request_id: each.predicted_label for each in await place.read("predictions")}
        told = [
            Outcome(
                each.request_id, float(labels[each.request_id] != each.event_time // HOUR % 2), each.event_time + 60_000
            )
            for number, each in enumerate(asked)
            if number % 5
        ]
        await place.send("outcomes", [(each.request_id.encode(), value_of(each), each.outcome_time) for each in told])
        await place.settle(workers, NAMES)
        await place.tell_time((max(hours) + 1) * HOUR if max(hours) < 5 else 20 * HOUR)
        await place.settle(workers, NAMES)


async def numbers(place):
    """What is said of each window and segment in the end, but for when and in how many steps it came."""
    found = [each for each in await place.read("metrics") if isinstance(each, WindowMetrics)]
    newest = latest(found, lambda record: (record.segment, record.window_start))
    return {
        key: {name: getattr(each, name) for name in each.__slots__ if name not in ("revision", "as_of")}
        for key, each in newest.items()
    }


async def forms_of(place, topic):
    """The forms of the records of a topic, by the first byte."""
    marks = {b"\xc3": "avro", b"\0": "confluent", b"{": "json"}
    return {marks[each.value[:1]] for each in await place.records(topic) if each.value is not None}


RUNS = {
    "avro": [("avro", range(6))],
    "confluent": [("confluent", range(6))],
    "json": [("json", range(6))],
    "all of them": [("confluent", range(2)), ("json", range(2, 4)), ("avro", range(4, 6))],
}


@pytest.fixture(scope="module")
def expected():
    return {}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.replace(" ", "-"))
async def test_the_numbers_are_the_same_in_every_form(kafka, asks, tmp_path, expected, run):
    place = Place(kafka, tmp_path, asks.url)
    rng = np.random.default_rng(3)
    amount, country = rng.normal(0, 1, 2000), rng.choice(["de", "fr"], 2000)
    data = pa.table({"amount": amount, "country": country, "outcome": (amount > 0).astype(float)})
    add_version(place.settings.models, SETTINGS, "v1", train(data, SETTINGS, "outcome"), data, "outcome")
    await place.prepare()
    for form, hours in RUNS[run]:
        await work(place, form, hours)
    said = await numbers(place)
    alerts = {(each.kind, each.segment, each.state) for each in await place.read("alerts")}
    if run == "avro":
        expected.update(numbers=said, alerts=alerts)
    used = {form for form, _ in RUNS[run]}
    for topic in ("predictions", "labeled-predictions", "metrics", "drift"):
        assert await forms_of(place, topic) == used
    assert await forms_of(place, "window-partials") == {"avro"}
    assert not await place.records("dead-letters")
    assert [said["*", hour * HOUR]["accuracy"].value for hour in range(6)] == [1, 0] * 3
    assert said == expected["numbers"]
    assert alerts == expected["alerts"] or run == "all of them"  # where a worker starts anew, in other steps
    if run == "confluent":
        await read_as_confluents_clients_do(place, asks)
    told = {}
    for command in (
        ["tail", "predictions", "--from-beginning", "-n1"],
        ["metrics", "--once", "--json"],
        ["audit", "verify"],
    ):
        told[command[0]] = await asyncio.to_thread(place.run, command)
    assert set(json.loads(told["tail"])["features"]) == {"amount", "country"}
    assert json.loads(told["metrics"].splitlines()[0])["model"] == "fraud"
    await cluster.remove(kafka, place.prefix)


async def read_as_confluents_clients_do(place, schemas):
    """Every record of every topic, by the deserializer of confluent-kafka, which knows the registry and no more."""
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": schemas.url}), return_record_name=True)
    for topic in (each.name for each in TOPICS if each.has_form):
        records = [each for each in await place.records(topic) if (each.value or b"")[:1] == b"\0"]
        context = SerializationContext(f"{place.prefix}.{topic}", MessageField.VALUE)
        theirs = [deserializer(each.value, context) for each in records]
        names = [
            each[0].rpartition(".")[2] if isinstance(each, tuple) else BY_NAME[topic].schemas[0] for each in theirs
        ]
        ours = await place.read(topic)
        ours = ours[len(ours) - len(records) :]
        assert names == [type(each).__name__ for each in ours]
        values = [each[1] if isinstance(each, tuple) else each for each in theirs]
        assert [each.get("model") for each in values] == [getattr(each, "model", None) for each in ours]
        if topic == "metrics":
            assert {type(each) for each in ours} == {WindowMetrics, JoinCounts}


async def test_what_confluents_clients_send_is_scored_and_what_cannot_be_read_waits_for_nobody(kafka, asks, tmp_path):
    place = Place(kafka, tmp_path, asks.url)
    rng = np.random.default_rng(3)
    data = pa.table({"amount": rng.normal(0, 1, 2000), "country": rng.choice(["de", "fr"], 2000)})
    data = data.append_column("outcome", pa.array((data["amount"].to_numpy() > 0).astype(float)))
    add_version(place.settings.models, SETTINGS, "v1", train(data, SETTINGS, "outcome"), data, "outcome")
    await place.prepare()
    client = SchemaRegistryClient({"url": asks.url})
    context = SerializationContext(f"{place.prefix}.prediction-requests", MessageField.VALUE)
    ours = AvroSerializer(client, json.dumps(schema("PredictionRequest")))
    theirs = AvroSerializer(client, json.dumps(ASK), conf={"subject.name.strategy": lambda *_: f"{place.prefix}.ask"})
    ask = {"model": "fraud", "event_time": 1000, "features": {"amount": 0.5}, "categories": {"country": "de"}}
    rows = [
        (key, ours(ask | {"request_id": key.decode(), "user_id": ""}, context), 1000) for key in (b"ours-1", b"ours-2")
    ]
    rows += [(key, theirs(ask | {"request_id": key.decode()}, context), 1000) for key in (b"theirs-1", b"theirs-2")]
    hostile = rows[0][1]
    rows.append((b"no-id", b"\0\0\x7f\0\0" + hostile[5:], 1000))
    rows.append((b"cut", hostile[:-3], 1000))
    later = dict(ASK, name="Later")
    late_id = asks.register(f"{place.prefix}.later", later)
    late = io.BytesIO()
    fastavro.schemaless_writer(late, fastavro.parse_schema(later), ask | {"request_id": "late"})
    late = b"\0" + late_id.to_bytes(4, "big") + late.getvalue()
    outcome = AvroSerializer(client, json.dumps(schema("Outcome")))
    said = outcome(
        {"request_id": "ours-1", "outcome": 1.0, "outcome_time": 2000, "class_name": None},
        SerializationContext(f"{place.prefix}.outcomes", MessageField.VALUE),
    )
    with place.workers("confluent") as workers:
        await place.send("prediction-requests", rows)
        await place.settle(workers, NAMES)
        with asks.away():
            await place.send("prediction-requests", [(b"late", late, 1000), rows[0]])
            await place.send("outcomes", [(b"ours-1", said, 2000), (b"o", value_of(Outcome("o", 1.0, 2000)), 2000)])
            await place.settle(workers, NAMES)
        reasons = {
            each.key: dict(each.headers)["leadline-reason"].decode() for each in await place.records("dead-letters")
        }
        assert reasons == {
            b"no-id": "schema-unknown",
            b"cut": "undecodable",
            b"late": "schema-registry-away",
            b"ours-1": "schema-registry-away",
        }
    made = await place.read("predictions")
    assert {each.request_id for each in made} == {"ours-1", "ours-2", "theirs-1", "theirs-2"}
    assert len({each.score for each in made}) == 1
    with place.workers("json") as workers:  # a new worker, while the registry answers
        await asyncio.to_thread(place.run, ["dead-letters", "replay", "--reason", "schema-registry-away"])
        await place.settle(workers, NAMES)
    assert "late" in {each.request_id for each in await place.read("predictions")}
    labels = {each.prediction.request_id: each.outcome for each in await place.read("labeled-predictions")}
    assert labels["ours-1"] == 1.0
    await cluster.remove(kafka, place.prefix)


def tend(workers, within_s=120):
    """Start workers that died again, until that does not help."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        workers.tend()
        time.sleep(0.05)


def test_a_worker_ends_where_the_registry_refuses_and_says_which_subject(kafka, asks, tmp_path):
    place = Place(kafka, tmp_path, asks.url)
    asyncio.run(place.prepare())
    subject = f"{place.prefix}.metrics-value"
    asks.register(subject, ASK)
    asks.ask("PUT", f"/config/{subject}", {"compatibility": "FULL"})
    with place.workers("confluent") as workers, pytest.raises(EmbeddedError, match=f"subject {subject}"):
        tend(workers)
    asyncio.run(cluster.remove(kafka, place.prefix))
