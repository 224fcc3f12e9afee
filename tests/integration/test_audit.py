"""The audit on a real broker: its worker is killed while decisions come, and each is in the chain once; and the commands that ask it."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from commands import run
from leadline.core.release.audit import DECISIONS
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender, publish
from leadline.records import Candidate, Check, Command, Prediction, RetrainRequest, Rollout, Training, Verdict
from leadline.testing.audited import wrong_chain
from leadline.topology import STEPS, step
from leadline.wire.codec import read, value_of

pytestmark = pytest.mark.integration
PARTITIONS = 2
SCRIPT = Path(__file__).parents[2] / "docs" / "audit_verify.py"


@pytest.fixture
async def place(kafka, tmp_path):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, PARTITIONS, 1, None, [each.name for each in STEPS if each.stateful])
    yield {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none", "LEADLINE_SESSION_TIMEOUT": "2s",
        "LEADLINE_RUN_RECORDS": "10", "LEADLINE_MODELS": str(tmp_path / "models"),
    }  # fmt: skip
    await cluster.remove(kafka, prefix)


async def send(bootstrap, prefix, rng, count):
    """Decisions of all kinds, most of which nobody can read; one is too large for an entry."""
    async with open_sender(bootstrap, prefix) as sender:
        for _ in range(count):
            topic = rng.choice(DECISIONS)
            number = 0 if topic in ("rollouts", "model-settings") else rng.randrange(PARTITIONS)
            value = rng.choice([None, rng.randbytes(20), b"large" * 150_000, rng.randbytes(300)])
            key = b"m" if topic in ("rollouts", "model-settings") else rng.choice([None, b"m"])
            await sender.send_and_wait(f"{prefix}.{topic}", number, [(key, value, [])])


async def settled(bootstrap, prefix, tend):
    async with asyncio.timeout(300):
        while sum((await cluster.lag(bootstrap, prefix, step("audit"))).values()):
            tend()
            await asyncio.sleep(0.3)


async def wrong(bootstrap, prefix):
    logged, large = {}, 0
    for topic in DECISIONS:
        async for record in cluster.read_all(bootstrap, f"{prefix}.{topic}"):
            cut = len(record.value or b"") > 500_000
            large += cut
            logged[topic, record.partition, record.offset] = record.key, None if cut else record.value
    entries = [read("audit", record.value) async for record in cluster.read_all(bootstrap, f"{prefix}.audit")]
    assert sum(bool(entry.left_out) for entry in entries) == large > 0
    return len(logged), list(wrong_chain(entries, logged))


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.long)])
async def test_each_decision_is_in_the_chain_once_though_its_stage_is_killed(place, tmp_path, kills):
    bootstrap, prefix, rng = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], random.Random(kills)
    log = tmp_path / "logs" / "worker-0.log"
    await send(bootstrap, prefix, rng, 40)
    with Workers(1, ["audit"], place, tmp_path / "state", log.parent, lambda _: None, patience=10**9) as workers:
        for number in range(kills):
            while not at_work(log):  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0.02)
            await send(bootstrap, prefix, rng, rng.randint(1, 20))
            await asyncio.sleep(rng.uniform(0, 0.5))
            os.kill(workers.pids[0], signal.SIGKILL)
            await send(bootstrap, prefix, rng, rng.randint(0, 10))
            log.rename(log.with_name(f"killed-{number}.log"))
            await again(workers)
        await settled(bootstrap, prefix, workers.tend)
    count, found = await wrong(bootstrap, prefix)
    assert found == []
    assert count >= 40 + kills


def at_work(log):
    return log.exists() and '"assigned"' in log.read_text("utf-8", "replace")


async def again(workers):
    """Start the worker that was killed."""
    killed = workers.pids
    while workers.pids == killed:
        workers.tend()
        await asyncio.sleep(0.02)


async def test_where_its_changelog_was_deleted_it_says_so_and_begins_no_second_chain(place, tmp_path):
    """Though a decision comes in a topic of which it had read nothing: what it had committed of others is looked at first."""
    bootstrap, prefix, state = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], tmp_path / "state"
    async with open_sender(bootstrap, prefix) as sender:
        await sender.send_and_wait(f"{prefix}.model-settings", 0, [(b"m", b"%d" % at, []) for at in range(30)])
    with Workers(1, ["audit"], place, state, tmp_path / "logs", lambda _: None, patience=10**9) as workers:
        await settled(bootstrap, prefix, workers.tend)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([f"{prefix}.audit-changelog"])
    while f"{prefix}.audit-changelog" in await admin.list_topics():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await admin.close()
    await apply_topics(bootstrap, prefix, PARTITIONS, 1, None, ["audit"])
    async with open_sender(bootstrap, prefix) as sender:
        await sender.send_and_wait(f"{prefix}.alerts", 1, [(b"m", b"new", [])])
    log = tmp_path / "again" / "worker-0.log"
    with Workers(1, ["audit"], place, state, log.parent, lambda _: None, patience=10**9):
        async with asyncio.timeout(90):
            while not log.exists() or "the changelog lost records" not in log.read_text("utf-8", "replace"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await asyncio.sleep(4)  # it joins again
    entries = [read("audit", record.value) async for record in cluster.read_all(bootstrap, f"{prefix}.audit")]
    assert [each.sequence for each in entries] == list(range(1, 31))


# -- commands -------------------------------------------------------------------------------------------------------------

RETRAIN = RetrainRequest("t1", "m", "v1", 0, "worse than its limit", "a1", {})
TRAINING = Training("t1", "m", "succeeded", 1, {"0": 9}, "", "v2", "trainer", 0)
CANDIDATE = Candidate("m", "v2", "v1", "t1", "5ee1", "trainer", {}, 0)
GATE = Verdict(
    "g1",
    "m",
    "v2",
    "v1",
    "gate",
    "promote",
    [Check("accuracy", "*", 0.9, 0.8, "passed", "")],
    "better by 2 points",
    "",
    "",
    0,
)
APPROVE = Command("c1", "approve", "m", "ada", "looks right", {"version": "v2"}, 0)
APPROVED = Verdict("p1", "m", "v2", "v1", "approval", "promote", [], "ada agreed", "ada", "c1", 0)
FIRST = Rollout("m", "v1", 0, "bob", "the first one")
SECOND = Rollout("m", "v2", 0, "ada", "better by 2 points", before="v1", cause="p1")
SAID = [
    ("rollouts", FIRST), ("retrain-requests", RETRAIN), ("trainings", TRAINING), ("candidates", CANDIDATE), ("verdicts", GATE),
    ("commands", APPROVE), ("verdicts", APPROVED), ("rollouts", SECOND),
]  # fmt: skip


@pytest.fixture
async def decided(place, tmp_path, monkeypatch):
    """A chain of eight decisions, and a request that the second version answered."""
    bootstrap, prefix = place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"]
    with Workers(1, ["audit"], place, tmp_path / "state", tmp_path / "logs", lambda _: None) as workers:
        for topic, record in SAID:
            await publish(bootstrap, prefix, topic, record)
        await settled(bootstrap, prefix, workers.tend)
    entries = [read("audit", record.value) async for record in cluster.read_all(bootstrap, f"{prefix}.audit")]
    second = next(entry.arrival_time for entry in entries if entry.value == value_of(SECOND))
    answer = Prediction("r1", "m", "v2", "champion", "", 0, second + 1, 0.75, 1, [], "s", [], None)
    await publish(bootstrap, prefix, "predictions", answer)
    await publish(bootstrap, prefix, "predictions", replace(answer, request_id="r2", role="challenger"))
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *words):
    code = run(["audit", *words])
    return code, capsys.readouterr().out.splitlines()


def by_script(*words):
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_the_commands_tell_what_was_decided_and_by_whom(decided, capsys):
    code, lines = said(capsys, "show", "--model", "m")
    assert (code, len(lines)) == (0, 8)
    assert any("m: v2 is champion instead of v1, by ada: better by 2 points" in line for line in lines)
    assert said(capsys, "show", "--model", "other") == (0, [])
    code, lines = said(capsys, "who", "--request", "r1")
    assert code == 0
    for part in (
        "request r1: m v2 answered 0.75", "champion (entry", "ada (a claim) asks to approve version = v2: looks right",
        "promote at the approval by ada: ada agreed", "promote at the gate: better by 2 points", "receipt 5ee1",
        "training t1 succeeded, made v2", "training t1 asked for (alert): worse than its limit",
    ):  # fmt: skip
        assert any(part in line for line in lines), (part, lines)
    assert said(capsys, "who", "--request", "r2")[1][0].startswith("request r2: m v2 answered 0.75"), "by a share"
    code, [line] = said(capsys, "who", "--at", "2100-01-01T00:00:00Z", "--model", "m", "--json")
    told = json.loads(line)
    assert told["version"] == "v2"
    assert [each["what"] for each in told["steps"]] == [
        "champion", "approve", "approval", "gate", "candidate", "training", "asked",
    ]  # fmt: skip
    assert said(capsys, "who", "--at", "1999-01-01T00:00:00Z", "--model", "m")[0] == 1
    assert said(capsys, "who", "--request", "nobody")[0] == 1
    code, lines = said(capsys, "who", "--request", "r2")  # in a canary a challenger answers
    assert (code, "request r2: m v2 answered 0.75" in lines[0]) == (0, True)


def test_an_export_is_verified_with_and_without_leadline(decided, capsys):
    code, [line, _] = said(capsys, "verify")
    assert (code, line.startswith("8 entries, whole; the head is ")) == (0, True)
    head = line.rpartition(" ")[2]
    assert said(capsys, "export", "all.jsonl")[0] == 0
    assert said(capsys, "verify", "--from", "all.jsonl", "--head", head)[0] == 0
    assert by_script("all.jsonl", head) == (0, [line])
    assert not list(decided.glob(".*"))
    lines = (decided / "all.jsonl").read_text().splitlines(keepends=True)
    (decided / "all.jsonl").write_text("".join(lines[:-1]))
    assert said(capsys, "verify", "--from", "all.jsonl")[0] == 0
    code, [cut, _] = said(capsys, "verify", "--from", "all.jsonl", "--head", head)
    assert (code, "cut off" in cut) == (1, True)
    (decided / "all.jsonl").write_text("".join(lines[:3] + lines[4:]))
    code, found = said(capsys, "verify", "--from", "all.jsonl")
    assert (code, found[0]) == (1, "entry 4: in its place stands entry 5")
    assert by_script("all.jsonl") == (1, ["entry 4: in its place stands entry 5"])
