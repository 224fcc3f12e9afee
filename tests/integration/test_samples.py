"""The samples of docs/clients.md read and write what they should on a real Kafka, each in a process of its own."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid

import pytest
from confluent_kafka import Producer

import naive_avro
from leadline.embedded import servers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.settings import load_settings
from leadline.wire.asyncapi import document
from leadline.wire.json_form import read_json
from pages import ROOT

pytestmark = pytest.mark.integration

SAMPLES = ROOT / "samples"
MESSAGES = document("leadline", "1")["components"]["messages"]
WRITTEN = {"predictions": "Prediction", "metrics": "WindowMetrics", "alerts": "Alert"}


@pytest.fixture(scope="module")
def environment():
    """Where the samples look: topics with a prediction, a metric and an alert, on a broker of their own: their groups have fixed names."""
    with servers(load_settings(), redis=False) as running:
        kafka = running.bootstrap
        prefix = f"test-{uuid.uuid4().hex[:8]}"
        asyncio.run(apply_topics(kafka, prefix, 2, 1, None, []))
        producer = Producer({"bootstrap.servers": kafka})
        for topic, name in WRITTEN.items():
            message = MESSAGES[name]
            producer.produce(
                f"{prefix}.{topic}", naive_avro.value(message, message["examples"][0]["payload"]), key=b"k"
            )
        assert producer.flush(30) == 0
        yield {
            **os.environ,
            "KAFKA_BOOTSTRAP": kafka,
            "LEADLINE_PREFIX": prefix,
            "LEADLINE_SCHEMAS": str(ROOT / "schemas"),
        }
        asyncio.run(cluster.remove(kafka, prefix))


def said(command, environment, lines):
    """What a sample prints first; it ends by itself on Ctrl-C."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        late = threading.Timer(120, process.kill)
        late.start()
        found = [process.stdout.readline().rstrip("\n") for _ in range(lines)]
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()
        late.cancel()
    assert process.returncode == 0, (found, complaint)
    return sorted(found)


@pytest.mark.parametrize("name", sorted(path.name for path in (SAMPLES / "python").glob("with_*.py")))
def test_python_reads_predictions_metrics_and_alerts(environment, name):
    assert said([sys.executable, SAMPLES / "python" / name], environment, 3) == [
        "accuracy 2026-01-31 00:00:00+00:00 country=de 0.95 0.934 0.962",
        "alert 9f1c5a7e opened performance {'accuracy': '0.81', 'limit': '0.90'}",
        "prediction r-1001 v2 0.91",
    ]


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js")
def test_node_reads_predictions_metrics_and_alerts(environment, tmp_path):
    shutil.copytree(SAMPLES / "node", tmp_path / "node", ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--silent"], cwd=tmp_path / "node", check=True, timeout=180)
    (tmp_path / "leadline.json").write_text(json.dumps({"components": {"messages": MESSAGES}}))
    assert said(["node", tmp_path / "node/consume.js", tmp_path / "leadline.json"], environment, 3) == [
        "accuracy 2026-01-31T00:00:00.000Z country=de 0.95 0.934 0.962",
        'alert 9f1c5a7e opened performance {"accuracy":"0.81","limit":"0.90"}',
        "prediction r-1001 v2 0.91",
    ]


def test_python_asks_and_tells(environment):
    subprocess.run([sys.executable, SAMPLES / "python/produce.py"], env=environment, check=True, timeout=60)
    for topic, name in (("prediction-requests", "PredictionRequest"), ("outcomes", "Outcome")):
        [record] = asyncio.run(all_of(environment["KAFKA_BOOTSTRAP"], f"{environment['LEADLINE_PREFIX']}.{topic}"))
        assert record.key == b"order-4711"
        assert read_json(name, record.value)["request_id"] == "order-4711"


async def all_of(kafka, topic):
    return [each async for each in cluster.read_all(kafka, topic)]
