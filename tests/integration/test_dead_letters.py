"""From a dead letter back to its topic: what was mended goes through, once, and nothing goes in circles."""

import asyncio
import json
import uuid

import numpy as np
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from commands import run
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import publish
from leadline.learning.add import add_version
from leadline.learning.train import train
from leadline.records import Outcome, PredictionRequest, Rollout
from leadline.settings import ModelSettings, load_settings
from leadline.wire.codec import value_of
from leadline.wire.dead_letters import to_record
from leadline.wire.letters import REPLAYED_HEADER
from leadline.wire.partitions import partition_of
from leadline.wire.run import DeadLetter
from servers import Talk

pytestmark = pytest.mark.integration
MODEL = ModelSettings(name="m", numeric=["x"])
SKIPPED = "skipped, since it was sent again before"


@pytest.fixture
async def talk(kafka, tmp_path, monkeypatch):
    settings = load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}", models=tmp_path / "models")
    monkeypatch.setenv("LEADLINE_PREFIX", settings.prefix)
    monkeypatch.setenv("LEADLINE_MODELS", str(settings.models))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka)
    await apply_topics(kafka, settings.prefix, 2, 1, None, [])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


async def command(capsys, *arguments):
    """Exit code of `dead-letters ...`, and its JSON lines."""
    code = await asyncio.to_thread(run, ["dead-letters", *arguments, "--json"])
    out, err = capsys.readouterr()
    assert "error" not in err, err
    return code, [json.loads(line) for line in out.splitlines()]


def said(lines):
    return sorted((line["key"], line["done"]) for line in lines)


async def send(talk, rows, topic="prediction-requests"):
    """Send (key, value, headers) rows."""
    async with AIOKafkaProducer(bootstrap_servers=talk.bootstrap) as producer:
        for key, value, headers in rows:
            name = f"{talk.prefix}.{topic}"
            await producer.send_and_wait(name, value, key, partition_of(key, 2), headers=headers)


async def until(workers, get, count):
    async with asyncio.timeout(90):
        while len(found := await get()) < count:
            workers.tend()
            await asyncio.sleep(0.1)
    return found


async def test_requests_of_a_mended_model_are_answered_once_and_what_fails_again_is_refused(talk, tmp_path, capsys):
    x = np.arange(20.0)
    data = pa.table({"x": x, "outcome": (x > 9).astype(float)})
    add_version(talk.settings.models, MODEL, "v1", train(data, MODEL, "outcome"), data, "outcome")
    await publish(talk.bootstrap, talk.prefix, "rollouts", Rollout("m", "v1", 0, "test", "first"))
    file = talk.settings.models / "m" / "model.toml"
    good = file.read_text()
    file.write_text('name = "m\nhalf')
    names = [b"r%d" % number for number in range(6)]
    requests = [
        (key, value_of(PredictionRequest(key.decode(), "m", 1, {"x": 3.0}, "", {})), [("trace", key)]) for key in names
    ]
    with Workers(1, ["scoring"], talk.environment, tmp_path / "state", tmp_path / "logs", lambda _: None) as workers:
        await send(talk, [*requests, (b"poison", b"{", [])])
        letters = await until(workers, lambda: talk.records("dead-letters"), 7)
        [twice] = [each for each in letters if each.key == b"r3"]
        await send(talk, [(twice.key, twice.value, list(twice.headers))], "dead-letters")
        file.write_text(good)
        await asyncio.sleep(1.1)

        code, lines = await command(capsys, "list", "--reason", "model-unusable")
        assert (code, sorted(line["key"] for line in lines)) == (0, [key.decode() for key in names])
        code, lines = await command(capsys, "replay", "--reason", "model-unusable", "--dry-run")
        assert (code, said(lines)) == (0, [(key.decode(), "would be sent again") for key in names])
        assert len(await talk.records("prediction-requests")) == 7

        code, lines = await command(capsys, "replay")
        assert (code, said(lines)) == (0, [("poison", "sent again"), *((key.decode(), "sent again") for key in names)])
        predictions = await until(workers, lambda: talk.read("predictions"), 6)
        assert sorted(each.request_id.encode() for each in predictions) == names
        await until(workers, lambda: talk.records("dead-letters"), 9)

        code, lines = await command(capsys, "replay", "--reason", "model-unusable")
        assert (code, said(lines)) == (0, [(key.decode(), SKIPPED) for key in names])
        code, lines = await command(capsys, "replay")
        poison = [line for line in lines if line["key"] == "poison"]
        assert (code, said(poison)) == (1, [("poison", "refused"), ("poison", SKIPPED)])
    asked = await talk.records("prediction-requests")
    assert len(asked) == 14
    first = {each.key: each for each in letters}
    for key, value, headers in requests:
        again = [each for each in asked if each.key == key][1]
        at = f"{first[key].partition}/{first[key].offset}".encode()
        assert (again.value, again.partition) == (value, partition_of(key, 2))
        assert list(again.headers) == [*headers, (REPLAYED_HEADER, at)]


async def test_only_what_people_send_goes_back_and_only_whole(talk, capsys):
    long, lost = b"k" * 20_000, b"l" * 20_000
    await send(talk, [(long, b"one", []), (lost, b"two", []), (b"small", b"three", [])], "outcomes")
    offsets = {each.key: each for each in await talk.records("outcomes")}
    rows = [(key, offsets[key].partition, offsets[key].offset, "outcomes", offsets[key].value) for key in offsets]
    for key, partition, offset, topic, value in [
        *rows,
        (b"inner", 0, 0, "metrics", b"?"),
        (b"null", 0, 9, "outcomes", None),
    ]:
        letter = DeadLetter(topic, partition, offset, key, value, "why", "because")
        await send(talk, [to_record(letter, talk.prefix, "join")], "dead-letters")
    keyless = DeadLetter("outcomes", 1, 10**6, None, b"no key", "why", "because")
    await send(talk, [to_record(keyless, talk.prefix, "join")], "dead-letters")
    await send(talk, [(b"stranger", b"?", [("leadline-reason", None)])], "dead-letters")
    gone = offsets[lost]
    admin, ends = AdminClient({"bootstrap.servers": talk.bootstrap}), gone.offset + 1
    topic = f"{talk.prefix}.outcomes"
    removed = admin.delete_records([TopicPartition(topic, gone.partition, ends)])
    await asyncio.gather(*(asyncio.to_thread(each.result, 30) for each in removed.values()))
    still_there = {
        key for key, each in offsets.items() if each.partition != gone.partition or each.offset > gone.offset
    }

    code, lines = await command(capsys, "replay")
    refused = {(line["key"] or "")[:10]: line["why"] for line in lines if line["done"] == "refused"}
    assert code == 1
    assert refused["inner"].startswith("metrics is not written by people")
    assert refused["null"] == "its record had no value"
    assert refused["stranger"] == "it does not say where its record was"
    assert refused["l" * 10].startswith("its bytes were cut, and its record is not at outcomes")
    sent = {each.key: each for each in await talk.records("outcomes") if dict(each.headers).get(REPLAYED_HEADER)}
    nobody = sent.pop(None)
    assert (nobody.value, nobody.partition) == (b"no key", 1)
    assert set(sent) == ({long} & still_there) | {b"small"}
    assert {key: each.value for key, each in sent.items()} == {key: offsets[key].value for key in sent}
    assert {key: each.partition for key, each in sent.items()} == {key: offsets[key].partition for key in sent}


async def test_one_letter_is_shown_with_its_record(talk, capsys):
    value = value_of(PredictionRequest("r", "m\x1b", 1, {"x": float("nan")}, "", {}))
    await send(
        talk,
        [to_record(DeadLetter("prediction-requests", 1, 7, b"r", value, "why", "so"), talk.prefix, "scoring")],
        "dead-letters",
    )
    [stored] = await talk.records("dead-letters")
    at = f"{stored.partition}/{stored.offset}"
    code, [line] = await command(capsys, "show", at)
    assert (code, line["reason"], line["record"]) == (
        0,
        "why",
        {"topic": "prediction-requests", "partition": 1, "offset": 7},
    )
    assert (line["value"]["model"], line["value"]["features"]) == ("m\x1b", {"x": "NaN"})
    assert await asyncio.to_thread(run, ["dead-letters", "show", at]) == 0
    out, _ = capsys.readouterr()
    assert ("reason: why\n" in out, "\x1b" in out) == (True, False)
    for wrong in (f"{stored.partition}/99", "77/0"):
        assert await asyncio.to_thread(run, ["dead-letters", "show", wrong]) == 1
        assert "there is no dead letter" in capsys.readouterr().err


async def test_a_letter_of_kafka_streams_is_replayed_like_any_other(talk, capsys):
    """Somebody's Streams application reads outcomes, and writes what it cannot read to the topic of dead letters."""
    value = value_of(Outcome("r1", 1.0, 5))
    await send(talk, [(b"r1", value, [])], "outcomes")
    [was] = await talk.records("outcomes")
    headers = [
        ("__streams.errors.exception", b"org.acme.NoMagicException: what is this"),
        ("__streams.errors.message", b"what is this"),
        ("__streams.errors.topic", f"{talk.prefix}.outcomes".encode()),
        ("__streams.errors.partition", str(was.partition).encode()),
        ("__streams.errors.offset", str(was.offset).encode()),
    ]
    await send(talk, [(b"r1", value, headers)], "dead-letters")
    code, lines = await command(capsys, "list")
    assert [(line["reason"], line["record"]["topic"], line["detail"]) for line in lines] == [
        ("org.acme.NoMagicException", "outcomes", "what is this")
    ]
    code, lines = await command(capsys, "replay", "--reason", "org.acme.NoMagicException")
    assert (code, said(lines)) == (0, [("r1", "sent again")])
    assert [(each.key, each.value, each.partition) for each in await talk.records("outcomes")] == [
        (b"r1", value, was.partition)
    ] * 2
    code, lines = await command(capsys, "replay")
    assert (code, said(lines)) == (0, [("r1", SKIPPED)])
