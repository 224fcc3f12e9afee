"""`scripts/bench`: each of Leadline's own jobs runs, and finds its answers right; what it costs is not asked here."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration
FEW = "6000"


@pytest.mark.parametrize(
    "asked",
    [
        ["join", "--events", FEW, "--rounds", "1"],
        ["loop", "--events", FEW, "--rounds", "1"],
        ["latency", "--seconds", "1", "--rounds", "1"],
        ["rollout", "canary", "--events", "2000", "--rounds", "1"],
        ["restore", "--pending", FEW, "--runs", "1"],
        ["store", "--runs", "1", "--away", "8"],
        ["scale", "models", "features", "--most", "10", "--events", FEW],
    ],
    ids=lambda asked: asked[0],
)
def test_a_job_runs_and_its_answers_are_right(kafka, asked):
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", *asked],
        env={**os.environ, "KAFKA_BOOTSTRAP": kafka},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert [json.loads(line)["job"] for line in ran.stdout.splitlines() if line.startswith("{")], ran.stdout
