"""What the policy would have decided about logged predictions: the same as bets in plain Python on pairs that plain Python joined."""

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from commands import run
from leadline.records import iso
from leadline.replay.harm import harmed
from leadline.replay.pairs import read_pairs
from leadline.replay.what_if import Question, decide
from leadline.settings import load_model_settings
from two_versions import START, Log, looks

HOUR = 3_600_000
ASKED = ["rollout", "simulate", "--champion", "v1", "--challenger", "v2", "--horizon", "2h", "--window", "1h"]


def simulated(log, folder, capsys, *more):
    assert run([*ASKED, *log.write(folder), *more, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


@pytest.mark.parametrize(
    ("right", "more", "verdict"),
    [
        ({"v1": 0.7, "v2": 0.95}, {}, "promote"),
        ({"v1": 0.9, "v2": 0.7}, {}, "rollback"),
        ({"v1": 0.8, "v2": 0.8}, {}, "hold"),
        ({"v1": 0.9, "v2": 0.9}, {"margin": 0.1, "alpha": 0.2}, "promote"),
    ],
    ids=["better", "worse", "alike", "with a margin"],
)
def test_each_look_is_that_of_plain_python(tmp_path, capsys, right, more, verdict):
    log = Log(1, 40, 40, right)
    told = simulated(
        log, tmp_path, capsys, *(part for name, value in more.items() for part in (f"--{name}", str(value)))
    )
    naive = looks(log, **more)
    assert told["verdict"] == naive[-1][1] == verdict
    assert [
        (each["at"], each["verdict"], each["pairs"], each["better"], each["same"], each["worse"])
        for each in told["looks"]
    ] == [(iso(at), *numbers) for at, *numbers, _, _ in naive]
    for each, (*_, promote, back) in zip(told["looks"], naive, strict=True):
        assert (each["evidence_promote"], each["evidence_rollback"]) == pytest.approx((promote, back), rel=1e-9)
    assert {
        name: value for name, value in told["looks"][-1].items() if name not in ("at", "verdict")
    }.items() <= told.items()
    assert told["decided_at"] == (None if verdict == "hold" else told["looks"][-1]["at"])


SETTINGS = """name = "m"
horizon = "2h"
window = "1h"
[rollout]
shadow = "3h"
steps = [0.1, 0.5]
bake = "2h"
{more}
"""


def asked(folder, more=""):
    (folder / "model.toml").write_text(SETTINGS.format(more=more))
    return "--settings", str(folder / "model.toml")


def test_a_deadline_ends_it_where_the_settings_name_one(tmp_path, capsys):
    log = Log(2, 20, 30, {"v1": 0.8, "v2": 0.8})
    told = simulated(log, tmp_path, capsys, *asked(tmp_path, 'deadline = "10h"'))
    assert (told["verdict"], told["decided_at"]) == ("inconclusive", iso(START + 10 * HOUR + 1))
    assert told["looks"][-1]["at"] == iso(START + 10 * HOUR + 1)
    assert told["pairs"] == sum(told[name] for name in ("better", "same", "worse"))
    told = simulated(log, tmp_path, capsys, *asked(tmp_path))
    assert (told["verdict"], told["decided_at"], len(told["looks"])) == ("hold", None, 19)


def test_without_labels_nothing_is_decided(tmp_path, capsys):
    log = Log(3, 6, 60, {"v1": 0.5, "v2": 0.95}, missing=1.0)
    log._know("nobody", True, START + 10 * HOUR)
    told = simulated(log, tmp_path, capsys)
    assert (told["verdict"], told["decided_at"], told["harmed"]) == ("no-labels", None, 0)
    assert (told["better"], told["worse"], told["evidence_promote"]) == (0, 0, 1.0)


def test_the_harmed_are_those_that_the_routing_rule_gives_to_the_worse_one(tmp_path):
    log = Log(4, 40, 40, {"v1": 0.95, "v2": 0.6})
    options = log.write(tmp_path)
    known = load_model_settings(Path(asked(tmp_path)[1]))
    logs = read_pairs(Path(options[1]), Path(options[3]), known, "v1", "v2", None)
    question = Question(known, "v1", "v2")
    decided = decide(question, logs, lambda *_: None)
    assert (decided.verdict.verdict, [each.state for each in decided.rollouts]) == (
        "roll-back", ["", "shadow", "canary", "canary", "rolled-back"],
    )  # fmt: skip
    last = decided.rollouts[-1]
    harm = 0
    for name, at, *_ in log.requests():
        held = next(each for each in [last, *last.earlier] if at >= each.effective_at)
        digest = sha256(held.salt.encode() + b"\0" + name.encode()).digest()
        harm += at <= decided.verdict.as_of and int.from_bytes(digest[:8]) / 2**64 < held.shares.get("v2", 0)
    assert harmed(question, decided, logs.requests()) == harm > 0
    better = decided._replace(looks=[each._replace(look=each.look._replace(better=999)) for each in decided.looks])
    until = sum(at <= decided.verdict.as_of for _, at, *_ in log.requests())
    assert harmed(question, better, logs.requests()) == until - harm


def test_a_person_reads_the_verdict_and_how_it_would_have_gone(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    log = Log(1, 40, 40, {"v1": 0.7, "v2": 0.95})
    assert run([*ASKED, *log.write(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("promote at 2026-01-02T01:00:00.001Z: of 787 pairs in 23 windows")
    for part in (
        "simulation asked to start v2 (mode shadow)",
        "In shadow: v2 scores all requests",
        "Verdict at canary: promote: of 787 pairs",
    ):
        assert part in out


def test_what_cannot_be_used_is_told(tmp_path, capsys):
    log = Log(5, 6, 20, {"v1": 0.8, "v2": 0.8})
    log.predictions[7]["score"] = "nan"
    assert run([*ASKED, *log.write(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert (err, json.loads(out)["verdict"]) == ("1 records could not be used: score-not-finite 1\n", "hold")


def test_whole_cycles_are_looked_at_where_the_settings_have_one(tmp_path, capsys):
    log = Log(2, 30, 20, {"v1": 0.8, "v2": 0.8})
    told = simulated(log, tmp_path, capsys, *asked(tmp_path, '[alerts]\ncycle = "6h"'))
    assert [each["at"] for each in told["looks"]] == [iso(START + hours * HOUR + 1) for hours in (8, 14, 20, 26)]
    by_window = {each["at"]: each for each in simulated(log, tmp_path, capsys)["looks"]}
    assert [each["pairs"] for each in told["looks"]] == [by_window[each["at"]]["pairs"] for each in told["looks"]]


def sparse(log):
    """Few pairs, and so some windows at the end of a cycle have none."""
    for number in range(60):
        at = START + number * 5 * HOUR // 2
        for version, right in (("v1", number % 4 == 0), ("v2", number % 8 != 0)):
            log._say(f"r{number}", at, version, right, "a", at)
        log._know(f"r{number}", True, at + 1)


def corrected_in_between(log):
    """v2 is better in nine windows; what was wrong of that is corrected between two looks; then it is worse."""
    for hour, number in ((hour, number) for hour in range(10) for number in range(40)):
        name, at, truth = f"r{hour}-{number}", START + hour * HOUR + number, number % 2 == 0
        is_better, differ = (number < 2, number < 30) if hour == 9 else (number < 16 + hour % 3, number < 20)
        for version in ("v1", "v2"):
            log._say(name, at, version, truth == (not differ or is_better == (version == "v2")), "a", at)
        log._know(name, truth, at + 1)
        if hour < 8 and number < 20:
            for outcome, minute in ((not truth, -1), (truth, 30)):
                log._know(name, outcome, at + 60 + minute)
                log.outcomes[-1]["arrival_time"] = START + 11 * HOUR + minute * HOUR // 60
    log.outcomes.sort(key=lambda row: row["arrival_time"])


@pytest.mark.parametrize(
    ("made", "more", "least", "at"),
    [
        (corrected_in_between, "", 360, START + 11 * HOUR + HOUR * 3 // 4),
        (sparse, '[alerts]\ncycle = "6h"', 10, None),
    ],
    ids=["a correction decides between two windows", "a cycle is over whose last windows have no pairs"],
)
def test_the_look_that_decides_is_the_last_one(tmp_path, capsys, made, more, least, at):
    log = Log(0, 0, 0, {"v1": 1, "v2": 1})
    made(log)
    log._know("nobody", True, START + 200 * HOUR)
    settings = tmp_path / "model.toml"
    settings.write_text(f'name = "m"\nwindow = "1h"\npolicy = "latest"\n[rollout]\nmin_pairs = {least}\n{more}')
    told = simulated(log, tmp_path, capsys, "--settings", str(settings))
    assert told["verdict"] == told["looks"][-1]["verdict"] == "promote"
    assert told["decided_at"] == told["looks"][-1]["at"]
    assert told["evidence_promote"] >= 20
    assert at is None or told["decided_at"] == iso(at)


def test_a_request_has_the_time_and_the_segment_that_its_champion_says_and_logs_end_with_their_last_record(
    tmp_path, capsys
):
    log = Log(1, 12, 40, {"v1": 0.7, "v2": 0.95})
    as_asked = simulated(log, tmp_path, capsys)
    for row in log.predictions:
        if row["model_version"] == "v2":
            row |= {"event_time": row["event_time"] + 77, "segment": "elsewhere"}
    log.outcomes.append({**log.outcomes[-1], "request_id": "nobody", "outcome_time": START + 9999 * HOUR})
    assert simulated(log, tmp_path, capsys) == as_asked
    assert len(as_asked["looks"]) == 11


def test_pairs_that_came_too_late_to_count_are_told(tmp_path, capsys):
    log = Log(1, 8, 40, {"v1": 0.7, "v2": 0.95})
    for row in log.predictions:
        row["arrival_time"] += 99 * HOUR * (row["model_version"] == "v2")
    assert run([*ASKED, *log.write(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["verdict"], json.loads(out)["pairs"]) == ("no-labels", 0)
    assert (
        err
        == f"{sum(1 for _ in log.requests())} pairs count for nothing: a prediction of them came after their window was due\n"
    )


@pytest.mark.parametrize(
    ("change", "more", "code", "says"),
    [
        (
            {"score": 71.5},
            "",
            1,
            "nothing counted: no request has two predictions that can be used; .* score-out-of-range",
        ),
        ({}, 'protected = ["origin=a"]', 1, "rollout.protected names 'origin=a', .* their segments are 'a', 'b'$"),
        ({}, "margin = 0.3\nbudget = 0.3", 1, "margin: Input should be less than 1"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, capsys, change, more, code, says):
    log = Log(1, 4, 40, {"v1": 0.7, "v2": 0.95})
    log.predictions = [{**row, **change} for row in log.predictions]
    wrong = ["--margin", "1"] if "margin" in more else []
    assert run([*ASKED, *log.write(tmp_path), *asked(tmp_path, more), *wrong, "--json"]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(says, err.strip())


def test_a_rollout_that_cannot_begin_is_no_verdict(tmp_path, capsys):
    log = Log(1, 4, 40, {"v1": 0.7, "v" * 1001: 0.95})
    arguments = [*ASKED, *log.write(tmp_path), "--challenger", "v" * 1001, "--json"]
    assert run(arguments) == 1
    assert "begins: 1 records could not be used: too-long 1" in capsys.readouterr().err


def test_a_column_that_is_there_twice_is_refused(tmp_path, capsys):
    Log(1, 2, 10, {"v1": 0.7, "v2": 0.95}).write(tmp_path)
    text = gzip.decompress((tmp_path / "p.csv.gz").read_bytes()).decode().splitlines()
    (tmp_path / "p.csv").write_text("\n".join([f"{text[0]},score", *(f"{line},0.9" for line in text[1:])]))
    assert run([*ASKED, "--predictions", str(tmp_path / "p.csv"), "--outcomes", str(tmp_path / "o.csv.gz")]) == 1
    assert "p.csv: has more than one column score" in capsys.readouterr().err
