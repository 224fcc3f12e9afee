"""``leadline up`` as its user starts and stops it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from leadline.kafka import cluster

pytestmark = pytest.mark.integration


def test_all_that_it_keeps_is_for_its_user_alone(kafka, tmp_path):
    prefix, data = f"test-{uuid.uuid4().hex[:8]}", tmp_path / "data"
    environment = {**os.environ, "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": str(tmp_path)}
    command = [sys.executable, "-m", "leadline", "up", "--data", str(data)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, umask=0o022) as process:
        try:
            deadline = time.monotonic() + 90
            while not list(data.rglob("CURRENT")):
                assert time.monotonic() < deadline, "no worker keeps state"
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    asyncio.run(cluster.remove(kafka, prefix))
    kept = [data, *data.rglob("*")]
    assert {path.name for path in kept} >= {"data", "logs", "workers", "worker-0.log", "CURRENT"}
    assert [str(path) for path in kept if path.stat().st_mode & 0o077] == []
    assert process.returncode == 0, said
