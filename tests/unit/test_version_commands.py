"""``leadline model list|show|diff|card|export`` on a version that was trained here and one that a person added."""

import html
import io
import json
import tarfile

import markdown
import pytest

from commands import run
from leadline.cli import model_list, named
from leadline.core.release.lineage import Decisions
from leadline.foreign_text import shown
from leadline.learning.card import escaped
from leadline.learning.training import Log, make_candidate
from leadline.records import Candidate, Check, Rollout, Verdict
from trainings import drawn, labeled, request, with_model

HOSTILE = "[x](http://evil)|<b onclick=1>\n# *a* `b` www.evil.com \x1b[31m\u202e"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    settings = with_model(folder)
    rows = labeled(drawn(400))
    make_candidate(folder, settings, "v1", request(), [rows], Log({"0": 400}), 7000, lambda _: None, lambda: False)
    return folder


@pytest.fixture
def models(root, monkeypatch):
    """These models, and a broker that knows of a candidate, a verdict and an approval, with texts that are hostile."""
    checks = [Check("not-worse", HOSTILE, 0.02, 0.0, "no-evidence", HOSTILE)]
    records = [
        Rollout("m", "v1", 10, "ada", HOSTILE),
        Candidate("m", "v2", "v1", "t1", "d", "trainer", {}, 20),
        Verdict("g", "m", "v2", "v1", "gate", "hold", checks, HOSTILE, "", "", 21),
        Verdict("a", "m", "v2", "v1", "approval", "promote", [], HOSTILE, HOSTILE, "", 22),
    ]
    found = Decisions()
    for each in records:
        found.add(each)

    async def decisions(*_):
        return {"m": found}

    monkeypatch.setenv("LEADLINE_MODELS", str(root))
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    for module in (model_list, named):
        monkeypatch.setattr(module, "decisions", decisions)
        monkeypatch.setattr(module, "broker", lambda: (named.load_settings(), "broker:9092"))
    return root


def told(capsys, *words):
    assert run([*words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_list_says_how_far_each_came_and_where_it_is_from(models, capsys):
    first, second = told(capsys, "model", "list")
    assert (first["state"], first["origin"], first["alias"], first["trained_at"]) == (
        "serving",
        "person",
        "champion",
        None,
    )
    assert (second["state"], second["origin"], second["alias"]) == ("approved", "trainer", "challenger")
    assert (second["parent"], second["retrain_id"], second["trained_at"]) == ("v1", "t1", "1970-01-01T00:00:07Z")
    assert (len(second["receipt"]), second["gate"]["verdict"]) == (64, "hold")
    assert second["metrics"]["accuracy"] > 0.5


def test_without_a_broker_the_disk_says_what_it_can(models, monkeypatch, capsys):
    monkeypatch.delenv("KAFKA_BOOTSTRAP")
    assert [each["state"] for each in told(capsys, "model", "list")] == ["registered", "registered"]
    [shown] = told(capsys, "model", "show", "m", "v2")
    assert shown["lineage"]["parent"] == "v1"


def test_a_version_is_shown_by_its_parts(models, capsys):
    [found] = told(capsys, "model", "show", "models:/m@challenger")
    assert (found["version"], found["lineage"]["state"], found["seed"]) == ("v2", "approved", {"seed": 0})
    assert found["features"] == {"age": "numeric", "income": "numeric", "colour": "categorical"}
    assert (found["data"]["rows"], found["data"]["cut"]) == (400, {"0": 400})
    assert run(["model", "show", "m", "v2"]) == 0
    out = capsys.readouterr().out
    assert "  train_rows = 320" in out
    assert "\x1b" not in out


def test_a_difference_names_part_and_values(models, capsys):
    found = {
        (each["part"], each["name"]): (each["before"], each["after"])
        for each in told(capsys, "model", "diff", "m", "v1", "v2")
    }
    assert found["lineage", "state"] == ("serving", "approved")
    assert found["data", "train_rows"] == (None, 320)
    assert found["code", "recipe"][0] is None
    assert ("metrics", "accuracy") in found
    assert not any(part in ("features", "categories") for part, _ in found)
    assert told(capsys, "model", "diff", "m", "v2", "@challenger") == []


def test_features_and_categories_that_came_and_went_are_differences(models, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from leadline.core.models import Signature
    from leadline.learning import portrait as module
    from leadline.learning.model_files import ModelFiles

    found = module.portrait(ModelFiles(models), "m", "v2", Decisions())
    other = Signature.of(["age", "debt"], ["colour"], {"colour": ["red", "violet"]})
    after = replace(found, version=replace(found.version, signature=other))
    differ = {(each.part, each.name): (each.before, each.after) for each in module.differences(found, after)}
    assert differ == {
        ("features", "income"): ("numeric", None),
        ("features", "debt"): (None, "numeric"),
        ("categories", "colour=green"): ("known", None),
        ("categories", "colour=blue"): ("known", None),
        ("categories", "colour=violet"): (None, "known"),
    }


def test_the_card_says_all_and_foreign_text_is_text_in_it(models, capsys):
    assert run(["model", "card", "m", "v2"]) == 0
    page = capsys.readouterr().out
    for head in (
        "What it is for",
        "Features",
        "Data",
        "Metrics by segment",
        "Calibration",
        "Limits",
        "Gate",
        "Receipt",
        "Approval",
    ):
        assert f"## {head}\n" in page
    made = markdown.markdown(page, extensions=["tables"])
    for acts in ("<a ", "<b ", "href", "<em>", "<code>b", "\x1b", "\u202e"):
        assert acts not in made
    assert made.count("<h1>") == 1
    assert "www\\.evil" in page
    assert "| colour=red |" in page
    run(["model", "card", "m", "v2"])
    assert capsys.readouterr().out == page
    assert run(["model", "card", "m", "v1"]) == 0
    assert "it was not trained by Leadline" in capsys.readouterr().out


def test_escaped_text_is_the_text_again_for_a_reader_of_markdown():
    read = html.unescape(markdown.markdown(escaped(HOSTILE)))
    assert read == f"<p>{shown(HOSTILE)}</p>"


def test_an_export_is_the_same_bytes_and_the_same_version(models, tmp_path, capsys):
    files = [tmp_path / "a.tar", tmp_path / "b.tar"]
    digests = []
    for file in files:
        [done] = told(capsys, "model", "export", "m", "v2", str(file))
        digests.append(done["sha256"])
    assert digests[0] == digests[1]
    assert files[0].read_bytes() == files[1].read_bytes()
    with tarfile.open(fileobj=io.BytesIO(files[0].read_bytes())) as tar:
        assert {f"m/v2/{each}" for each in ("manifest.json", "receipt.json", "model.skops")} <= set(tar.getnames())
        tar.extractall(tmp_path / "there")
    for path in (models / "m" / "v2").iterdir():
        assert (tmp_path / "there" / "m" / "v2" / path.name).read_bytes() == path.read_bytes()
    assert run(["model", "export", "m", "v2", str(files[0])]) == 1
    assert "is there already" in capsys.readouterr().err


def test_a_version_with_a_changed_file_is_not_exported(models, tmp_path, capsys):
    path = models / "m" / "v2" / "golden.json"
    data = path.read_bytes()
    try:
        path.write_bytes(data + b" ")
        assert run(["model", "export", "m", "v2", str(tmp_path / "x.tar")]) == 1
    finally:
        path.write_bytes(data)
    assert "sha256 differs" in capsys.readouterr().err
    assert not (tmp_path / "x.tar").exists()
