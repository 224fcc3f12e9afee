"""`leadline ready` on a real broker: of a model with all that it needs each line holds, but for the receipt that it does not have."""

import json
import time
import uuid

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from commands import run
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import publish
from leadline.learning.add import add_version
from leadline.records import JoinCounts, Rollout, Verdict
from leadline.settings.model import load_model_settings
from leadline.topology import STEPS

pytestmark = pytest.mark.integration
TOML = """
name = "m"
numeric = ["x"]
runbook = "https://wiki/m"
[alerts]
false_alarms = "1 per 30d"
[gate]
margin = 0.01
[approval]
policy = "one"
"""
TARGETS = "[[targets]]\nname = 'pager'\nkind = 'alertmanager'\nurl = 'http://127.0.0.1:9'\n"
DAY = 86_400_000


def reference():
    rng, rows = np.random.default_rng(1), 1200
    x, times = rng.normal(0, 1, rows), np.sort(rng.integers(0, 12 * DAY, rows)) + 1_700_000_000_000
    return pa.table(
        {
            "x": x,
            "outcome": (x + rng.normal(0, 0.3, rows) > 0).astype(float),
            "event_time": pa.array(times, pa.timestamp("ms", "UTC")),
        }
    )


@pytest.fixture
async def place(kafka, tmp_path, monkeypatch):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, 2, 1, None, [each.name for each in STEPS if each.stateful])
    models, data = tmp_path / "models", reference()
    (tmp_path / "m.toml").write_text(TOML, "utf-8")
    settings = load_model_settings(tmp_path / "m.toml")
    fitted = LogisticRegression().fit(data["x"].to_numpy().reshape(-1, 1), data["outcome"].to_numpy())
    for version in ("v1", "v2"):
        add_version(models, settings, version, fitted, data, "outcome", time="event_time")
    (models / "m" / "model.toml").write_text(TOML, "utf-8")
    (tmp_path / "notify.toml").write_text(TARGETS, "utf-8")
    environment = {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "LEADLINE_MODELS": str(models),
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield environment
    await cluster.remove(kafka, prefix)


@pytest.fixture
async def served(place, tmp_path):
    """The second version answers, has passed the gate and gets labels, and a worker has loaded it."""
    bootstrap, prefix, now = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], int(time.time() * 1000)
    counts = JoinCounts("m", -1, 1, now, *range(16), last_outcome_at=now)
    said = [
        ("rollouts", Rollout("m", "v1", now, "ada", "first")), ("rollouts", Rollout("m", "v2", now, "ada", "better")),
        ("verdicts", Verdict("g", "m", "v2", "v1", "gate", "promote", [], "better by a point", "", "", now)), ("metrics", counts),
    ]  # fmt: skip
    for topic, record in said:
        await publish(bootstrap, prefix, topic, record)
    with Workers(1, ["scoring"], place, tmp_path / "state", tmp_path / "logs", lambda _: None):
        yield


def ready(capsys, *words):
    code = run(["ready", *words, "--json"])
    return code, {each["what"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}


def test_each_line_holds_but_for_the_receipt(served, capsys):
    deadline = time.monotonic() + 90
    while True:
        code, found = ready(capsys, "m")
        wrong = {what: each["found"] for what, each in found.items() if each["level"] != "fine"}
        if wrong.keys() == {"receipt"} or time.monotonic() > deadline:
            break
        time.sleep(1)  # a worker tells its health some seconds after it has loaded a version
    assert wrong == {"receipt": "v2 has no receipt: nobody can train it again and compare"}
    assert code == 1
    assert found["rollback"]["found"].startswith("v1, which is here")


def test_without_a_broker_each_line_that_needs_one_says_so(place, monkeypatch, capsys):
    monkeypatch.delenv("KAFKA_BOOTSTRAP")
    code, found = ready(capsys, "m", "--version", "v1", "--notify", "none.toml")
    unseen = {what for what, each in found.items() if "KAFKA_BOOTSTRAP is not set" in each["found"]}
    assert (code, unseen) == (1, {"rollback", "gate", "incidents", "labels", "workers"})
    assert {what for what, each in found.items() if each["level"] == "fine"} == {
        "contract",
        "reference",
        "watch",
        "approval",
        "runbook",
    }
