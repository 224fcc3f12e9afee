"""Every command on an installation in which all text is hostile: nothing acts on the terminal, nothing ends a command."""

import asyncio
import json
import uuid
from dataclasses import fields

import pytest

from commands import ALL, run
from leadline.core.processor import Raw
from leadline.core.release.chain import Chain
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.records import (
    Alert,
    Assignment,
    Check,
    Command,
    CommandAnswer,
    Comparison,
    PairCounts,
    Prediction,
    PredictionRequest,
    Rollout,
    Verdict,
    VersionHealth,
    WindowMetrics,
    WorkerHealth,
)
from leadline.settings import load_settings
from leadline.wire.codec import value_of
from leadline.wire.topics import BY_NAME

pytestmark = pytest.mark.integration
HOSTILE = "[/b][link=http://evil]x\x1b]0;t\x07\x1b[31m\x9b31m\u202egnp\u2028\r\u200b\u3164"
FILE = HOSTILE.replace("/", "")
ACTS = "\x1b\x07\x9b\u202e\u2028\r\u200b\u3164"
RAW = HOSTILE.encode() + b"\xff\xfe\x00"
WINDOW = {
    "model": HOSTILE, "model_version": HOSTILE, "segment": HOSTILE, "window_start": 0, "state": HOSTILE, "task": "binary",
    "predictions": 1, "revision": 1,
}  # fmt: skip

RECORDS = {
    "prediction-requests": PredictionRequest(HOSTILE, HOSTILE, 0, {HOSTILE: float("nan")}, HOSTILE, {HOSTILE: HOSTILE}),
    "alerts": Alert("a", HOSTILE, "high", "opened", HOSTILE, "v1", HOSTILE, 0, 1, 1, {HOSTILE: HOSTILE}, HOSTILE),
    "metrics": WindowMetrics(
        **{each.name: 0 if each.type is int else None for each in fields(WindowMetrics) if each.name != "finals"}
        | WINDOW
    ),
    "rollouts": Rollout(
        HOSTILE,
        HOSTILE,
        2**62,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        2**46,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        -(2**62),
        {f"{HOSTILE}2": 0.5},
        HOSTILE,
        1e-300,
        -(2**45),
        [Assignment(HOSTILE, -(2**45), {}, HOSTILE, 1.0, HOSTILE)],
    ),
    "verdicts": Verdict(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        "canary",
        HOSTILE,
        [Check(HOSTILE, HOSTILE, float("nan"), float("inf"), HOSTILE, HOSTILE)],
        HOSTILE,
        HOSTILE,
        HOSTILE,
        2**62,
    ),
    "comparisons": Comparison(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        "*",
        -(2**62),
        2**62,
        float("nan"),
        1,
        0,
        HOSTILE,
        PairCounts(*[-(2**62)] * 8),
        PairCounts(*[2**62] * 8),
    ),
    "commands": Command("c", "start", HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, 2**62),
    "command-answers": CommandAnswer("c", HOSTILE, HOSTILE, HOSTILE, HOSTILE, 2**62),
    "workers": WorkerHealth(
        HOSTILE,
        HOSTILE,
        "running",
        0,
        0,
        [],
        [HOSTILE],
        {f"{HOSTILE} {HOSTILE}": HOSTILE},
        [],
        {},
        scored=[VersionHealth(HOSTILE, HOSTILE, HOSTILE, -1, -1, -1, float("nan"), "")],
    ),
    "predictions": Prediction(
        HOSTILE, HOSTILE, HOSTILE, "champion", HOSTILE, 0, 0, 0.5, 1, [], HOSTILE, [HOSTILE], None
    ),
}
RECORDS["audit"] = Chain().add("rollouts", 0, Raw(0, RAW, value_of(RECORDS["rollouts"])), 0)
LETTER = [
    ("leadline-reason", HOSTILE.encode()), ("__connect.errors.exception.message", RAW), (HOSTILE, RAW), ("none", None),
]  # fmt: skip
OF_FILE = ["--settings", f"{FILE}.toml", "--reference", f"{FILE}.csv"]
REPLAY = ["--predictions", f"{FILE}.csv", "--outcomes", f"{FILE}.csv", "--horizon", "1d", "--window", "1d"]
TAILED = [["tail", topic, "--from-beginning", "-n", "2" if topic in RECORDS else "1"] for topic in BY_NAME]

RUN = {
    "topics plan": [["topics", "plan"]],
    "topics apply": [["topics", "apply"]],
    "topics acls": [["topics", "acls", "--producer", HOSTILE]],
    "asyncapi": [["asyncapi"]],
    "model add": [["model", "add", f"{FILE}.skops", "--settings", f"{FILE}.toml", "--reference", f"{FILE}.csv"]],
    "model init": [["model", "init", f"{FILE}.skops", "--reference", f"{FILE}.csv", "--name", HOSTILE]],
    "model list": [["model", "list"]],
    "model show": [["model", "show", HOSTILE], ["model", "show", "m"], ["model", "show", "m", HOSTILE]],
    "model diff": [["model", "diff", HOSTILE, HOSTILE, "@champion"]],
    "model card": [["model", "card", HOSTILE, HOSTILE], ["model", "card", f"models:/{HOSTILE}"]],
    "model export": [["model", "export", HOSTILE, HOSTILE, f"{FILE}.tar"]],
    "model configure": [["model", "configure", HOSTILE, f"{HOSTILE}=1", "--reason", HOSTILE, "--timeout", "1s"]],
    "model push": [["model", "push", HOSTILE, HOSTILE, "--to", "."]],
    "mlflow push": [["mlflow", "push", HOSTILE, HOSTILE, "--to", HOSTILE]],
    "mlflow pull": [
        ["mlflow", "pull", f"models:/{FILE}@{FILE}", "--from", HOSTILE, *OF_FILE],
    ],
    "gate run": [["gate", "run", "m", "--challenger", HOSTILE, "--data", f"{FILE}.csv", "--junit", "j.xml"]],
    "alerts list": [["alerts", "list"], ["alerts", "list", "--json"]],
    "alerts show": [["alerts", "show", "a"], ["alerts", "show", "a", "--json"], ["alerts", "show", HOSTILE]],
    "alerts acknowledge": [["alerts", "acknowledge", "a", "--reason", HOSTILE, "--timeout", "1s"]],
    "alerts silence": [
        ["alerts", "silence", HOSTILE, "--kind", HOSTILE, "--for", "1d", "--reason", "r", "--timeout", "1s"]
    ],
    "alerts unsilence": [["alerts", "unsilence", HOSTILE, "--kind", HOSTILE, "--timeout", "1s"]],
    "model remove": [["model", "remove", HOSTILE]],
    "verify": [["verify", HOSTILE, HOSTILE], ["verify", "m", "v1"]],
    "forget": [["forget", "--user", HOSTILE, "--reason", HOSTILE]],
    "retrain": [["retrain", HOSTILE, "--reason", HOSTILE, "--timeout", "1s"]],
    "notify": [["notify", "--config", f"{FILE}.toml"]],
    "approve": [["approve", HOSTILE, HOSTILE, "--reason", HOSTILE, "--timeout", "0s"]],
    "reject": [["reject", HOSTILE, HOSTILE, "--reason", HOSTILE, "--timeout", "1s"]],
    "rollout start": [["rollout", "start", HOSTILE, HOSTILE, "--reason", HOSTILE, "--timeout", "1s"]],
    **{
        f"rollout {each}": [
            ["rollout", each, HOSTILE, *version, "--reason", HOSTILE, "--timeout", "0s"] for version in ([], [HOSTILE])
        ]
        for each in ("pause", "resume", "promote", "abort", "rollback")
    },
    "rollout status": [["rollout", "status"], ["rollout", "status", HOSTILE], ["rollout", "status", "--json"]],
    "rollout story": [
        ["rollout", "story", HOSTILE],
        ["rollout", "story", HOSTILE, HOSTILE],
        ["rollout", "story", HOSTILE, "--json"],
    ],
    "rollout simulate": [["rollout", "simulate", *REPLAY, "--champion", HOSTILE, "--challenger", FILE]],
    "keys new": [["keys", "new"]],
    "keys show": [["keys", "show"]],
    "model promote": [["model", "promote", HOSTILE, HOSTILE, "--timeout", "0s"]],
    "send": [
        ["send", f"{FILE}.csv", "--to", "outcomes"],
        ["send", f"{FILE}.csv", "--to", "requests", "--model", HOSTILE],
        ["send", f"{FILE}.csv", "--to", "requests", "--model", "m"],
    ],
    "tail": TAILED,
    "metrics": [["metrics", "--once"], ["metrics", "--once", "--model", HOSTILE]],
    "dead-letters list": [["dead-letters", "list"], ["dead-letters", "list", "--json"]],
    "dead-letters show": [["dead-letters", "show", "0/0"], ["dead-letters", "show", "0/0", "--json"]],
    "dead-letters replay": [["dead-letters", "replay"], ["dead-letters", "replay", "--json"]],
    "audit show": [["audit", "show"], ["audit", "show", "--model", HOSTILE], ["audit", "show", "--json"]],
    "audit verify": [["audit", "verify"], ["audit", "verify", "--from", f"{FILE}.csv"], ["audit", "verify", "--json"]],
    "audit who": [
        ["audit", "who", "--request", HOSTILE],
        ["audit", "who", "--at", "2026-01-01T00:00:00Z", "--model", HOSTILE],
    ],
    "audit export": [["audit", "export", f"{FILE}.jsonl"], ["audit", "export", "-"]],
    "watch calibrate": [["watch", "calibrate", HOSTILE, HOSTILE, f"{HOSTILE}=1"], ["watch", "calibrate", "m", HOSTILE]],
    "report": [["report", "--model", HOSTILE], ["report", "--model", "m"]],
    "replay": [["replay", *REPLAY]],
    "doctor": [["doctor"]],
    "ready": [["ready", "m"], ["ready", HOSTILE], ["ready", FILE, "--version", HOSTILE, "--notify", f"{FILE}.toml"]],
}
NOTHING_TO_SHOW = {"up", "worker", "trainer", "simulate"}
"""They show what they do themselves; what comes in, their log shows."""


@pytest.fixture(scope="module")
def hostile(kafka, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    settings = load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}")
    asyncio.run(fill(kafka, settings.prefix))
    (folder / f"{FILE}.csv").write_text(f"{HOSTILE},request_id,outcome,outcome_time\n{HOSTILE},1,x,1\n")
    (folder / "models" / FILE).mkdir(parents=True)
    (folder / "models" / "m").mkdir()
    (folder / "models" / "m" / "model.toml").write_text(f'name = "m"\n"{HOSTILE[:3]}\\u202e" = "[/b]"\n')
    yield folder, settings.prefix
    asyncio.run(cluster.remove(kafka, settings.prefix))


async def fill(bootstrap, prefix):
    await apply_topics(bootstrap, prefix, 1, 1, None, [])
    async with open_sender(bootstrap, prefix) as sender:
        for topic in BY_NAME:
            headers = LETTER if topic == "dead-letters" else [(HOSTILE, RAW)]
            await sender.send_and_wait(f"{prefix}.{topic}", 0, [(RAW, RAW, headers)])
        for topic, record in RECORDS.items():
            key = HOSTILE.encode() if topic == "rollouts" else RAW  # under another one it is left out
            await sender.send_and_wait(f"{prefix}.{topic}", 0, [(key, value_of(record), [])])


def test_every_command_is_here():
    assert {" ".join(words) for words in ALL} == RUN.keys() | NOTHING_TO_SHOW


@pytest.mark.parametrize(
    "arguments", [pytest.param(each, id=" ".join(each)[:40]) for many in RUN.values() for each in many]
)
def test_nothing_acts_on_the_terminal(hostile, kafka, monkeypatch, capsys, arguments):
    folder, prefix = hostile
    for name, value in {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_MODELS": "models"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    monkeypatch.chdir(folder)
    assert run(arguments) in (0, 1, 2, 3)
    out, err = capsys.readouterr()
    assert not set(ACTS) & set(out + err), out + err
    assert "Traceback" not in err
    assert "not foreseen" not in err
    if arguments[0] == "tail" or "--json" in arguments:
        for line in out.splitlines():
            json.loads(line, parse_constant=lambda name: pytest.fail(name))
        assert out.count("\n") >= 1
