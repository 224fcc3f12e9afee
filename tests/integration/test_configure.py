"""Commands on a real broker: a running worker does what is asked within seconds, and says why where it does not."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid

import pytest

from incidents import time as time_of
from incidents import window
from leadline.cli.asking import ask
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import publish
from leadline.records import CONFIGURE, REFUSED, Alert, Command, Rollout, Training
from leadline.topology import STEPS, step
from leadline.wire.codec import read

pytestmark = pytest.mark.integration
TOML = """
name = "m"
window = "100ms"
horizon = "1s"
grace = "300ms"
retrain_cooldown = "7d"
runbook = "see the wiki"
[alerts]
reference = 0.9
false_alarms = "1 per 3s"
"""


@pytest.fixture
async def place(kafka, tmp_path):
    """Topics, a model, and the environment of commands and workers."""
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, 2, 1, None, [each.name for each in STEPS if each.stateful])
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "models" / "m" / "model.toml").write_text(TOML, "utf-8")
    yield {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none",
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path / "models"),
    }  # fmt: skip
    await cluster.remove(kafka, prefix)


@pytest.fixture
def worker(place, tmp_path):
    steps = [f"--step={name}" for name in ("retraining", "configuration", "alerting")]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "leadline", "worker", *steps], env=os.environ | place, stderr=log
        )
    yield running
    running.terminate()
    running.wait()


async def command(place, *words):
    """Exit code, standard output and error of a command."""
    line = [sys.executable, "-m", "leadline", *words]
    done = await asyncio.to_thread(subprocess.run, line, env=os.environ | place, capture_output=True, text=True)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


async def configure(place, *changes, within="60s"):
    words = ["model", "configure", "m", *changes, "--reason", "to see", "--actor", "ada", "--timeout", within]
    return await command(place, *words)


async def requests(place):
    topic = f"{place['LEADLINE_PREFIX']}.retrain-requests"
    stored = [each async for each in cluster.read_all(place["KAFKA_BOOTSTRAP"], topic)]
    return [read("retrain-requests", each.value).alert_id for each in stored]


async def alert(place, number, state="opened"):
    """Tell of an alert, and wait until retraining has heard of it."""
    bootstrap, prefix = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"]
    end = number * 1000
    told = Alert(f"a{number}", "performance", "critical", state, "m", "v1", "*", end - 100, end, 1, {}, "")
    await publish(bootstrap, prefix, "alerts", told)
    await heard(place)


async def trained(place):
    """Tell as a trainer that the newest request has failed, and wait until retraining has heard of it."""
    bootstrap, prefix = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"]
    stored = [each async for each in cluster.read_all(bootstrap, f"{prefix}.retrain-requests")]
    retrain_id = read("retrain-requests", stored[-1].value).retrain_id
    await publish(bootstrap, prefix, "trainings", Training(retrain_id, "m", "failed", 1, {}, "no rows", "", "t", 0))
    await heard(place)


async def heard(place):
    bootstrap, prefix = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"]
    async with asyncio.timeout(60):
        while any((await cluster.lag(bootstrap, prefix, step("retraining"))).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_change_takes_effect_on_a_running_worker_within_seconds(place, worker):
    await alert(place, 1)
    await trained(place)
    await alert(place, 2)
    assert await requests(place) == ["a1"], "the model cools down"
    code, said, _ = await configure(place, "retrain_cooldown=1ms", "runbook=ask Ada")
    assert (code, said) == (0, "accepted: retrain_cooldown = 1ms, runbook = ask Ada")
    began = time.monotonic()
    await alert(place, 3)
    assert await requests(place) == ["a1", "a3"]
    assert time.monotonic() - began < 15, "what passes is a run and a commit"
    for arguments, why in (
        ({"alerts.margin": "-1"}, "alerts.margin: Input should be greater than or equal to 0"),
        ({"window": "2d"}, "window is a setting of the join: windows are counted by it, and it never changes"),
        ({"alerts.margn": "1"}, "alerts.margn is no setting that changes live: choose from alerts.metric,"),
        ({}, "nothing is to be changed"),
    ):
        asked = Command(uuid.uuid4().hex, CONFIGURE, "m", "ada", "to see", arguments, 0)
        answer = await ask(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], asked, 30)
        assert (answer.answer, answer.reason[: len(why)]) == (REFUSED, why)
    code, said, _ = await configure(place, "nothing=1")
    assert (code, said.partition(":")[0]) == (1, "refused")
    told = json.loads((await command(place, "model", "show", "m", "--json"))[1])
    assert {each["key"]: (each["value"], each["actor"]) for each in told["changed"]} == {
        "retrain_cooldown": ("1ms", "ada"),
        "runbook": ("ask Ada", "ada"),
    }


async def test_a_person_asks_for_a_training_and_is_answered(place, worker):
    line = [sys.executable, "-m", "leadline", "retrain", "m", "--reason", "to see", "--timeout", "60s"]

    async def retrain(*words):
        done = await asyncio.to_thread(
            subprocess.run, [*line, *words], env=os.environ | place, capture_output=True, text=True
        )
        return done.returncode, done.stdout.strip()

    assert await retrain() == (1, "refused: no version of 'm' answers: make one champion first")
    rollout = Rollout("m", "v1", 0, "ada", "the first one")
    await publish(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], "rollouts", rollout)
    code, said = await retrain("--id", "c1")
    assert (code, said[:23]) == (0, "accepted: asked for as ")
    assert await retrain("--id", "c1") == (code, said)
    assert await retrain() == (1, f"refused: {said[23:]} is under way")
    await trained(place)
    assert "the cooldown ends at" in (await retrain())[1]
    code, said = await retrain("--force", "--json")
    assert (code, json.loads(said)["answer"]) == (0, "accepted")
    assert len(await requests(place)) == 2


async def test_where_no_worker_answers_it_says_so(place):
    code, said, error = await configure(place, "drift.psi=0.2", within="1s")
    assert (code, said) == (3, "")
    assert error.startswith("timed out: no worker answered command ")


async def test_a_kind_is_silenced_and_told_of_again(place, worker):
    of = ("m", "--kind", "performance", "--reason", "known", "--timeout", "60s")
    code, said, _ = await command(place, "alerts", "silence", *of, "--for", "2d")
    assert (code, said.partition(" until ")[0]) == (0, "accepted: performance is silenced")
    assert (await command(place, "alerts", "unsilence", *of))[1] == "accepted: performance is told of again"
    assert (await command(place, "alerts", "unsilence", *of))[:2] == (1, "refused: performance is not silenced")


async def test_an_open_incident_is_acknowledged(place, worker):
    for record in (window(0, 100), time_of(0)):
        await publish(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], "metrics", record)
    async with asyncio.timeout(60):
        while not (listed := (await command(place, "alerts", "list", "--json"))[1]):
            pass
    incident = json.loads(listed)["alert_id"]
    code, said, _ = await command(place, "alerts", "acknowledge", incident, "--actor", "ada", "--timeout", "60s")
    assert (code, said) == (0, "accepted: performance of m v1 is acknowledged")
    told = json.loads((await command(place, "alerts", "show", incident, "--json"))[1])
    assert (told["state"], told["revision"], told["acknowledged_by"]) == ("updated", 2, "ada")


async def test_incidents_are_listed_and_shown_and_only_open_ones_acknowledged(place, worker):
    await alert(place, 1)
    await alert(place, 2)
    await alert(place, 2, "resolved")
    listed = (await command(place, "alerts", "list"))[1].splitlines()
    assert [line.split(",")[0] for line in listed] == ["a1 OPENED critical: performance of m v1"]
    everything = (await command(place, "alerts", "list", "--all", "--json"))[1].splitlines()
    assert [json.loads(line)["state"] for line in everything] == ["opened", "resolved"]
    assert "incident: a2, revision 1" in (await command(place, "alerts", "show", "a2"))[1]
    code, said, _ = await command(place, "alerts", "acknowledge", "a2", "--timeout", "60s")
    assert (code, said) == (1, "refused: no incident 'a2' of 'm' is open: see `leadline alerts list`")
    code, _, error = await command(place, "alerts", "acknowledge", "a3")
    assert (code, error) == (1, "error: there is no incident a3: see `leadline alerts list --all`")
