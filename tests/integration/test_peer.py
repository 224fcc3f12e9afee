"""`scripts/bench peer` beside other stream processors: its runner sees the topics alone, and they are right."""

import asyncio
import io
import json
import os
import signal
import sys
import time
import uuid

import fastavro
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from benchmarks import peer
from benchmarks.data import MINUTE_MS

from leadline.embedded.child import Child
from leadline.kafka import cluster
from leadline.kafka.sender import Sender
from leadline.wire.partitions import partition_of

pytestmark = pytest.mark.integration
COUNT, BASE_MS = 3000, (int(time.time() * 1000) - 3_600_000) // MINUTE_MS * MINUTE_MS
VARIABLES = {"in": ("requests", "predictions", "outcomes"), "out": ("predictions", "matches", "metrics")}


def parsed(name):
    return fastavro.parse_schema(json.loads(json.dumps(peer.SCHEMAS[name])))


def written(name, values):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, parsed(name), values)
    return values["request_id"].encode(), stream.getvalue(), []


@pytest.fixture
async def runner(kafka, tmp_path):
    made = Runner(kafka, tmp_path)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1) for name in made.topics.values()])
    yield made
    await cluster.remove(kafka, made.name)
    await admin.delete_topics(list(made.topics.values()))
    await admin.close()


class Runner:
    def __init__(self, bootstrap, folder):
        self.bootstrap, self.folder, self.name = bootstrap, folder, f"peer-{uuid.uuid4().hex[:8]}"
        self.topics = {
            f"PEER_{way}_{topic}".upper(): f"{self.name}-{way}-{topic}" for way in VARIABLES for topic in VARIABLES[way]
        }

    async def send(self, variable, rows):
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as kafka:
            sender = Sender(kafka, self.name, pass_on_arrival=False)
            for number in range(2):
                own = [row for row in rows if partition_of(row[0], 2) == number]
                await asyncio.gather(*await sender.send(self.topics[variable], number, own))

    def worker(self, job):
        environment = {
            **os.environ, **self.topics, "PEER_BOOTSTRAP": self.bootstrap, "PEER_RUN": self.name, "PEER_JOB": job,
            "PEER_STATE_DIR": str(self.folder / "state"), "PEER_MARK": str(self.folder / "mark"),
        }  # fmt: skip
        return Child("peer", [sys.executable, "-m", "benchmarks", "peer"], self.folder / "worker.log", environment)

    async def wait_for(self, child, variable, right):
        """Read a topic until what it says is right; its records."""
        deadline = time.monotonic() + 90
        while not right(records := [each async for each in cluster.read_all(self.bootstrap, self.topics[variable])]):
            assert child.running, child.last_lines()
            assert time.monotonic() < deadline, f"{len(records)} records in {variable}: {child.last_lines()}"
            await asyncio.sleep(0.3)
        return records


async def test_every_request_is_scored_exactly(runner):
    matrix = np.random.default_rng(3).standard_normal((COUNT, len(peer.FEATURES)))
    rows = [dict(zip(peer.FEATURES, row, strict=True)) for row in matrix.tolist()]
    requests = [
        {"request_id": f"r{i}", "user_id": "u", "event_time": BASE_MS + i, "features": row}
        for i, row in enumerate(rows)
    ]
    rows = [written("Request", each) for each in requests]
    await runner.send("PEER_IN_REQUESTS", rows[:-10])
    child = runner.worker("S")
    try:
        await runner.wait_for(child, "PEER_OUT_PREDICTIONS", lambda records: len(records) >= COUNT - 10)
        await runner.send("PEER_IN_REQUESTS", rows[-10:])  # few are read in another way
        records = await runner.wait_for(child, "PEER_OUT_PREDICTIONS", lambda records: len(records) >= COUNT)
    finally:
        child.stop()
    made = [fastavro.schemaless_reader(io.BytesIO(each.value), parsed("Prediction")) for each in records]
    assert sorted(each["request_id"] for each in made) == sorted(each["request_id"] for each in requests)
    parts = (peer.MEAN, peer.SCALE, peer.COEFFICIENTS)
    mean, scale, coefficients = map(np.array, parts)
    exact = 1 / (1 + np.exp(-((matrix - mean) / scale @ coefficients + peer.INTERCEPT)))
    for each in made:
        score = exact[int(each["request_id"][1:])]
        assert each["score"] == pytest.approx(score, abs=1e-9)
        assert (each["label"], each["model_version"]) == (int(score >= 0.5), "v1")
    assert float((runner.folder / "mark").read_text("utf-8")) < time.time()


async def test_a_killed_worker_comes_back_to_exact_counts(runner):
    """The first outcome counts, the second contradicts it; the worker is killed between the two halves of the predictions."""
    predictions = [
        {
            "request_id": f"r{i}", "user_id": "u", "event_time": BASE_MS + i * 100, "model_version": f"v{i % 2}",
            "score": 0.25, "label": i % 3 % 2,
        }
        for i in range(COUNT)
    ]  # fmt: skip
    outcomes = [
        {"request_id": each["request_id"], "outcome": 1 - again, "outcome_time": each["event_time"] + 1 + again}
        for again in (0, 1)
        for each in predictions
    ]
    exact = {}
    for each in predictions:
        window = each["model_version"], each["event_time"] // MINUTE_MS * MINUTE_MS
        count, correct = exact.get(window, (0, 0))
        exact[window] = count + 1, correct + each["label"]
    rows = [written("Prediction", each) for each in predictions]
    await runner.send("PEER_IN_OUTCOMES", [written("Outcome", each) for each in outcomes])
    await runner.send("PEER_IN_PREDICTIONS", rows[: COUNT // 2])
    child = runner.worker("J")
    try:
        await runner.wait_for(child, "PEER_OUT_MATCHES", lambda records: len(records) >= COUNT // 2)
        os.kill(child.pid, signal.SIGKILL)
        child.stop()
        await runner.send("PEER_IN_PREDICTIONS", rows[COUNT // 2 :])
        child = runner.worker("J")
        await runner.wait_for(child, "PEER_OUT_METRICS", lambda records: totals(records) == exact)
        matches = await runner.wait_for(child, "PEER_OUT_MATCHES", lambda records: len(records) >= COUNT)
    finally:
        child.stop()
    assert sorted(each.key.decode() for each in matches) == sorted(each["request_id"] for each in predictions)


def totals(records):
    """What the newest record of each key says, summed for each window."""
    newest = {each.key: json.loads(each.value) for each in records}
    sums = {}
    for each in newest.values():
        window = each["model_version"], each["window_start"]
        count, correct = sums.get(window, (0, 0))
        sums[window] = count + each["n"], correct + each["correct"]
    return sums
