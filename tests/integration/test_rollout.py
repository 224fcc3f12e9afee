"""Champions on a real broker: asked for by a command, made by the rollout stage, and taken by the workers."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from leadline.cli.newest import rollouts
from leadline.hosts.health_record import told
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.learning.add import add_version
from leadline.records import PredictionRequest
from leadline.settings import ApprovalSettings, ModelSettings
from leadline.topology import STEPS
from leadline.wire.codec import key_of, value_of

pytestmark = pytest.mark.integration
ROWS = [[float(number)] for number in range(10)]
YES = [number > 4 for number in range(10)]


@pytest.fixture
async def place(kafka, tmp_path):
    """Topics, and the environment of commands and workers."""
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, 2, 1, None, [each.name for each in STEPS if each.stateful])
    yield {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "XDG_CONFIG_HOME": str(tmp_path / "nobody"),
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path / "models"),
    }  # fmt: skip
    await cluster.remove(kafka, prefix)


@pytest.fixture
def worker(place, tmp_path):
    """Starts a worker, as often as it is called."""
    running = []

    def start():
        steps = [f"--step={name}" for name in ("scoring", "rollout")]
        with (tmp_path / "log").open("a") as log:
            words = [sys.executable, "-m", "leadline", "worker", *steps]
            running.append(subprocess.Popen(words, env=os.environ | place, stderr=log))
        return running[-1]

    yield start
    for each in running:
        each.kill()
        each.wait()


def add(place, name, *versions, **approval):
    reference = pa.table({"x": [x for [x] in ROWS], "outcome": YES})
    settings = ModelSettings(name=name, numeric=["x"], positive=True, approval=ApprovalSettings(**approval))
    for version in versions:
        model = LogisticRegression().fit(ROWS, YES)
        add_version(Path(place["LEADLINE_MODELS"]), settings, version, model, reference, "outcome")


async def leadline(place, *words, config=None):
    """Exit code, what a command prints as JSON, and what it says."""
    environment = os.environ | place | ({"XDG_CONFIG_HOME": str(config)} if config else {})
    line = [sys.executable, "-m", "leadline", *words, "--json"]
    done = await asyncio.to_thread(subprocess.run, line, env=environment, capture_output=True, text=True, timeout=150)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


async def champions(place):
    return {
        model: (each.champion, each.before, each.revision)
        for model, each in (await rollouts(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"])).items()
    }


async def until(found, within_s=90):
    async with asyncio.timeout(within_s):
        while not (result := await found()):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return result


async def test_a_command_that_is_left_is_obeyed_by_the_next_worker_before_it_scores(place, worker, kafka):
    add(place, "m", "v1", "v2")
    code, said, _ = await leadline(place, "model", "promote", "m", "v1")
    assert (code, said["champion"], said["left"]) == (0, False, True), said
    request = PredictionRequest("r1", "m", 0, {"x": 1.0})
    async with cluster_producer(kafka) as producer:
        topic = f"{place['LEADLINE_PREFIX']}.prediction-requests"
        await producer.send_and_wait(topic, value_of(request), key=key_of("prediction-requests", request))
    first = worker()
    predictions = f"{place['LEADLINE_PREFIX']}.predictions"
    assert await until(lambda: anything(kafka, predictions))
    assert not await anything(kafka, f"{place['LEADLINE_PREFIX']}.dead-letters")
    code, said, _ = await leadline(place, "model", "promote", "m", "v2", "--reason", "better")
    assert (code, said["before"], len(said["answering"]), said["reason"]) == (0, "v1", 1, "better"), said
    first.kill()
    first.wait()
    code, said, error = await leadline(place, "model", "promote", "m", "v1", "--timeout", "2s")
    assert (code, said.get("answer")) == (3, None), "the worker was killed a moment ago, and tells no more"
    assert error.startswith("timed out: no worker answered command ")
    worker()

    async def is_back():
        return (await champions(place))["m"] == ("v1", "v2", 3)

    assert await until(is_back), "what was left is obeyed once"


async def test_two_persons_with_keys_let_a_version_in(place, worker, tmp_path):
    keys = {}
    for name in ("ann", "bob", "eve"):
        code, said, _ = await leadline(place, "keys", "new", config=tmp_path / name)
        assert code == 0
        assert oct((tmp_path / name / "leadline" / "key.pem").stat().st_mode)[-3:] == "600"
        keys[name] = said["public_key"]
    add(place, "m", "v1", policy="two", proof="signature", keys=keys)
    worker()

    await until(lambda: told(place["KAFKA_BOOTSTRAP"], f"{place['LEADLINE_PREFIX']}.workers"))
    code, said, error = await leadline(place, "model", "promote", "m", "v1", config=tmp_path / "ann")
    assert code == 0, error
    assert (said["answer"], said["champion"]) == ("accepted", False)
    assert "waits for 2 persons other than ann" in said["said"]
    decide = ["m", "v1", "--reason", "looks good"]
    code, _, error = await leadline(place, "approve", *decide)
    assert code == 1
    assert "only a command that is signed by a key in [approval] keys counts" in error
    code, _, error = await leadline(place, "approve", *decide, config=tmp_path / "ann")
    assert (code, "ann has asked for it" in error) == (1, True), error
    code, said, _ = await leadline(place, "approve", *decide, config=tmp_path / "bob")
    assert (code, said["champion"], said["said"][:19]) == (0, False, "1 of 2 have agreed "), said
    assert await champions(place) == {}
    code, said, _ = await leadline(place, "approve", *decide, config=tmp_path / "eve")
    assert (code, said["champion"], said["actor"], len(said["answering"])) == (0, True, "bob, eve", 1), said
    code, _, error = await leadline(place, "reject", *decide, config=tmp_path / "eve")
    assert (code, "nothing is to be rejected: v1 is serving" in error) == (1, True), error


async def anything(kafka, topic):
    return [each async for each in cluster.read_all(kafka, topic)]


def cluster_producer(kafka):
    from aiokafka import AIOKafkaProducer

    return AIOKafkaProducer(bootstrap_servers=kafka)


async def test_a_rollout_is_begun_held_and_ended_by_commands_and_told_afterwards(place, worker):
    add(place, "m", "v1", "v2", "v3")
    first = worker()
    assert (await leadline(place, "model", "promote", "m", "v1"))[0] == 0
    why = ["--reason", "to see"]
    code, said, error = await leadline(place, "rollout", "start", "m", "v2", *why)
    assert (code, said.get("answer")) == (0, "accepted"), error or said
    code, said, _ = await leadline(place, "rollout", "start", "m", "v3", "--mode", "ab", "--share", "v3=0.2", *why)
    assert (code, said["answer"], "leadline rollout abort m" in said["reason"]) == (1, "refused", True), said
    code, said, _ = await leadline(place, "rollout", "pause", "m", "v2", *why)
    assert (code, said["answer"]) == (0, "accepted"), said
    code, said, _ = await leadline(place, "rollout", "status", "m")
    assert (code, said["champion"], said["challenger"], said["state"]) == (0, "v1", "v2", "paused"), said
    assert (said["shares"], said["waits_for"].split(":")[0]) == ({"v2": 0.0}, "a person")
    assert (await leadline(place, "rollout", "rollback", "m", *why))[0] == 0
    code, said, _ = await leadline(place, "rollout", "resume", "m", *why)
    assert (code, said["answer"], "no rollout is under way" in said["reason"]) == (1, "refused", True), said
    code, said, _ = await leadline(place, "rollout", "story", "m")
    assert (code, said["challenger"], said["state"], said["missing"]) == (0, "v2", "rolled-back", [])
    asked = [each["record"]["kind"] for each in said["events"] if each["kind"] == "command"]
    assert asked == ["start", "start", "pause", "roll-back"]
    assert [each["record"]["state"] for each in said["events"] if each["kind"] == "change"] == [
        "shadow",
        "paused",
        "rolled-back",
    ]
    assert (await leadline(place, "rollout", "start", "m", "v3", "--mode", "canary", *why))[0] == 0
    code, said, error = await leadline(place, "rollout", "promote", "m", *why)
    assert (code, said.get("champion"), said.get("before"), len(said["answering"])) == (0, True, "v1", 1), error or said
    assert (await leadline(place, "rollout", "rollback", "m", *why))[0] == 0
    assert (await champions(place))["m"][0] == "v1"
    first.kill()
    first.wait()
    code, _, error = await leadline(place, "rollout", "start", "m", "v3", *why, "--timeout", "1s")
    assert (code, error.startswith("timed out: no worker answered command ")) == (3, True), error
