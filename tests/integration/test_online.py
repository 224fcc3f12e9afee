"""A model that learns label by label, on a real broker: trainers that are killed leave the same snapshots as one that is not."""

import asyncio
import os
import subprocess
import sys
import uuid

import numpy as np
import pytest

from leadline.core.processor import Output
from leadline.hosts.contract import Installation
from leadline.hosts.trainer.rows import rows
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import Sender, new_producer, publish
from leadline.learning.cached import CachedModels
from leadline.learning.limits import RIVER
from leadline.learning.training import Log, make_candidate
from leadline.learning.training.receipt import read_receipt
from leadline.records import RetrainRequest, Rollout
from leadline.settings import load_settings
from leadline.topology import STEPS
from leadline.wire.codec import WIRE, read
from trainings import drawn, labeled_records, with_model

pytestmark = pytest.mark.integration
RECIPE = """
from river import tree


def build(params):
    return tree.HoeffdingTreeClassifier(grace_period=20)
"""


@pytest.fixture
async def place(kafka, tmp_path, monkeypatch):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, 2, 1, None, [each.name for each in STEPS if each.stateful])
    (tmp_path / "online_tree.py").write_text(RECIPE)
    found = {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "PYTHONPATH": str(tmp_path),
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path / "models"),
    }  # fmt: skip
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    yield prefix
    await cluster.remove(kafka, prefix)


def begun(log):
    return subprocess.Popen([sys.executable, "-m", "leadline", "trainer"], env=os.environ, stderr=log)


async def put(kafka, prefix, table):
    sender = Sender(new_producer(kafka, f"{prefix}.test"), prefix, False, WIRE)
    await sender.start()
    records = list(labeled_records(table))
    await sender.send_together(
        [Output("labeled-predictions", records=records, arrival_ms=np.arange(len(records)))], "none", {}
    )
    await sender.close()


async def told(kafka, prefix, retrain_id, state, times=1):
    async with asyncio.timeout(240):
        while True:
            stored = [read("trainings", each.value) async for each in cluster.read_all(kafka, f"{prefix}.trainings")]
            mine = [each for each in stored if each.retrain_id == retrain_id]
            assert state == "failed" or not [each for each in mine if each.state == "failed"], mine
            if sum(each.state == state for each in mine) >= times:
                return mine
            await asyncio.sleep(0.3)


async def test_killed_trainers_leave_the_same_snapshots(kafka, place, tmp_path):
    found = with_model(tmp_path / "models", recipe="online_tree:build", online=True)
    await publish(kafka, place, "rollouts", Rollout("m", "v1", 1, "ada", "the first"))
    whole, cuts = drawn(600), []
    for number, (retrain_id, seconds) in enumerate((("one", 1.0), ("two", 5.0))):
        await put(kafka, place, whole.slice(300 * number, 300))
        await publish(kafka, place, "retrain-requests", RetrainRequest(retrain_id, "m", "v1", 1, "labels", "a1", {}))
        for attempt in (1, 2):
            with (tmp_path / f"log-{retrain_id}-{attempt}").open("w") as log:
                trainer = begun(log)
            try:
                last = await told(kafka, place, retrain_id, "started" if attempt == 1 else "succeeded", 1)
                await asyncio.sleep(seconds if attempt == 1 else 0)
            finally:
                trainer.kill()
                trainer.wait()
        cuts.append(dict(last[-1].cut))
    other = tmp_path / "other"
    with_model(other, recipe="online_tree:build", online=True)
    settings = load_settings()
    installation = Installation(settings, kafka, CachedModels(settings.models))
    for retrain_id, cut in zip(("one", "two"), cuts, strict=True):
        request = RetrainRequest(retrain_id, "m", "v1", 1, "labels", "a1", {})
        log = Log(cut)
        read = rows(installation, log, lambda: False)
        await asyncio.to_thread(
            make_candidate, other, found, "v1", request, read, log, 1, lambda _: None, lambda: False
        )
    for version in ("v2", "v3"):
        mine, same = (root / "m" / version / RIVER for root in (tmp_path / "models", other))
        assert mine.read_bytes() == same.read_bytes()
    receipt, _ = read_receipt(tmp_path / "models", "m", "v3")
    assert (receipt.online.before, receipt.online.number) == ("v2", 2)
