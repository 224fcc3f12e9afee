"""What `leadline ready` says of what was seen: each line is fine in a sound model, and wrong where its one thing is."""

import subprocess
from dataclasses import replace

import pytest

from leadline.cli.checkup import look_at_model
from leadline.cli.checkup.findings import Level
from leadline.cli.checkup.readiness import SeenModel, judge_readiness
from leadline.core.reference import FeatureWindow, ReferenceProfile
from leadline.hosts.health import Told
from leadline.records import Check, JoinCounts, StageHealth, Verdict, WorkerHealth
from leadline.settings import ModelSettings
from leadline.settings.notify import Target

DAY = 86_400_000
NOW = 1_800_000_000_000
LINES = [
    "contract", "receipt", "reference", "watch", "gate", "approval", "rollback", "incidents", "runbook", "labels", "workers",
]  # fmt: skip
PROFILE = ReferenceProfile(
    500, [], {"accuracy": 0.9}, window=DAY, windows=[FeatureWindow(n * DAY, 50, []) for n in range(8)]
)
GATE = Verdict(
    "g", "m", "v2", "v1", "gate", "promote", [Check("accuracy", "*", 1, 0, "passed", "")], "better", "", "", NOW
)
COUNTS = JoinCounts("m", -1, 1, NOW, *range(16), last_outcome_at=NOW - DAY)
PAGER = Target.model_validate({"name": "pager", "kind": "alertmanager", "url": "http://alerts"})
SETTINGS = {
    "name": "m",
    "runbook": "https://wiki/m",
    "approval": {"policy": "one"},
}


def worker(**changes):
    stage = StageHealth("scoring", "running", NOW, [0], 0, NOW, NOW, 0, None, "")
    health = WorkerHealth("a", "0.1.0", "running", NOW, NOW, [stage], ["m v2"], {}, [], {})
    return Told(replace(health, **changes), NOW)


def model(**changes):
    return ModelSettings.model_validate(SETTINGS | changes)


SOUND = SeenModel(
    NOW, "m", "v2", model(), PROFILE, "", True, "",
    ["v2", "v1"], "", GATE, [PAGER], frozenset({"pager"}), COUNTS, [worker()],
)  # fmt: skip
FIRST = {"champions": ["v2"], "gate": None}

SICK = [
    ("contract", "model.skops: damaged", {"unusable": "model.skops: damaged"}),
    ("contract", "no golden sample", {"has_golden": False}),
    ("receipt", "has no receipt", {"receipt": None}),
    ("receipt", "the data differ", {"receipt": "the data differ"}),
    ("reference", "0 windows of its own", {"profile": replace(PROFILE, windows=[])}),
    ("watch", "nothing is known of auc", {"settings": model(alerts={"metric": "auc"})}),
    ("watch", "nothing opens", {"settings": model(alerts={"weights": {}})}),
    ("gate", "no verdict of the gate about v2", {"gate": None}),
    ("gate", "compared v2 with v1, and v3 answers now", {"champions": ["v3", "v1"]}),
    ("gate", "hold: too few rows", {"gate": replace(GATE, verdict="hold", reason="too few rows")}),
    ("approval", "nobody has to agree", {"settings": model(approval={})}),
    ("approval", "nothing can be approved", {"settings": model(approval={"policy": "two", "proof": "signature", "keys": {"ada": "0"}})}),
    ("rollback", "none: v2 is the first champion", FIRST),
    ("rollback", "v1 cannot be used: gone", {"before_unusable": "gone"}),
    ("incidents", "notify.toml: cannot be read", {"targets": "notify.toml: cannot be read"}),
    ("incidents", "no target hears", {"targets": [PAGER.model_copy(update={"models": ["n"]})]}),
    ("incidents", "no target hears", {"targets": [PAGER.model_copy(update={"severities": ["warning"]})]}),
    ("incidents", "pager has taken none", {"told": frozenset()}),
    ("runbook", "none", {"settings": model(runbook="")}),
    ("labels", "no outcome of this model", {"counts": None}),
    ("labels", "no outcome of this model", {"counts": replace(COUNTS, last_outcome_at=None)}),
    ("labels", "came 15 days ago", {"counts": replace(COUNTS, last_outcome_at=NOW - 15 * DAY)}),
    ("workers", "no worker that scores is alive", {"workers": []}),
    ("workers", "no worker that scores is alive", {"workers": [Told(worker().health, NOW - DAY)]}),
    ("workers", "it is not its champion", {"workers": [worker(versions=["m v1"])]}),
    ("workers", "other libraries", {"workers": [worker(versions=[], unusable={"m v2": "other libraries"})]}),
]  # fmt: skip


def test_a_sound_model_is_ready():
    found = list(judge_readiness(SOUND))
    assert [each.what for each in found] == LINES
    assert {each.level for each in found} == {Level.FINE}


@pytest.mark.parametrize(("what", "found", "changed"), SICK)
def test_one_line_says_what_is_wrong_and_what_to_do(what, found, changed):
    [wrong] = [each for each in judge_readiness(replace(SOUND, **changed)) if each.level is not Level.FINE]
    assert wrong.what == what
    assert found in wrong.found
    assert wrong.mend


def test_a_first_champion_needs_no_verdict_of_the_gate():
    assert {each.what for each in judge_readiness(replace(SOUND, **FIRST)) if each.level is Level.WRONG} == {"rollback"}


def test_every_line_has_its_sickness():
    assert {what for what, _, _ in SICK} == set(LINES)


def test_what_cannot_be_looked_at_is_wrong():
    found = {each.what: each.found for each in judge_readiness(replace(SOUND, unseen={"labels": "no broker"}))}
    assert found["labels"] == "could not be looked at: no broker"


@pytest.mark.parametrize(
    ("code", "out", "err", "said"),
    [
        (0, "the same\n", "", ""),
        (1, "the data differ\nmore\n", "", "the data differ"),
        (2, "", "", "`leadline verify` ended with 2"),
    ],
)
def test_a_receipt_is_verified_by_training_again(tmp_path, monkeypatch, code, out, err, said):
    asked = []

    def verify(words, **_):
        asked.append(words[-3:])
        return subprocess.CompletedProcess(words, code, out, err)

    monkeypatch.setattr(look_at_model.subprocess, "run", verify)
    assert look_at_model._receipt(tmp_path, "m", "v2") is None
    (tmp_path / "m" / "v2").mkdir(parents=True)
    (tmp_path / "m" / "v2" / look_at_model.RECEIPT).touch()
    assert look_at_model._receipt(tmp_path, "m", "v2") == said
    assert asked == [["verify", "m", "v2"]]
