"""Two machines that share models by an S3 alone: what one adds the other one serves, from an empty disk, also while the S3 is away."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import closing

import boto3
import pyarrow as pa
import pytest
import skops.io
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from moto.server import ThreadedMotoServer
from pyarrow import csv
from sklearn.linear_model import LogisticRegression

from leadline.kafka import cluster
from leadline.wire.codec import read

pytestmark = pytest.mark.integration

TOML = 'name = "fraud"\nnumeric = ["x"]\nhorizon = "1h"\nwindow = "1h"\n'


def free_port():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def s3():
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield server, f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def machine(kafka, s3, tmp_path):
    """Runs commands, and a worker, as on a machine of a name: it shares the store with the others, and no disk."""
    prefix, workers = f"test-{uuid.uuid4().hex[:8]}", []
    boto3.client(
        "s3", endpoint_url=s3[1], aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    ).create_bucket(Bucket="models")

    def run(name, *words, serve=False):
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        env = os.environ | {
            "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "COLUMNS": "100",
            "LEADLINE_MODELS": "s3://models/team", "LEADLINE_CACHE": str(home / "cache"), "LEADLINE_STATE": str(home / "state"),
            "AWS_ENDPOINT_URL": s3[1], "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip
        command = [sys.executable, "-m", "leadline", *words]
        if serve:
            with (home / "log").open("ab") as log:
                workers.append(subprocess.Popen(command, env=env, cwd=tmp_path, stderr=log))
            return workers[-1]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    run.prefix = prefix
    yield run
    for worker in workers:
        worker.send_signal(signal.SIGINT)
        worker.wait(60)
    asyncio.run(cluster.remove(kafka, prefix))


def model_files(folder):
    (folder / "fraud.toml").write_text(TOML)
    csv.write_csv(pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 0, 1, 1]}), folder / "reference.csv")
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]), folder / "fraud.skops")


ADD = ("model", "add", "fraud.skops", "--settings", "fraud.toml", "--reference", "reference.csv", "--outcome", "y")


async def ask(bootstrap, prefix, request_id, within_s=60):
    """Send a request; the version that answers it."""
    now = int(time.time() * 1000)
    async with (
        AIOKafkaConsumer(
            f"{prefix}.predictions", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer,
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
    ):
        value = {"request_id": request_id, "model": "fraud", "event_time": now, "features": {"x": 1.0}}
        await producer.send_and_wait(f"{prefix}.prediction-requests", json.dumps(value).encode(), request_id.encode())
        async with asyncio.timeout(within_s):
            async for record in consumer:
                found = read("predictions", record.value)
                if found.request_id == request_id:
                    return found.model_version
    return None


def test_what_one_machine_adds_another_one_serves_from_an_empty_disk(machine, kafka, s3, tmp_path):
    model_files(tmp_path)
    machine("a", "topics", "apply")
    assert "s3://models/team/fraud/v1" in machine("a", *ADD)
    worker = machine("b", "worker", serve=True)
    machine("a", "model", "promote", "fraud", "v1")
    assert asyncio.run(ask(kafka, machine.prefix, "r1")) == "v1"
    assert "v1" in machine("c", "model", "list")
    server, _ = s3
    server.stop()
    try:
        assert asyncio.run(ask(kafka, machine.prefix, "r2")) == "v1"
        worker.send_signal(signal.SIGINT)
        worker.wait(60)
        machine("b", "worker", serve=True)  # it has its copy, and the store is away
        assert asyncio.run(ask(kafka, machine.prefix, "r3")) == "v1"
    finally:
        server.start()
    assert "the store of models is away" in (tmp_path / "b" / "log").read_text()
