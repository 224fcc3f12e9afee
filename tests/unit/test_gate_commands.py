"""`leadline gate run` for a CI, its JUnit XML, and `leadline model push` between environments."""

import json
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv
from sklearn.linear_model import LogisticRegression

from commands import run
from leadline.cli import gate
from leadline.cli.junit import junit_xml
from leadline.learning.add import add_version
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.learning.push import push
from leadline.records import Check, Rollout, Verdict
from leadline.settings import ModelSettings

SETTINGS = ModelSettings(name="m", numeric=["x"])
DAY = 86_400_000


def rows(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=2000)
    y = (x + rng.logistic(0, 0.3, 2000) > 0).astype(int)
    return pa.table({"x": x, "won": y, "at": np.arange(2000) * DAY // 100})


@pytest.fixture
def models(tmp_path, monkeypatch):
    """v1 guesses, v2 has learned."""
    reference = rows(1)
    x, y = reference["x"].to_numpy().reshape(-1, 1), reference["won"].to_numpy()
    for version, outcomes in {"v1": np.random.default_rng(0).permutation(y), "v2": y}.items():
        add_version(tmp_path / "models", SETTINGS, version, LogisticRegression().fit(x, outcomes), reference, "won")
    csv.write_csv(rows(2), tmp_path / "held.csv")
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gate_run(challenger, *more):
    columns = ["--data", "held.csv", "--outcome", "won", "--time", "at"]
    return run(["gate", "run", "m", "--challenger", challenger, *columns, *more])


def test_the_exit_code_says_whether_it_may_be_promoted(models, capsys):
    assert gate_run("v2", "--champion", "v1", "--junit", "junit.xml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["at"], told["champion"]) == ("promote", "gate", "v1")
    suite = ElementTree.parse(models / "junit.xml").getroot()[0]
    assert suite.attrib == {
        "name": "leadline gate m v2", "failures": "0", "errors": "0", "skipped": "0", "tests": str(len(told["checks"])),
    }  # fmt: skip
    assert gate_run("v1", "--champion", "v2", "--junit", "junit.xml") == 1
    assert "\nreject: m v1 beside v2; 2 of 5 checks failed: not-worse *: accuracy" in capsys.readouterr().out
    assert ElementTree.parse(models / "junit.xml").getroot()[0].attrib["failures"] == "2"
    assert (gate_run("v2", "--first"), gate_run("v1", "--first")) == (0, 1), "the scores of v1 run the wrong way"
    assert gate_run("v2") == 2


def test_the_champion_is_the_one_that_answers(models, monkeypatch, capsys):
    async def rollouts(bootstrap, prefix):
        return {"m": Rollout("m", "v1", 0, "ada", "")}

    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setattr(gate, "rollouts", rollouts)
    monkeypatch.setattr(gate, "broker", lambda: (gate.load_settings(), "broker:9092"))
    assert gate_run("v2") == 0
    assert "promote: m v2 beside v1" in capsys.readouterr().out


@given(
    st.lists(
        st.builds(
            Check,
            st.text(max_size=9) | st.just("not-compared"),
            st.text(max_size=9),
            st.none(),
            st.none(),
            st.sampled_from(["passed", "failed", "no-evidence"]),
            st.text(max_size=99),
        )
    )
)
def test_junit_is_well_formed_whatever_the_names(checks):
    data = junit_xml(Verdict("g", "m<&\"'\x1b", "v\ud800", "", "gate", "hold", checks, "", "", "", 0))
    suite = ElementTree.fromstring(data)[0]
    assert len(suite.findall("testcase")) == len(checks)
    stopped = [each for each in checks if each.outcome != "passed" and each.name != "not-compared"]
    assert int(suite.attrib["failures"]) + int(suite.attrib["errors"]) == len(stopped)


def test_a_version_goes_to_another_environment_and_is_the_same_there(models, capsys):
    (models / "staging").mkdir()
    assert run(["model", "push", "m", "v2", "--to", "staging"]) == 0
    assert run(["model", "push", "m", "v2", "--to", "staging", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"folder": "staging/m/v2", "already": True}
    here, there = (ModelFiles(models / each).load("m", "v2") for each in ("models", "staging"))
    assert here.settings == there.settings
    files = {each: (models / each / "m" / "v2").iterdir() for each in ("models", "staging")}
    assert {file.name: file.read_bytes() for file in files["models"]} == {
        file.name: file.read_bytes() for file in files["staging"]
    }


def test_what_is_watched_may_differ_and_how_it_answers_may_not(models):
    (models / "staging" / "m").mkdir(parents=True)
    toml = models / "staging" / "m" / "model.toml"
    toml.write_text('name = "m"\nnumeric = ["x"]\nmissing = "nan"\n')
    with pytest.raises(RegistryError, match="differs in missing, by which a version answers"):
        push(models / "models", "m", "v2", models / "staging")
    toml.write_text('name = "m"\nnumeric = ["x"]\nmissing = "refuse"\nrunbook = "ours"\n')
    push(models / "models", "m", "v2", models / "staging")
    assert "ours" in toml.read_text()


@pytest.mark.parametrize("where", ["models", "staging"])
def test_a_file_that_is_not_that_of_the_manifest_is_not_pushed(models, where):
    (models / "staging").mkdir()
    if where == "staging":
        push(models / "models", "m", "v2", models / "staging")
    (models / where / "m" / "v2" / "profile.json").write_bytes(b"{}")
    with pytest.raises(RegistryError, match=rf"{where}/m/v2/profile\.json is not the file that its manifest names"):
        push(models / "models", "m", "v2", models / "staging")
    assert where == "staging" or not (models / "staging" / "m" / "v2").exists()


def test_a_push_that_fails_half_way_leaves_nothing(models, monkeypatch):
    (models / "staging").mkdir()

    def full(path, data):
        if path.name == "model.skops":
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(data)

    monkeypatch.setattr("leadline.learning.written.durable", full)
    with pytest.raises(RegistryError, match=r"v2 was not written \(No space left on device\); make room"):
        push(models / "models", "m", "v2", models / "staging")
    assert [each.name for each in (models / "staging" / "m").iterdir()] == ["model.toml"]
