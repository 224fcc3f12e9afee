"""How far a version has come is read off the decisions; versions go by name, alias or URI."""

import pytest
import typer

from leadline.cli import named as named_module
from leadline.cli.named import named, split
from leadline.core.release.lineage import Decisions
from leadline.records import Candidate, Check, Rollout, Verdict
from leadline.settings import SettingsError


def rollout(champion, at, before=""):
    return Rollout("m", champion, at, "ada", "better", before)


def candidate(version, at):
    return Candidate("m", version, "v1", "t", "d", "trainer", {"accuracy": 0.9}, at)


def verdict(version, at, verdict, where="gate"):
    checks = [Check("not-worse", "*", 0.1, 0.0, "passed", "it is better")]
    return Verdict(f"{where}{at}", "m", version, "v1", where, verdict, checks, "why", "bo", "", at)


def decisions(*records):
    found = Decisions()
    for each in records:
        found.add(each)
    return found


FIRST = (rollout("v1", 10), candidate("v2", 20))
PROMOTED = (*FIRST, verdict("v2", 21, "promote"), rollout("v2", 30, "v1"))
STATES = [
    ((), "v1", False, "registered"),
    (FIRST, "v1", False, "serving"),
    (FIRST, "v2", False, "registered"),
    ((*FIRST, verdict("v2", 21, "promote")), "v2", False, "gated"),
    ((*FIRST, verdict("v2", 21, "hold")), "v2", True, "gated"),
    ((*FIRST, verdict("v2", 21, "promote")), "v2", True, "waiting for approval"),
    ((*FIRST, verdict("v2", 21, "promote"), verdict("v2", 22, "hold", "approval")), "v2", True, "waiting for approval"),
    ((*FIRST, verdict("v2", 21, "promote"), verdict("v2", 22, "promote", "approval")), "v2", True, "approved"),
    ((*FIRST, verdict("v2", 21, "promote"), verdict("v2", 22, "inconclusive", "approval")), "v2", True, "gated"),
    ((*FIRST, verdict("v2", 21, "reject")), "v2", False, "rejected"),
    ((*FIRST, verdict("v2", 21, "promote"), verdict("v2", 22, "reject", "approval")), "v2", True, "rejected"),
    (PROMOTED, "v2", False, "serving"),
    (PROMOTED, "v1", False, "retired"),
    (PROMOTED[1:], "v1", False, "retired"),  # the log was compacted, and the newest rollout says who was before it
    ((*PROMOTED, verdict("v1", 40, "promote")), "v1", True, "waiting for approval"),
    ((verdict("v0", 5, "promote", "approval"), *PROMOTED), "v0", True, "retired"),  # it was approved, so it answered
]


@pytest.mark.parametrize(("records", "version", "by_persons", "state"), STATES)
def test_the_state_of_a_version(records, version, by_persons, state):
    assert decisions(*records).state(version, by_persons) == state


def test_the_challenger_is_the_newest_that_came_up_since_the_promotion():
    assert decisions(*FIRST).challenger == "v2"
    assert decisions(*FIRST, candidate("v3", 25)).challenger == "v3"
    assert decisions(*FIRST, candidate("v3", 25), verdict("v3", 26, "reject")).challenger == "v2"
    assert decisions(*PROMOTED).challenger is None
    assert decisions(candidate("v1", 1)).challenger == "v1"


@pytest.mark.parametrize(
    "words",
    [("models:/m@champion",), ("m", "@champion"), ("m", "models:/m@champion"), ("models:/m/v1",), ("m", "v1")],
)
def test_all_ways_to_name_a_version(monkeypatch, words):
    async def known(*_):
        return {"m": decisions(*FIRST)}

    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setattr(named_module, "broker", lambda: (named_module.load_settings(), "broker:9092"))
    monkeypatch.setattr(named_module, "decisions", known)
    assert named(*words) == ("m", "v1")
    assert named("models:/m@challenger") == ("m", "v2")
    with pytest.raises(SettingsError, match="other has no champion"):
        named("models:/other@champion")


@pytest.mark.parametrize(
    "words",
    [
        ("m",), ("models:/m",), ("models:/",), ("models:/m/",), ("models:/m@",), ("models:/m/a/b",), ("models:/m/v1", "v2"),
        ("m", "models:/other/v1"), ("m", "@newest"), ("models:/m@newest",), ("models:/m/v1@champion/x",),
    ],
)  # fmt: skip
def test_what_names_no_version_is_a_wrong_call(words):
    with pytest.raises(typer.BadParameter):
        named(*words)


def test_an_alias_needs_a_broker(monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    assert split("models:/m@champion") == ("m", "@champion")
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP is not set"):
        named("m", "@champion")
