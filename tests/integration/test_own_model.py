"""docs/own-model.md as a new user walks it: its commands, in its order, on a real Kafka, until the first live accuracy is there."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from leadline.kafka import cluster
from pages import ROOT, blocks, commands

pytestmark = pytest.mark.integration

GETTING = "git", "cd leadline", "scripts/install", ". ", "mkdir", "cd shop"
"""The tests have all of this already."""
NOT_WALKED = "leadline up", "export"
"""The page shows two ways to a Kafka; `leadline up` has a test of its own."""


@pytest.fixture
def shop(kafka, tmp_path):
    """A folder beside the samples, and what a terminal in it knows."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "shop").mkdir()
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    known = {
        "KAFKA_BOOTSTRAP": kafka,
        "LEADLINE_PREFIX": prefix,
        "LEADLINE_HEALTH": "none",
        "PATH": search,
        "COLUMNS": "100",
    }
    yield {"cwd": tmp_path / "shop", "env": {**os.environ, **known}}
    asyncio.run(cluster.remove(kafka, prefix))


@pytest.fixture
def terminal(shop):
    """Runs a line as a person types it; a worker goes on in a terminal of its own."""
    workers = []

    def run(line):
        if line == "leadline worker":
            workers.append(subprocess.Popen(line.split(), stderr=subprocess.DEVNULL, **shop))
            return ""
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120, check=False, **shop)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    yield run
    for worker in workers:
        worker.send_signal(signal.SIGINT)
        worker.wait(60)


def test_a_new_user_comes_to_the_first_live_accuracy(terminal):
    page = [line for block in blocks(ROOT / "docs/own-model.md") if block.language == "sh" for line in commands(block)]
    walked, begun, said = [line for line in page if not line.startswith((*GETTING, *NOT_WALKED))], time.monotonic(), {}
    for line in walked:
        said[line] = terminal(line)
        while line.startswith("leadline metrics") and not re.search(r"\b[78]\d%", said[line]):  # as a person would
            assert time.monotonic() - begun < 600, "ten minutes, installation apart"
            said[line] = terminal(line)
    [added] = [text for line, text in said.items() if line.startswith("leadline model add")]
    assert "its 2,000 scores are yours, to 1e-9" in added
    assert any(line.startswith("leadline metrics") for line in walked)
