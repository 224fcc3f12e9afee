"""What `leadline verify` says of the log, on a real broker: the same rows, expired, or another log."""

import asyncio
import json
import uuid

import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from commands import run
from leadline.core.processor import Output
from leadline.hosts.contract import Installation
from leadline.hosts.trainer.rows import log_now, rows
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import Sender, new_producer
from leadline.learning.cached import CachedModels
from leadline.learning.training import Log, make_candidate
from leadline.learning.training.errors import OtherLogError
from leadline.learning.training.receipt import read_receipt
from leadline.settings import load_settings
from leadline.wire.codec import WIRE
from trainings import drawn, labeled_records, request, with_model

pytestmark = pytest.mark.integration
TOPIC = "labeled-predictions"


@pytest.fixture
async def prefix(kafka, tmp_path, monkeypatch):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka)
    monkeypatch.setenv("LEADLINE_PREFIX", prefix)
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    await apply_topics(kafka, prefix, 1, 1, None, [], [TOPIC])
    yield prefix
    await cluster.remove(kafka, prefix)


@pytest.fixture
async def admin(kafka):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


async def put(kafka, prefix, table):
    sender = Sender(new_producer(kafka, f"{prefix}.test"), prefix, False, WIRE)
    await sender.start()
    records = list(labeled_records(table))
    await sender.send_together([Output(TOPIC, records=records, arrival_ms=np.arange(len(records)))], "none", {})
    await sender.close()


async def told(capsys):
    assert await asyncio.to_thread(run, ["verify", "m", "v2", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["log"]


async def test_the_same_rows_then_expired_then_another_log(kafka, prefix, admin, tmp_path, capsys):
    found = with_model(tmp_path / "models")
    await put(kafka, prefix, drawn(300))
    settings = load_settings()
    installation = Installation(settings, kafka, CachedModels(settings.models))
    async with new_producer(kafka) as producer:
        await producer.send_and_wait(f"{prefix}.{TOPIC}", b"no record", b"r1")
    log = await log_now(installation)
    about = (request(), rows(installation, log, lambda: False), log, 1, lambda _: None, lambda: False)
    await asyncio.to_thread(make_candidate, tmp_path / "models", found, "v1", *about)
    receipt, _ = read_receipt(tmp_path / "models", "m", "v2")
    assert receipt.data.left_out == {"the record cannot be read: unknown-schema": 1}
    assert receipt.topic_ids == log.topic_ids
    await put(kafka, prefix, drawn(50, seed=1))
    assert await told(capsys) == "same rows", "what came after the cut is none of it"
    place = TopicPartition(f"{prefix}.{TOPIC}", 0)
    await admin.delete_records({place: RecordsToDelete(before_offset=100)})
    assert await told(capsys) == "expired"
    await admin.delete_records({place: RecordsToDelete(before_offset=log.end["0"])})
    assert await told(capsys) == "expired", "nothing is left before the cut"
    await admin.delete_topics([place.topic])
    await asyncio.sleep(1)
    assert await told(capsys) == "not compared", "there is no log"
    await apply_topics(kafka, prefix, 1, 1, None, [], [TOPIC])
    await put(kafka, prefix, drawn(20))
    with pytest.raises(OtherLogError, match="was made anew since"):
        await asyncio.to_thread(list, rows(installation, log, lambda: False))
    with pytest.raises(OtherLogError, match="ends before the cut at"):  # where brokers give topics no ids
        await asyncio.to_thread(list, rows(installation, Log(log.end), lambda: False))
    await put(kafka, prefix, drawn(400))
    assert await told(capsys) == "another log", "though there is as much of it"
