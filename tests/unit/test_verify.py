"""A version can be trained again: the same comes of it, or the input that differs is named."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyarrow import csv
from sklearn.model_selection import GridSearchCV

from commands import run
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.learning.training import Log as Cut
from leadline.learning.training import TrainingError, make_candidate
from leadline.learning.training.apart import train_apart
from leadline.learning.training.content import digest_of_model
from leadline.learning.training.errors import OtherLogError
from leadline.learning.training.receipt import config_of, settings_of
from leadline.learning.training.recipe import _rows_for, sources
from leadline.learning.training.store import read_rows, write_rows
from leadline.learning.training.surroundings import commit_of
from leadline.learning.training.verify import verify
from trainings import COLOURS, Log, drawn, labeled, request, settings, with_model

ROWS = labeled(drawn(400))
SAMPLE = Path(__file__).parents[2] / "samples" / "training" / "recipes.py"
RECIPES = """
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from beside import C
from elsewhere import N
from sample import build as sampled


def encoded(last):
    return make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder=StandardScaler()), last)


def linear(params):
    return encoded(LogisticRegression(**{"C": C, **params}))


def forest(params, seed):
    return encoded(RandomForestClassifier(n_estimators=N, random_state=seed))


def unseeded(params):
    return encoded(RandomForestClassifier(n_estimators=3, n_jobs=2))


def boosting(params, seed):
    return encoded(HistGradientBoostingClassifier(max_iter=5, random_state=seed))


def xgboost(params, seed):
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=5, enable_categorical=True, subsample=0.5, random_state=seed)


def lightgbm(params, seed):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=5, subsample=0.5, subsample_freq=1, random_state=seed, verbose=-1)


def xgboost_behind(params):
    from xgboost import XGBClassifier

    return encoded(XGBClassifier(n_estimators=5))


def search(params):
    return encoded(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2))


def searched(params):
    return GridSearchCV(linear({}), {"logisticregression__C": [0.01, 1.0]}, cv=2)
"""


def on_path(folder):
    """Two folders of code, of which the second is not where the recipe is."""
    return os.pathsep.join([str(folder / "code"), str(folder / "code" / "apart")])


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder of recipes, and models whose v2 was made by one of them."""
    folder = tmp_path_factory.mktemp("originals")
    (folder / "code").mkdir()
    (folder / "code" / "recipes.py").write_text(RECIPES)
    (folder / "code" / "beside.py").write_text("C = 1.0\n")
    shutil.copy(SAMPLE, folder / "code" / "sample.py")
    (folder / "code" / "apart").mkdir()
    (folder / "code" / "apart" / "elsewhere.py").write_text("N = 10\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", on_path(folder))
        for kind, params in {"linear": {"C": 2.0}, "forest": {}}.items():
            found = with_model(folder / kind, recipe=f"recipes:{kind}", params=params)
            make_candidate(
                folder / kind, found, "v1", request(), [ROWS], Cut({"0": 400}), 7, lambda _: None, lambda: False
            )
    return folder


@pytest.fixture
def made(originals, tmp_path, monkeypatch):
    """Gives a copy of such models, with the recipes copied too."""
    shutil.copytree(originals / "code", tmp_path / "code")
    monkeypatch.setenv("PYTHONPATH", on_path(tmp_path))

    def copied(kind):
        return Path(shutil.copytree(originals / kind, tmp_path / "models-of-another-place"))

    return copied


def changed(root, name, change):
    """A file of the version, and what the manifest says of it."""
    path, manifest = root / "m" / "v2" / name, root / "m" / "v2" / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    said = json.loads(manifest.read_text())
    said["files"][name] = sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(said))


def differs(root):
    found = verify(root, "m", "v2")
    assert found.outcome == "differs"
    return [each.partition(":")[0] for each in found.differs], " ".join(found.differs)


def test_the_same_comes_of_it_in_another_process_another_folder_and_on_another_day(made, tmp_path, monkeypatch):
    (tmp_path / "later").mkdir()
    later = "import time\n\nnow = time.time\ntime.time = lambda: now() + 40 * 86_400\n"
    (tmp_path / "later" / "sitecustomize.py").write_text(later)
    monkeypatch.setenv("PYTHONPATH", f"{on_path(tmp_path)}{os.pathsep}{tmp_path / 'later'}")
    found = verify(made("linear"), "m", "v2", Log([ROWS.slice(200), ROWS.slice(0, 200)]))
    assert (found.outcome, found.differs, found.log) == ("reproduced", [], "same rows")
    assert found.again == found.digest


@pytest.mark.parametrize(
    "kind", ["unseeded", "boosting", "search", "searched", "sampled", "xgboost", "lightgbm", "xgboost_behind", ""]
)
def test_each_kind_of_model_is_equal_when_it_is_trained_again(originals, monkeypatch, tmp_path, kind):
    monkeypatch.setenv("PYTHONPATH", on_path(originals))
    rows = next(
        each for each in (originals / "linear" / "m" / ".training-sets").glob("*.parquet") if "held" not in each.name
    )
    model = settings(recipe=kind and f"recipes:{kind}", seed=3)
    digests = set()
    for name in ("one", "another-with-a-long-name"):
        (tmp_path / name).mkdir()
        found = train_apart(tmp_path / name, rows, 320, model, 2, lambda _: None, lambda: False)
        digests.add(digest_of_model(found.model))
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_boosting_of_other_libraries_is_trained_served_and_verified(tmp_path, made, monkeypatch, kind):
    found = with_model(tmp_path / "models", recipe=f"recipes:{kind}", params={})
    made("linear")
    new = make_candidate(
        tmp_path / "models", found, "v1", request(), [ROWS], Cut({"0": 400}), 7, lambda _: None, lambda: False
    )
    assert new is not None
    version = ModelFiles(tmp_path / "models").load_survived("m", "v2")
    assert version.signature.categories == {"colour": sorted(COLOURS)}
    assert verify(tmp_path / "models", "m", "v2").outcome == "reproduced"


def test_a_changed_row_and_a_changed_line_beside_the_recipe_are_named(made, tmp_path):
    root = made("linear")
    path = next(each for each in (root / "m" / ".training-sets").glob("*.parquet") if "held" not in each.name)
    table = read_rows(path)
    age = table["age"].to_pylist()
    write_rows(path, table.set_column(table.column_names.index("age"), "age", pa.array([age[0] + 1, *age[1:]])))
    (tmp_path / "code" / "beside.py").write_text("C = 1.0  # a word\n")
    names, said = differs(root)
    assert names == ["data", "code"]
    assert "beside.py was" in said


def test_a_module_from_another_folder_of_the_path_is_code_too(made, tmp_path):
    root = made("forest")
    (tmp_path / "code" / "apart" / "elsewhere.py").write_text("N = 11\n")
    names, said = differs(root)
    assert names == ["code"]
    assert "elsewhere.py was" in said


def test_a_base_that_was_changed_since_is_named_and_has_no_effect(tmp_path):
    found = with_model(tmp_path, base="past.csv")
    csv.write_csv(drawn(300, seed=3), tmp_path / "m" / "past.csv")
    make_candidate(tmp_path, found, "v1", request(), [ROWS], Cut({"0": 400}), 7, lambda _: None, lambda: False)
    assert verify(tmp_path, "m", "v2").differs == []
    csv.write_csv(drawn(299, seed=3), tmp_path / "m" / "past.csv")
    again = verify(tmp_path, "m", "v2")
    assert again.outcome == "reproduced"
    assert [each.partition(" has ")[0] for each in again.differs] == ["data: base past.csv"]
    (tmp_path / "m" / "past.csv").unlink()
    assert "is not here" in verify(tmp_path, "m", "v2").differs[0]


def test_another_parameter_or_platform_is_named(made):
    root = made("linear")
    changed(root, "receipt.json", lambda receipt: receipt["config"].update(params={"C": 0.001}))
    changed(root, "receipt.json", lambda receipt: receipt["platform"].update(machine="sparc"))
    names, said = differs(root)
    assert names == ["platform", "config"]
    assert "params was {'C': 0.001}, and is {'C': 2.0}" in said
    assert "'sparc'" in said


def test_another_seed_or_library_is_named(made):
    root = made("forest")
    changed(root, "receipt.json", lambda receipt: receipt.update(seed=5))
    changed(root, "receipt.json", lambda receipt: receipt["libraries"].update({"scikit-learn": "0.1"}))
    names, said = differs(root)
    assert names == ["library", "seed"]
    assert "scikit-learn was '0.1', and is" in said


def test_another_model_than_that_of_the_receipt_is_named(made):
    root = made("forest")
    changed(root, "receipt.json", lambda receipt: receipt.update(model_digest="0" * 64))
    assert differs(root)[0] == ["model"]


def test_settings_that_changed_since_are_said_and_have_no_effect(made):
    root = made("forest")
    path = root / "m" / "model.toml"
    path.write_text(path.read_text().replace("seed = 0\n", "seed = 4\n"))
    found = verify(root, "m", "v2", Log([ROWS.slice(1)], lost=True))
    assert (found.outcome, found.differs, found.log) == (
        "reproduced",
        ["seed: 0 then, and 4 in model.toml now"],
        "expired",
    )


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (Log([ROWS.slice(1)]), "other rows"),
        (Log(OtherLogError("anew")), "another log"),
        (Log(TrainingError("none is left"), lost=True), "expired"),
        (Log(TrainingError("no broker")), "not compared"),
    ],
)
def test_what_the_log_gives_is_said_apart_from_the_model(originals, monkeypatch, log, said):
    monkeypatch.setenv("PYTHONPATH", on_path(originals))
    heard = []
    found = verify(originals / "linear", "m", "v2", log, heard.append)
    assert (found.outcome, found.log) == ("reproduced", said)
    assert ("the log is not compared: no broker" in heard) == (said == "not compared")


def test_what_the_recipe_loads_is_its_code_wherever_it_is_from(tmp_path, monkeypatch):
    for folder, name, text in (
        ("one", "my_recipe", "import json, my_helper, my_package.part"),
        ("other", "my_helper", ""),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / folder)
    (tmp_path / "one" / "my_package").mkdir()
    (tmp_path / "one" / "my_package" / "part.py").write_text("import fractions, duckdb")
    before = frozenset(sys.modules)
    importlib.import_module("my_recipe")
    found = sources("my_recipe:build", before)
    assert list(found) == ["my_helper", "my_package/part.py", "my_recipe.py"]
    (tmp_path / "other" / "my_helper.py").write_text("C = 1")
    again = sources("my_recipe:build", before)
    assert [name for name in found if found[name] != again[name]] == ["my_helper"]


def test_a_search_over_boosting_gets_the_categories_that_the_boosting_is_served_with():
    from xgboost import XGBClassifier

    search = GridSearchCV(XGBClassifier(enable_categorical=True), {"max_depth": [2]})
    for estimator in (search, search.estimator):
        assert _rows_for(estimator, drawn(9), settings())["colour"].dtype == "category"


def test_settings_of_a_receipt_are_its_own_alone():
    then = settings(params={"C": 2.0}, seed=3)
    receipt = SimpleNamespace(config=config_of(then), seed=3, model="m")
    assert settings_of(receipt) == then


def test_the_commit_of_a_recipe_and_whether_it_differs(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    assert commit_of(tmp_path) == ("", False)
    (tmp_path / "recipes.py").write_text(RECIPES)
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit, dirty = commit_of(tmp_path)
    assert (len(commit), dirty) == (40, False)
    (tmp_path / "recipes.py").write_text("")
    assert commit_of(tmp_path) == (commit, True)


def test_a_changed_receipt_or_none_is_refused(made):
    root = made("linear")
    path = root / "m" / "v2" / "receipt.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RegistryError, match=r"receipt.json is not the file that its manifest names"):
        verify(root, "m", "v2")
    with pytest.raises(TrainingError, match="m v1 has no receipt"):
        verify(root, "m", "v1")


def test_an_erased_person_is_said_and_what_is_left_where(made, monkeypatch, capsys):
    root = made("linear")
    monkeypatch.setenv("LEADLINE_MODELS", str(root))
    assert run(["verify", "m", "v2"]) == 0
    assert "m v2 reproduced" in capsys.readouterr().out
    assert run(["forget", "--user", "u7", "--reason", "their right"]) == 0
    out = capsys.readouterr().out
    assert "removed 8 rows" in out
    assert "left in m v2" in out
    for path in (root / "m" / ".training-sets").glob("*.parquet"):
        assert "u7" not in read_rows(path)["user_id"].to_pylist()
    assert run(["verify", "m", "v2"]) == 3
    out = capsys.readouterr().out
    assert "8 rows of the training set were erased" in out
    assert "differs" not in out
    assert "their right" in out
    changed(root, "receipt.json", lambda receipt: receipt.update(model_digest="0" * 64))
    assert run(["verify", "m", "v2"]) == 3
    assert "differs: model: the file of the version has the content" in capsys.readouterr().out
    assert run(["forget", "--user", "u7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 0
    assert not any("u7" in path.read_text() for path in (root / "m" / ".training-sets").glob("*.json"))
