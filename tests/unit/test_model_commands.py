"""``leadline model list|show|remove`` on the disk; who answers, and what changed live, are given."""

import json

import pytest

from commands import run
from leadline.cli import model_list, model_remove, model_show
from leadline.core.release.lineage import Decisions
from leadline.learning.errors import RegistryError
from leadline.learning.remove import remove
from leadline.records import LiveSetting, LiveSettings, Rollout

TOML = 'name = "delays"\nnumeric = ["x"]\nrunbook = "see the wiki"\n'
CHAMPION = Rollout("delays", "v2", 0, "ada", "better")


def setting(key, value):
    return LiveSetting(key, value, "ada", "too loud", "c1", 86_400_000)


CHANGED = LiveSettings(
    "delays",
    [setting("alerts.margin", "0.1"), setting("alerts.gone", "1"), setting("runbook", '"ask Ada"')],
    "ada",
    "too loud",
    "c1",
    1,
    0,
)


@pytest.fixture
def models(tmp_path, monkeypatch):
    for version in ("v1", "v2"):
        (tmp_path / "models" / "delays" / version).mkdir(parents=True)
        (tmp_path / "models" / "delays" / version / "manifest.json").write_text("{}", "utf-8")
    (tmp_path / "models" / "delays" / "model.toml").write_text(TOML, "utf-8")
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    return tmp_path / "models"


def knows(monkeypatch, champions=(CHAMPION,), changed=(CHANGED,)):
    """Every command finds a broker that says this."""

    async def rollouts(bootstrap, prefix):
        return {each.model: each for each in champions}

    async def live_settings(bootstrap, prefix):
        return {each.model: each for each in changed}

    async def decisions(bootstrap, prefix):
        return {each.model: Decisions([each]) for each in champions}

    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setattr(model_remove, "rollouts", rollouts)
    monkeypatch.setattr(model_list, "decisions", decisions)
    for module in (model_list, model_show, model_remove):
        monkeypatch.setattr(module, "broker", lambda: (model_show.load_settings(), "broker:9092"))
    monkeypatch.setattr(model_show, "live_settings", live_settings)


def test_the_list_names_versions_and_who_answers(models, monkeypatch, capsys):
    (models / "empty").mkdir()
    (models / "empty" / "model.toml").write_text('name = "empty"\nnumeric = ["x"]\n', "utf-8")
    assert run(["model", "list", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "who answers" in err
    told = [json.loads(line) for line in out.splitlines()]
    assert [(each["model"], each["version"], each.get("state")) for each in told] == [
        ("delays", "v1", "registered"),
        ("delays", "v2", "registered"),
        ("empty", None, None),
    ]
    knows(monkeypatch, [CHAMPION, Rollout("elsewhere", "v9", 0, "bo", "first")])
    assert run(["model", "list", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["model"], each["version"], each["state"], each["here"]) for each in told if each["version"]] == [
        ("delays", "v1", "registered", True),
        ("delays", "v2", "serving", True),
        ("elsewhere", "v9", "serving", False),
    ]
    assert "manifest" in told[0]["why_broken"]
    assert run(["model", "list"]) == 0
    assert "serving" in capsys.readouterr().out


def test_settings_are_shown_by_their_parts_with_who_changed_what(models, monkeypatch, capsys):
    knows(monkeypatch)
    assert run(["model", "show", "delays"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "delays: versions here v1, v2; champion v2 (ada, 1970-01-01T00:00:00Z: better)"
    assert '  numeric = ["x"]' in lines[lines.index(next(x for x in lines if x.startswith("version: "))) :]
    assert "  horizon = 7d" in lines
    assert {"  rollout.bake = 1h", "  rollout.watch = -", "  training.timeout = 1h", "  approval.expires = 7d"} <= set(
        lines
    )
    by = "(ada, 1970-01-02T00:00:00Z: too loud; model.toml: "
    assert f"  alerts.margin = 0.1  {by}0.02)" in lines
    assert f'  runbook = "ask Ada"  {by}"see the wiki")' in lines
    assert [line for line in lines if line.startswith("  not in force here: ")] == [
        "  not in force here: alerts.gone = 1 (ada, 1970-01-02T00:00:00Z: too loud): this release, or model.toml, does not take it"
    ]
    assert run(["model", "show", "delays", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["release"]["training.timeout"] == 3_600_000
    assert (told["settings"]["watch"]["alerts.margin"], told["champion"]["champion"]) == (0.1, "v2")
    assert [each["in_force"] for each in told["changed"]] == [True, False, True]


@pytest.mark.parametrize("arguments", [["delays"], ["delays", "v2"]])
def test_what_answers_is_not_removed(models, monkeypatch, arguments, capsys):
    knows(monkeypatch)
    assert run(["model", "remove", *arguments]) == 1
    assert "delays v2 answers" in capsys.readouterr().err
    assert (models / "delays" / "v2").is_dir()
    assert run(["model", "remove", *arguments, "--force"]) == 0
    assert not models.joinpath(*arguments).exists()


def test_what_does_not_answer_is_removed_whole_and_said(models, monkeypatch, capsys):
    knows(monkeypatch)
    assert run(["model", "remove", "delays", "v1"]) == 0
    assert f"removed {models / 'delays' / 'v1'}: 1 files, 2 bytes" in capsys.readouterr().out
    knows(monkeypatch, champions=())
    assert run(["model", "remove", "delays", "v2"]) == 0
    assert "no version of delays is left here" in capsys.readouterr().out
    assert run(["model", "remove", "delays"]) == 0
    assert list(models.iterdir()) == []


def test_a_removal_that_ends_half_way_leaves_no_half_version(models, monkeypatch):
    def fails(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leadline.learning.remove.shutil.rmtree", fails)
    with pytest.raises(RegistryError, match=r"No space left on device\); what is left of it is in .*/\.v1\."):
        remove(models, "delays", "v1")
    assert not (models / "delays" / "v1").exists()
    with pytest.raises(RegistryError, match="has no version v1"):
        remove(models, "delays", "v1")
