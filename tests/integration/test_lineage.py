"""What was decided, read from a real Kafka: the list, and the aliases."""

import asyncio
import json
import uuid

import pytest

from commands import run
from leadline.cli import mlflow
from leadline.cli.named import named
from leadline.core.release.lineage import Decisions
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import publish
from leadline.records import Rollout, Verdict

pytestmark = pytest.mark.integration


@pytest.fixture
def prefix(kafka, monkeypatch, tmp_path):
    name = f"test-{uuid.uuid4().hex[:8]}"
    for key, value in {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": name, "LEADLINE_MODELS": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    asyncio.run(apply_topics(kafka, name, 2, 1, None, []))
    yield name
    asyncio.run(cluster.remove(kafka, name))


def test_a_candidate_from_mlflow_is_the_challenger_until_it_answers(kafka, prefix, capsys):
    def listed():
        assert run(["model", "list", "--json"]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return {each["version"]: (each["state"], each["origin"], each["alias"]) for each in found}

    def tell(topic, record):
        asyncio.run(publish(kafka, prefix, topic, record))

    tell("rollouts", Rollout("m", "v1", 10, "ada", "first"))
    mlflow._nominate("m", "v2", Decisions(), {"accuracy": 0.9})
    assert listed() == {"v1": ("serving", "", "champion"), "v2": ("registered", "mlflow", "challenger")}
    assert (named("models:/m@champion").version, named("m", "@challenger").version) == ("v1", "v2")

    now_ms = 1 << 42
    tell("verdicts", Verdict("g", "m", "v2", "v1", "gate", "promote", [], "better", "", "", now_ms))
    assert listed()["v2"][0] == "gated"
    tell("rollouts", Rollout("m", "v2", now_ms + 1, "ada", "better", "v1"))
    assert listed() == {"v1": ("retired", "", ""), "v2": ("serving", "mlflow", "champion")}
