"""A real MLflow on sqlite: versions go there with all that is known of them, and come from there without running a stranger's code."""

import json
import os
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from commands import run
from leadline.cli import mlflow as command
from leadline.cli import model_list
from leadline.core.release.lineage import Decisions
from leadline.learning import mlflow_pull, mlflow_store
from leadline.learning.mlflow_store import MlflowError, store
from leadline.learning.model_files import ModelFiles
from leadline.learning.reference import inputs
from leadline.learning.training import Log, make_candidate
from leadline.records import Candidate, Rollout
from trainings import drawn, labeled, request, with_model

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'leadline[mlflow]'")

pytestmark = pytest.mark.long  # the database of an MLflow takes ten seconds to make
TOML = 'name = "theirs"\nnumeric = ["age", "income"]\nmissing = "refuse"\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an MLflow, models of here, and models that others registered there."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    settings = with_model(folder / "models")
    make_candidate(
        folder / "models",
        settings,
        "v1",
        request(),
        [labeled(drawn(400))],
        Log({"0": 400}),
        7000,
        lambda _: None,
        lambda: False,
    )
    table = drawn(500)
    (folder / "theirs.toml").write_text(TOML)
    csv.write_csv(table.select(["age", "income", "outcome"]), folder / "ref.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # MLflow makes its own folder where it runs
        _register_theirs(uri, folder, table)
    return folder, uri


def _register_theirs(uri: str, folder: Path, table: pa.Table) -> None:
    """As a team does it that knows nothing of Leadline: version 1 in skops form, 2 as a pickle, 3 of another flavour."""
    import mlflow.pyfunc
    import mlflow.sklearn

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("team", (folder / "team").as_uri()))
    fitted = LogisticRegression(max_iter=1000).fit(
        table.select(["age", "income"]).to_pandas(), table["outcome"].to_pandas()
    )
    with mlflow.start_run():
        for form in ("skops", "cloudpickle"):
            mlflow.sklearn.log_model(
                fitted,
                name="model",
                registered_model_name="theirs",
                serialization_format=form,
                pip_requirements=["scikit-learn"],
            )
        mlflow.pyfunc.log_model(
            name="other", python_model=lambda model_input: model_input, registered_model_name="theirs",
            pip_requirements=["scikit-learn"], input_example=["a"],
        )  # fmt: skip
    mlflow.MlflowClient().set_registered_model_alias("theirs", "prod", 1)


@pytest.fixture
def here(place, monkeypatch, tmp_path):
    folder, uri = place
    monkeypatch.setenv("LEADLINE_MODELS", str(folder / "models"))
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.chdir(folder)
    return folder, uri


def decided(monkeypatch, *records):
    """A broker that says this; returns what is published."""
    found, published = Decisions(), []
    for each in records:
        found.add(each)

    async def decisions(*_):
        return {"m": found}

    async def publish(bootstrap, prefix, topic, record, wire):
        published.append((topic, record))

    monkeypatch.setenv("KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setattr(model_list, "decisions", decisions)
    monkeypatch.setattr("leadline.kafka.sender.publish", publish)
    for module in (model_list, command):
        monkeypatch.setattr(module, "broker", lambda: (model_list.load_settings(), "broker:9092"))
    return published


def told(capsys, *words):
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def pull(folder, uri, what, *more):
    return [
        "mlflow",
        "pull",
        what,
        "--from",
        uri,
        "--settings",
        str(folder / "theirs.toml"),
        "--reference",
        str(folder / "ref.csv"),
        *more,
    ]


def test_versions_are_pushed_once_with_all_that_is_known_and_aliases_follow_who_answers(here, monkeypatch, capsys):
    folder, uri = here
    artifacts = ["--artifacts", (folder / "artifacts").as_uri()]
    decided(
        monkeypatch, Rollout("m", "v1", 10, "ada", "better"), Candidate("m", "v2", "v1", "t1", "", "trainer", {}, 20)
    )
    assert told(capsys, "mlflow", "push", "m", "v2", "--to", uri, *artifacts)["aliases"] == {
        "champion": None,
        "challenger": "v2",
    }
    first = told(capsys, "mlflow", "push", "m", "v1", "--to", uri)
    assert (first["already"], first["aliases"]) == (False, {"champion": "v1", "challenger": "v2"})
    assert told(capsys, "mlflow", "push", "m", "v1", "--to", uri) == first | {"already": True}

    client = mlflow.MlflowClient(uri, uri)
    there = client.get_model_version_by_alias("m", "challenger")
    assert {name: there.tags[f"leadline.{name}"] for name in ("version", "parent", "origin", "retrain_id")} == {
        "version": "v2", "parent": "v1", "origin": "trainer", "retrain_id": "t1",
    }  # fmt: skip
    made = client.get_run(there.run_id)
    receipt = json.loads((folder / "models" / "m" / "v2" / "receipt.json").read_text())
    assert made.info.status == "FINISHED"
    assert made.data.metrics == pytest.approx(receipt["metrics"])
    assert (made.data.params["data.digest"], made.data.params["seed.seed"]) == (receipt["data"]["digest"], "0")
    brought = Path(mlflow.artifacts.download_artifacts("models:/m@challenger", tracking_uri=uri, registry_uri=uri))
    for path in (folder / "models" / "m" / "v2").iterdir():
        assert (brought / path.name).read_bytes() == path.read_bytes()

    decided(monkeypatch, Rollout("m", "v2", 30, "ada", "better", "v1"))
    assert told(capsys, "mlflow", "push", "m", "v2", "--to", uri)["aliases"] == {"champion": "v2", "challenger": None}
    assert client.get_registered_model("m").aliases == {"champion": there.version}


def test_an_alias_of_the_team_on_a_version_of_its_own_stays(here, monkeypatch, capsys):
    folder, uri = here
    client = mlflow.MlflowClient(uri, uri)
    client.set_registered_model_alias("theirs", "champion", 2)
    (folder / "models" / "theirs").mkdir(exist_ok=True)
    added = told(capsys, *pull(folder, uri, "models:/theirs/1", "--version", "pushed"))
    assert added["version"] == "pushed"
    decided(monkeypatch)
    assert told(capsys, "mlflow", "push", "theirs", "pushed", "--to", uri)["aliases"] == {
        "champion": None,
        "challenger": None,
    }
    assert client.get_registered_model("theirs").aliases["champion"] in (2, "2")


@pytest.mark.parametrize("model", ["theirs", "m"])
def test_what_mlflow_loads_of_a_push_scores_as_it_is_served(here, capsys, model):
    """A linear model of a team, and the boosting that was trained here, with types that skops alone does not trust."""
    folder, uri = here
    version = "back" if model == "theirs" else "v2"
    if model == "theirs":
        told(capsys, *pull(folder, uri, "models:/theirs/1", "--version", "back"))
    pushed = told(capsys, "mlflow", "push", model, version, "--to", uri)
    mlflow.set_tracking_uri(uri)
    from mlflow.sklearn import load_model

    loaded = load_model(f"models:/{model}/{pushed['number']}")
    served = ModelFiles(folder / "models").load(model, version)
    rows = inputs(drawn(50, seed=3), served.signature)
    scores = loaded.predict_proba(rows.matrix)[:, 1]
    assert scores == pytest.approx(served.predictor.predict(*rows), abs=1e-12)


@pytest.mark.parametrize(("what", "more"), [("models:/theirs@prod", ()), ("models:/theirs/2", ("--pickle",))])
def test_a_version_that_somebody_registered_becomes_one_of_here_and_a_candidate(here, monkeypatch, capsys, what, more):
    folder, uri = here
    published = decided(monkeypatch)
    done = told(capsys, *pull(folder, uri, what, *more))
    number = what[-1] if more else "1"
    assert (done["origin"], done["source"], done["candidate"]) == ("mlflow", f"models:/theirs/{number}", True)
    [(topic, candidate)] = published
    assert (topic, candidate.model, candidate.version, candidate.origin) == (
        "candidates",
        "theirs",
        done["version"],
        "mlflow",
    )
    monkeypatch.delenv("KAFKA_BOOTSTRAP")
    assert run(["model", "list", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["version"]: each["origin"] for each in listed}[done["version"]] == "mlflow"
    rows = csv.read_csv(folder / "ref.csv").append_column("event_time", drawn(500)["event_time"])
    csv.write_csv(rows, folder / "held_out.csv")
    assert (
        run(
            [
                "gate",
                "run",
                "theirs",
                "--challenger",
                done["version"],
                "--data",
                str(folder / "held_out.csv"),
                "--first",
            ]
        )
        == 0
    )


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("models:/theirs/2", "is a pickle: to load it is to run the code in it"),
        ("models:/theirs/3", "has python_function: only models of sklearn, xgboost, lightgbm, onnx can be taken"),
        ("models:/theirs@gone", "gone"),
        ("models:/theirs/99", "99"),
        ("models:/nobody/1", "nobody"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_adds_nothing(here, capsys, what, says):
    folder, uri = here
    before = ModelFiles(folder / "models").versions("theirs")
    assert run(pull(folder, uri, what)) == 1
    err = capsys.readouterr().err.splitlines()
    assert says in err[-1]
    assert err[-1].startswith("error: ")
    assert ModelFiles(folder / "models").versions("theirs") == before


def _flavours(folder):
    """Models as others log them, with their own answers for the rows of a reference."""
    import mlflow.lightgbm
    import mlflow.onnx
    import mlflow.xgboost
    from lightgbm import LGBMClassifier
    from skl2onnx import to_onnx
    from xgboost import XGBClassifier

    table = drawn(500).select(["age", "income"]).to_pandas()
    y = drawn(500)["outcome"].to_numpy().astype(int)
    boosted = XGBClassifier(n_estimators=5, n_jobs=1).fit(table, y)
    light = LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(table, y)
    linear = LogisticRegression(max_iter=1000).fit(table.to_numpy(), y)
    converted = to_onnx(linear, table.to_numpy(), options={"zipmap": False})
    network = make_pipeline(StandardScaler(), MLPClassifier((200,), max_iter=2)).fit(table.to_numpy(), y)
    large = to_onnx(network, table.to_numpy(), options={"zipmap": False})
    return {
        "xgboost": (mlflow.xgboost, boosted, boosted.predict_proba(table)[:, 1], "xgb_model"),
        "lightgbm": (mlflow.lightgbm, light.booster_, light.predict_proba(table)[:, 1], "lgb_model"),
        "onnx": (mlflow.onnx, converted, linear.predict_proba(table.to_numpy())[:, 1], "onnx_model"),
        "network": (mlflow.onnx, large, network.predict_proba(table.to_numpy())[:, 1], "onnx_model"),
        "wrapped": (mlflow.lightgbm, light, light.predict_proba(table)[:, 1], "lgb_model"),
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("flavour", ["xgboost", "lightgbm", "onnx", "network", "wrapped"])
def test_a_registered_model_of_another_library_is_added_by_its_alias(here, monkeypatch, capsys, flavour):
    """Of the network MLflow keeps the weights in a file of their own."""
    folder, uri = here
    module, model, own, argument = _flavours(folder)[flavour]
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("team")
    with mlflow.start_run():
        module.log_model(**{argument: model}, name="model", registered_model_name=flavour, pip_requirements=["numpy"])
    mlflow.MlflowClient(uri, uri).set_registered_model_alias(flavour, "prod", 1)
    (folder / f"{flavour}.toml").write_text(TOML.replace("theirs", flavour).replace('missing = "refuse"\n', ""))
    csv.write_csv(
        drawn(500).select(["age", "income", "outcome"]).append_column("p", pa.array(own.astype(float))),
        folder / f"{flavour}.csv",
    )
    words = ["model", "add", f"models:/{flavour}@prod", "--settings", str(folder / f"{flavour}.toml")]
    words += ["--reference", str(folder / f"{flavour}.csv"), "--scores", "p"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(words) == 1
    assert "MLFLOW_TRACKING_URI is not set" in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    done = told(capsys, *words)
    assert ModelFiles(folder / "models").load_survived(flavour, done["version"]).predictor is not None


SKLEARN = "flavors: {sklearn: {pickled_model: %s, serialization_format: skops}}"


@pytest.mark.parametrize(
    ("mlmodel", "says"),
    [
        (SKLEARN % "../secret", "names no file of a model"),
        (SKLEARN % "[a]", "names no file of a model"),
        (SKLEARN % '".."', "names no file of a model"),
        (SKLEARN % "link", "symbolic link"),
        (SKLEARN % "gone", "gone cannot be read"),
        ("flavors: [sklearn]", "no flavour at all"),
        ("flavors: {sklearn: 1}", "only models of sklearn"),
        ('"flavors\\e[31m": {}', "no flavour at all"),
        ("{flavors: {'\\e[31m': 1}}", "only models of sklearn"),
        ("- [", "is no YAML"),
        ("[" * 100_000, "is no YAML"),
        ("!!python/object/apply:os.system [touch ran]", "is no YAML"),
        ("x" * (2 << 20), "cannot be read"),
    ],
)
def test_a_hostile_description_is_refused(tmp_path, monkeypatch, mlmodel, says):
    folder = tmp_path / "taken"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "MLmodel").write_text(mlmodel)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlflowError) as raised:
        mlflow_pull._model_file(folder, "theirs 1")
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500
    assert "\x1b" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


def test_a_hostile_pickle_does_nothing_even_where_one_is_asked_for(here, capsys):
    folder, uri = here
    source = folder / "hostile"
    source.mkdir()
    (source / "MLmodel").write_text("flavors: {sklearn: {pickled_model: m.pkl, serialization_format: pickle}}")
    (source / "m.pkl").write_bytes(pickle.dumps(Hostile(str(folder / "ran"))))
    mlflow.MlflowClient(uri, uri).create_registered_model("hostile")
    mlflow.MlflowClient(uri, uri).create_model_version("hostile", source.as_uri())
    assert run(pull(folder, uri, "models:/hostile/1", "--pickle")) == 1
    assert "error: " in capsys.readouterr().err
    assert not (folder / "ran").exists()


class Hostile:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_version_of_other_content_under_the_same_name_is_refused(here, capsys):
    folder, uri = here
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("other")
    client.create_model_version("other", "file:///nowhere", tags={"leadline.version": "v1", "leadline.manifest": "x"})
    (folder / "models" / "other").mkdir()
    (folder / "other.toml").write_text(TOML.replace("theirs", "other"))
    words = pull(folder, uri, "models:/theirs/1", "--version", "v1")
    words[words.index(str(folder / "theirs.toml"))] = str(folder / "other.toml")
    assert run(words) == 0
    assert run(["mlflow", "push", "other", "v1", "--to", uri]) == 1
    assert "has other content; a version never changes" in capsys.readouterr().err.splitlines()[-1]


def test_a_push_that_breaks_leaves_a_failed_run_and_no_version(here, monkeypatch, capsys):
    folder, uri = here

    def breaks(*_):
        raise OSError(28, "No space left on device")

    told(capsys, *pull(folder, uri, "models:/theirs/1", "--version", "breaks"))
    monkeypatch.setattr("mlflow.MlflowClient.log_artifacts", breaks)
    assert run(["mlflow", "push", "theirs", "breaks", "--to", uri]) == 1
    assert "No space left on device" in capsys.readouterr().err
    client = mlflow.MlflowClient(uri, uri)
    assert not [
        each for each in client.search_model_versions("name='theirs'") if each.tags.get("leadline.version") == "breaks"
    ]
    experiment = client.get_experiment_by_name("theirs")
    runs = client.search_runs([experiment.experiment_id], "tags.`leadline.version` = 'breaks'")
    assert [each.info.status for each in runs] == ["FAILED"]


def test_no_password_is_said_and_nobody_is_called(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowError) as raised, store("http://ada:secret@127.0.0.1:1") as there:
        there.client.get_registered_model("m")
    assert "secret" not in str(raised.value)
    assert str(raised.value).startswith("http://***@127.0.0.1:1: ")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_without_mlflow_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MlflowError, match=r"pip install 'leadline\[mlflow\]'"), mlflow_store.store("sqlite:///x"):
        pass
