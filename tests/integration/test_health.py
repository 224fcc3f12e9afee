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

import pytest

from leadline.hosts.health_record import told
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics

pytestmark = pytest.mark.integration
STEPS = ("scoring", "join")


@pytest.fixture
async def prefix(kafka):
    name = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, name, 2, 1, None, ["join"])
    yield name
    await cluster.remove(kafka, name)


@pytest.fixture
def worker(kafka, prefix, tmp_path):
    environment = {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "127.0.0.1:0",
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "-m", "leadline", "worker", *(f"--step={step}" for step in STEPS)]
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
    assert held == {step: [0, 1] for step in STEPS}
    health = await until(running)
    assert abs(health.at_ms - health.health.told_at) < 10_000
    assert {stage.stage: stage.partitions for stage in health.health.stages} == held
    assert health.health.unusable.keys() == {"broken"}
    assert health.health.free_bytes.keys() == {"state", "models"}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    goodbye = await newest()
    assert (goodbye.health.state, goodbye.health.worker_id) == ("stopped", health.health.worker_id)
