"""A worker tells its health: over HTTP, and as a record that everybody reads."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from urllib.error import HTTPError
from urllib.request import urlopen

import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from leadline.hosts.health_record import told
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.learning.add import add_version
from leadline.settings import ModelSettings
from leadline.topology import STEPS

pytestmark = pytest.mark.integration
HOSTED = ("scoring", "join", "rollout")


@pytest.fixture
async def prefix(kafka):
    name = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, name, 2, 1, None, [step.name for step in STEPS if step.stateful])
    yield name
    await cluster.remove(kafka, name)


@pytest.fixture
def worker(kafka, prefix, tmp_path):
    environment = {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "127.0.0.1:0",
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "-m", "leadline", "worker", *(f"--step={step}" for step in HOSTED)]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, env=os.environ | environment, stderr=log)
    yield running
    running.kill()
    running.wait()


async def until(found, within_s=60):
    async with asyncio.timeout(within_s):
        while not (result := await found()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return result


async def test_a_worker_is_ready_tells_its_stages_and_says_goodbye(kafka, prefix, worker, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.toml").write_text("name = ", "utf-8")

    async def url():
        lines = [json.loads(line) for line in (tmp_path / "log").read_text("utf-8").splitlines() if line[:1] == "{"]
        return next((line["url"] for line in lines if "url" in line), None)

    async def newest():
        known = await told(kafka, f"{prefix}.workers")
        return next((each for each in known.values()), None)

    async def running():
        health = await newest()
        return health and all(stage.state == "running" for stage in health.health.stages) and health

    async def is_ready():
        try:
            with await asyncio.to_thread(urlopen, address.replace("healthz", "readyz"), timeout=5) as answer:
                return json.load(answer)
        except HTTPError as error:
            assert error.code == 503  # noqa: PT017
            return None

    address = await until(url)
    held = {name: stage["partitions"] for name, stage in (await until(is_ready))["stages"].items()}
    assert held == {step: [0, 1] for step in HOSTED}
    health = await until(running)
    assert abs(health.at_ms - health.health.told_at) < 10_000
    assert {stage.stage: stage.partitions for stage in health.health.stages} == held
    assert health.health.unusable.keys() == {"broken"}
    assert health.health.free_bytes.keys() == {"state", "models"}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    goodbye = await newest()
    assert (goodbye.health.state, goodbye.health.worker_id) == ("stopped", health.health.worker_id)


async def test_a_promotion_waits_until_the_worker_answers_with_it_or_says_why_not(kafka, prefix, worker, tmp_path):
    def promote(version, timeout):
        environment = {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(tmp_path)}
        words = ["model", "promote", "m", version, "--timeout", timeout, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "leadline", *words], env=os.environ | environment, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        return json.loads(done.stdout) | {"code": done.returncode, "said": done.stderr}

    async def scores():
        return await told(kafka, f"{prefix}.workers")

    rows = [[float(number)] for number in range(10)]
    reference = pa.table({"x": [x for [x] in rows], "outcome": [number > 4 for number in range(10)]})
    model = LogisticRegression().fit(rows, [number > 4 for number in range(10)])
    add_version(tmp_path, ModelSettings(name="m", numeric=["x"], positive=True), "v1", model, reference, "outcome")
    (tmp_path / "m" / "v2").mkdir()
    [name] = [key.decode() for key in await until(scores)]
    taken = await asyncio.to_thread(promote, "v1", "60s")
    assert (taken["code"], taken["before"], taken["answering"]) == (0, None, [name]), taken
    refused = await asyncio.to_thread(promote, "v2", "60s")
    assert (refused["code"], refused["before"], refused["answering"]) == (1, "v1", []), refused
    assert "manifest.json cannot be read" in refused["not_answering"][name]
    assert name in refused["said"]


async def test_doctor_sees_a_sick_installation_and_dies_of_no_record(kafka, prefix, worker, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.toml").write_text("name = ", "utf-8")
    sent = {
        "workers": (b"w", b"no record"),
        "dead-letters": (b"", b"no headers"),
        "outcomes": (b"odd", b"?"),
        "rollouts": (b"m", b"?"),
    }
    async with open_sender(kafka, prefix) as sender:
        for topic, (key, value) in sent.items():
            await sender.send_and_wait(f"{prefix}.{topic}", 0, [(key, value, [])])

    async def sees():
        done = await asyncio.to_thread(doctor)
        said = {each["what"]: each for each in map(json.loads, done.stdout.splitlines())}
        assert (done.returncode, done.stderr) == (1, "")
        assert min(len(each["mend"]) for each in said.values() if each["level"] != "fine") > 10
        letters = any(what.startswith("dead letters ") and what != "dead letters unknown" for what in said)
        return (
            said
            if letters and any("scoring running, join running" in each["found"] for each in said.values())
            else None
        )

    def doctor():
        environment = {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "leadline", "doctor", "--json"], env=os.environ | environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    said = await until(sees)
    [alive] = [each for what, each in said.items() if what.startswith("worker ")]
    assert alive["level"] == "fine"
    assert {what for what, each in said.items() if each["level"] == "wrong"} >= {"model broken", "dead letters unknown"}
    assert said["stage join"]["level"] == "fine"
    assert said["stage drift"]["found"].startswith("no worker has its partitions 0, 1")
