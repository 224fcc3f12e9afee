"""The models on disk: what is refused, what is remembered, who answers."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
import structlog
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from leadline.core.models import Models
from leadline.core.scoring.routing import Deployed, Deployments
from leadline.core.tables import Table
from leadline.learning.add import add_version
from leadline.learning.cached import CachedModels
from leadline.learning.errors import RegistryError
from leadline.learning.limits import GOLDEN, LINEAR, MANIFEST, MODEL, SERVED
from leadline.learning.manifest import FILES
from leadline.learning.model_files import ModelFiles
from leadline.learning.models import read_model
from leadline.learning.registry import Registered, Registry
from leadline.settings import ModelSettings, SettingsError
from stages import roll_out

SETTINGS = ModelSettings(name="fraud", numeric=["a", "b"], missing="refuse")
BINARY = [
    LogisticRegression(),
    SGDClassifier(loss="log_loss", random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
    HistGradientBoostingClassifier(max_iter=5, categorical_features=[1]),
    HistGradientBoostingClassifier(max_iter=5, early_stopping=True),
    RandomForestClassifier(5),
    GradientBoostingClassifier(n_estimators=5),
    DecisionTreeClassifier(),
]
REGRESSION = [
    LinearRegression(),
    Ridge(),
    make_pipeline(StandardScaler(), LinearRegression()),
    HistGradientBoostingRegressor(max_iter=5, categorical_features=[1]),
    RandomForestRegressor(5),
    GradientBoostingRegressor(n_estimators=5),
    DecisionTreeRegressor(),
]


def reference(rows: int = 200) -> pa.Table:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=rows), rng.integers(0, 4, rows).astype(float)
    return pa.table({"a": a, "b": b, "y": (a + rng.normal(size=rows) > 0).astype(float)})


def fitted(model=None):
    table = reference()
    rows = np.column_stack([table["a"], table["b"]])
    return (LogisticRegression() if model is None else model).fit(rows, table["y"].to_numpy())


def add(root: Path, version: str | None = "v1", settings: ModelSettings = SETTINGS, model=None):
    return add_version(root, settings, version, fitted(model), reference(), "y")


def tree():
    return DecisionTreeClassifier(max_depth=2)


class Worker:
    """The models of a worker, and the rollouts that it has read; each rollout is a millisecond after the one before."""

    def __init__(self, root: Path) -> None:
        self.models, self.table, self.now_ms = CachedModels(root), Table(), 0

    def roll_out(self, version: str, model: str = "fraud") -> None:
        self.now_ms += 1
        roll_out(self.table, model, version, self.now_ms)

    def answers(self, model: str = "fraud") -> str | None:
        found = Deployed(self.models, Deployments(self.table), model).load()
        return found and found.version


def reseal(folder: Path, name: str, data: bytes) -> None:
    """Replace a file as somebody would who can write the manifest too."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_nothing_there(tmp_path):
    models: Models = CachedModels(tmp_path / "none")
    assert models.names() == []
    assert models.settings("fraud") is None
    assert models.version("fraud", "v1") is None
    assert models.loaded("fraud", "v1", 0) is None
    assert Registry(ModelFiles(tmp_path / "none")).versions("fraud") == []


def test_reads_what_was_added_once(tmp_path):
    added = add(tmp_path)
    models = CachedModels(tmp_path)
    found = models.version("fraud", "v1")
    assert found is models.version("fraud", "v1")
    assert (found.signature, found.profile, found.settings) == (added.signature, added.profile, SETTINGS)
    assert models.settings("fraud") is models.settings("fraud")
    assert models.loaded("fraud", "v1", 1) is models.loaded("fraud", "v1", 2)
    assert models.names() == ["fraud"]


def test_what_is_registered(tmp_path):
    for version in ("v10", "v9", "first"):
        add(tmp_path, version)
    (tmp_path / "fraud" / ".v11.half-written").mkdir()
    registry = Registry(ModelFiles(tmp_path))
    assert registry.models() == ["fraud"]
    assert [each.version for each in registry.versions("fraud")] == ["first", "v10", "v9"]
    assert registry.find("fraud", "v9") == Registered("fraud", "v9")
    assert registry.find("fraud", "v11") is None
    assert registry.find("../root", "v9") is None
    assert registry.next_version("fraud") == "v11"


@pytest.mark.parametrize("name", [*FILES, LINEAR, SERVED, GOLDEN, MANIFEST])
@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "append", "remove"])
def test_harm_to_any_file_is_refused_by_name(tmp_path, name, harm):
    add(tmp_path)
    path = tmp_path / "fraud" / "v1" / name
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {
        "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "truncate": data[:middle],
        "empty": b"",
        "append": data + b"x",
    }
    path.unlink() if harm == "remove" else path.write_bytes(changed[harm])
    with pytest.raises(RegistryError, match=r"copy the whole folder again"):
        ModelFiles(tmp_path).load("fraud", "v1")


@pytest.mark.parametrize(
    "manifest",
    [[], {}, {"files": {}}, {"files": dict.fromkeys([*FILES, "../x"], "")}, {"files": dict.fromkeys(FILES)}],
)
def test_a_manifest_of_another_shape_is_refused(tmp_path, manifest):
    add(tmp_path)
    text = {"model": "fraud", "version": "v1", **manifest} if isinstance(manifest, dict) else manifest
    (tmp_path / "fraud" / "v1" / MANIFEST).write_text(json.dumps(text))
    with pytest.raises(RegistryError):
        ModelFiles(tmp_path).load("fraud", "v1")


def test_a_folder_under_another_name_is_refused(tmp_path):
    add(tmp_path)
    (tmp_path / "fraud" / "v1").rename(tmp_path / "fraud" / "v2")
    with pytest.raises(RegistryError, match="of another model or version"):
        ModelFiles(tmp_path).load("fraud", "v2")


def test_an_empty_folder_is_refused(tmp_path):
    add(tmp_path)
    (tmp_path / "fraud" / "v2").mkdir()
    with pytest.raises(RegistryError, match=r"manifest\.json cannot be read"):
        ModelFiles(tmp_path).load("fraud", "v2")


@pytest.mark.parametrize("name", ["signature.json", "profile.json"])
@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b"\xff", b'{"id": "x", "numeric": ["a"], "categorical": [], "categories": {}}']
)
def test_a_sealed_file_of_another_shape_is_refused(tmp_path, name, data):
    add(tmp_path)
    reseal(tmp_path / "fraud" / "v1", name, data)
    with pytest.raises(RegistryError, match=name):
        ModelFiles(tmp_path).load("fraud", "v1")


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../fraud", "/etc", "a/b", "v1\n", "v1/", "-v", ".v1", "a" * 101, "é", "\0"]
)
def test_names_are_never_paths(tmp_path, name):
    add(tmp_path / "root")
    worker = Worker(tmp_path / "root")
    worker.roll_out(name)
    worker.roll_out("v1", name)
    assert worker.answers() is None
    assert worker.answers(name) is None
    assert worker.models.settings(name) is None
    assert worker.models.version(name, "v1") is None
    assert worker.models.version("fraud", name) is None
    with pytest.raises(RegistryError, match="cannot name a version"):
        add(tmp_path / "root", name)


def test_broken_settings_name_the_file_when_asked(tmp_path):
    add(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.toml").write_text("name = ")
    files = ModelFiles(tmp_path)
    assert files.names() == ["bad", "fraud"]
    assert files.settings("fraud") == SETTINGS
    with pytest.raises(SettingsError, match=r"bad/model\.toml"):
        files.settings("bad")


def test_settings_of_another_name_are_refused(tmp_path):
    add(tmp_path)
    (tmp_path / "fraud").rename(tmp_path / "other")
    with pytest.raises(SettingsError, match="make them equal"):
        ModelFiles(tmp_path).settings("other")


def test_a_version_without_settings_is_refused(tmp_path):
    add(tmp_path)
    (tmp_path / "fraud" / "model.toml").unlink()
    with pytest.raises(RegistryError, match="restore it"):
        ModelFiles(tmp_path).load("fraud", "v1")


def test_the_last_rollout_holds(tmp_path):
    add(tmp_path, "v1")
    add(tmp_path, "v2")
    worker = Worker(tmp_path)
    assert worker.answers() is None
    for version in ("v1", "v2", "v1"):
        worker.roll_out(version)
        assert worker.answers() == version


def test_a_rollout_of_what_is_not_here_changes_nothing_and_is_logged_once(tmp_path):
    add(tmp_path)
    worker = Worker(tmp_path)
    worker.roll_out("v1")
    with structlog.testing.capture_logs() as lines:
        worker.roll_out("v9")
        worker.roll_out("v1", "unknown")
        for _ in range(3):
            assert worker.answers() == "v1"
            assert worker.answers("unknown") is None
        worker.roll_out("v9")
        assert worker.answers() == "v1"
    assert [(line["model"], line["version"]) for line in lines] == [("fraud", "v9"), ("unknown", "v1"), ("fraud", "v9")]
    assert all("is not on this disk" in line["error"] for line in lines)


@pytest.mark.parametrize("name", ["model.skops", "linear.json", "profile.json", "manifest.json"])
def test_a_rollout_of_a_damaged_version_changes_nothing_until_it_is_mended_and_rolled_out_again(tmp_path, name):
    add(tmp_path, "v1")
    add(tmp_path, "v2")
    path = tmp_path / "fraud" / "v2" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    worker = Worker(tmp_path)
    for version in ("v1", "v2"):
        worker.roll_out(version)
    assert worker.answers() == "v1"
    path.write_bytes(whole)
    assert worker.answers() == "v1"
    worker.roll_out("v2")
    assert worker.answers() == "v2"


def test_a_version_that_no_longer_fits_its_settings_leaves_the_one_before_answering(tmp_path):
    """Its files are whole, but its model cannot be made ready."""
    add(tmp_path, "v1")
    add(tmp_path, "v2")
    numbers = {"classes": [0, 7], "mean": [0, 0], "scale": [1, 1], "weights": [1, 1], "intercept": 0}
    reseal(tmp_path / "fraud" / "v2", LINEAR, json.dumps(numbers).encode())
    worker = Worker(tmp_path)
    for version in ("v1", "v2"):
        worker.roll_out(version)
    assert worker.answers() == "v1"


def test_a_damaged_version_that_alone_was_rolled_out_is_logged_once(tmp_path):
    add(tmp_path)
    worker = Worker(tmp_path)
    worker.roll_out("v1")
    path = tmp_path / "fraud" / "v1" / "model.skops"
    whole = path.read_bytes()
    path.write_bytes(b"")
    with structlog.testing.capture_logs() as lines:
        assert [worker.answers(), worker.answers()] == [None, None]
    assert len(lines) == 1
    path.write_bytes(whole)
    worker.roll_out("v1")
    assert worker.answers() == "v1"


@pytest.mark.parametrize("model", BINARY, ids=lambda model: type(model).__name__)
def test_binary_models_read_back_equal(tmp_path, model):
    check(tmp_path, model, SETTINGS, lambda rows: model.predict_proba(rows)[:, 1])


@pytest.mark.parametrize("model", REGRESSION, ids=lambda model: type(model).__name__)
def test_regressors_read_back_equal(tmp_path, model):
    check(tmp_path, model, SETTINGS.model_copy(update={"task": "regression"}), model.predict)


def check(root, model, settings, expected):
    add_version(root, settings, "v1", fitted(model), reference(), "y")
    rows = np.column_stack([np.random.default_rng(7).normal(size=50), np.arange(50.0) % 4])
    found = ModelFiles(root).load("fraud", "v1").predictor.predict(rows)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected(rows), rtol=0, atol=1e-9)


def ran(path: str) -> None:
    """What an attacker would run."""
    Path(path).write_text("ran")


class Pickled:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return ran, (self.path,)


def test_a_pickle_in_place_of_a_model_is_refused_and_never_runs(tmp_path):
    add(tmp_path, model=tree())
    mark = tmp_path / "mark"
    reseal(tmp_path / "fraud" / "v1", MODEL, pickle.dumps(Pickled(str(mark))))
    with pytest.raises(RegistryError, match="no skops file"):
        ModelFiles(tmp_path).load("fraud", "v1")
    assert not mark.exists()


def swapped(data: bytes, change) -> bytes:
    """A skops file with another schema."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, change(text) if name == "schema.json" else text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("module", "kind"), [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("test_registry", "Pickled")]
)
def test_a_type_smuggled_into_a_model_is_named_and_refused(tmp_path, module, kind):
    add(tmp_path, model=tree())
    folder = tmp_path / "fraud" / "v1"

    def change(text):
        schema = json.loads(text)
        schema["__module__"], schema["__class__"] = module, kind
        return json.dumps(schema).encode()

    reseal(folder, MODEL, swapped((folder / MODEL).read_bytes(), change))
    with pytest.raises(RegistryError, match=rf"not allowed: {module}\.{kind}"):
        ModelFiles(tmp_path).load("fraud", "v1")


def test_a_pickled_array_inside_a_model_is_refused_and_never_runs(tmp_path):
    mark = tmp_path / "mark"
    data = skops.io.dumps(fitted())
    out, poison = io.BytesIO(), io.BytesIO()
    np.save(poison, np.array([Pickled(str(mark))], object), allow_pickle=True)
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, poison.getvalue() if name.endswith(".npy") else old.read(name))
    with pytest.raises(RegistryError, match="an array of objects"):
        read_model(out.getvalue(), "it")
    assert not mark.exists()


def test_a_function_of_the_owner_is_refused(tmp_path):
    model = make_pipeline(FunctionTransformer(ran), LogisticRegression())
    with pytest.raises(RegistryError, match=r"not allowed: .*ran"):
        read_model(skops.io.dumps(model), "it")


def test_a_partial_of_another_function_is_refused():

    model = make_pipeline(FunctionTransformer(partial(ran, "x")), LogisticRegression())
    with pytest.raises(RegistryError, match=r"not allowed: .*ran"):
        read_model(skops.io.dumps(model), "it")


def test_a_model_of_other_features_is_refused(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    model = tree().fit(rows, rows[:, 0] > 0)
    numbers = {"classes": [0, 1], "mean": [0] * 3, "scale": [1] * 3, "weights": [1] * 3, "intercept": 0}
    add(tmp_path, "v1", model=tree())
    reseal(tmp_path / "fraud" / "v1", MODEL, skops.io.dumps(model))
    add(tmp_path, "v2")
    reseal(tmp_path / "fraud" / "v2", LINEAR, json.dumps(numbers).encode())
    for version in ("v1", "v2"):
        with pytest.raises(RegistryError, match="does not score a matrix of 2 features"):
            ModelFiles(tmp_path).load("fraud", version)


def test_the_file_of_a_logistic_regression_is_not_opened(tmp_path):
    """Nor scikit-learn imported: its numbers are there."""
    add(tmp_path)
    reseal(tmp_path / "fraud" / "v1", MODEL, b"nothing")
    said = f"""if True:
        import sys
        from pathlib import Path
        from leadline.learning.model_files import ModelFiles
        version = ModelFiles(Path({str(tmp_path)!r})).load("fraud", "v1")
        print(*version.predictor.predict([[0.0, 0.0]]).shape, *{{"sklearn", "skops", "scipy"}} & {{*sys.modules}})"""
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == ["1"]


def test_a_version_that_is_not_on_this_disk_is_logged_once(tmp_path):
    """Without it nothing is profiled, and nothing else would tell."""
    models = CachedModels(tmp_path)
    with structlog.testing.capture_logs() as lines:
        assert [models.version("fraud", name) for name in ("v1", "v1", "v2")] == [None, None, None]
    assert [(line["event"], line["version"]) for line in lines] == [
        ("this version is not used", "v1"),
        ("this version is not used", "v2"),
    ]
    add(tmp_path)
    assert models.version("fraud", "v1").version == "v1"


def test_a_damaged_version_is_described_when_its_files_are_mended(tmp_path):
    add(tmp_path)
    path = tmp_path / "fraud" / "v1" / "profile.json"
    whole = path.read_bytes()
    path.write_bytes(b"")
    models = CachedModels(tmp_path)
    with structlog.testing.capture_logs() as lines:
        assert [models.version("fraud", "v1") for _ in range(3)] == [None] * 3
    assert len(lines) == 1
    path.write_bytes(whole)
    assert models.version("fraud", "v1").profile is not None


def test_a_version_is_looked_at_without_its_model(tmp_path):
    """Who needs a reference profile alone does not import scikit-learn."""
    add(tmp_path, model=tree())
    said = f"""if True:
        import sys
        from pathlib import Path
        from leadline.learning.cached import CachedModels
        version = CachedModels(Path({str(tmp_path)!r})).version("fraud", "v1")
        print(version.profile.predictions, *{{"sklearn", "skops", "scipy"}} & {{*sys.modules}})"""
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == [str(len(reference()))]


def test_a_classifier_is_no_regressor_after_its_settings_were_changed(tmp_path):
    add(tmp_path)
    path = tmp_path / "fraud" / "model.toml"
    path.write_text(path.read_text().replace('task = "binary"', 'task = "regression"'))
    with pytest.raises(RegistryError, match="is no regressor"):
        ModelFiles(tmp_path).load("fraud", "v1")


def test_other_models_have_no_numbers(tmp_path):
    add(tmp_path, model=tree())
    assert sorted(path.name for path in (tmp_path / "fraud" / "v1").iterdir()) == sorted(
        [*FILES, MODEL, MANIFEST, SERVED, GOLDEN]
    )


def break_settings(root: Path, how: str) -> None:
    path = root / "fraud" / "model.toml"
    data = {
        "half": b"name = ",
        "renamed": b'name = "other"',
        "deep": b"a = " + b"[" * 100_000,
        "digits": b"a = " + b"9" * 9999,
    }
    if how in data:
        path.write_bytes(data[how])
        return
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"#" * (1 << 20))


@pytest.mark.parametrize("how", ["half", "renamed", "deep", "digits", "folder", "fifo", "link", "large"])
def test_broken_settings_stop_one_model_until_they_are_mended(tmp_path, how):
    add(tmp_path)
    add(tmp_path, settings=SETTINGS.model_copy(update={"name": "other"}))
    path = tmp_path / "fraud" / "model.toml"
    whole = path.read_bytes()
    break_settings(tmp_path, how)
    worker = Worker(tmp_path)
    for model in ("fraud", "other"):
        worker.roll_out("v1", model)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            assert (worker.models.settings("fraud"), worker.answers("fraud"), worker.answers("other")) == (
                None,
                None,
                "v1",
            )
            assert worker.models.version("fraud", "v1") is None
    assert len(lines) == 1
    assert worker.models.names() == ["fraud", "other"]
    assert list(worker.models.broken()) == ["fraud"]
    why = worker.models.why_unusable("fraud")
    assert "fraud/model.toml" in why
    assert "\n" not in why
    path.rmdir() if how == "folder" else path.unlink()
    path.write_bytes(whole)
    assert worker.models.settings("fraud") == SETTINGS
    assert worker.answers("fraud") == "v1"
    assert worker.models.broken() == {}


def test_settings_that_cannot_be_reached_are_broken_and_not_an_end(tmp_path, monkeypatch):
    add(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)
    monkeypatch.setattr(os, "open", refuse)
    models = CachedModels(tmp_path)
    assert models.settings("fraud") is None
    assert "Permission denied" in models.broken()["fraud"]


@pytest.mark.parametrize("name", [*FILES, LINEAR, SERVED, GOLDEN, MANIFEST])
@pytest.mark.parametrize("how", ["fifo", "folder", "link"])
def test_only_regular_files_are_read(tmp_path, name, how):
    add(tmp_path)
    path = tmp_path / "fraud" / "v1" / name
    outside = tmp_path / "outside"
    path.rename(outside)
    {"fifo": os.mkfifo, "folder": Path.mkdir, "link": lambda path: path.symlink_to(outside)}[how](path)
    with pytest.raises(RegistryError, match=r"no regular file|symbolic link"):
        ModelFiles(tmp_path).load("fraud", "v1")


def test_a_folder_that_leads_elsewhere_is_not_followed(tmp_path):
    add(tmp_path / "elsewhere")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "fraud").symlink_to(tmp_path / "elsewhere" / "fraud")
    models = CachedModels(tmp_path / "root")
    assert models.settings("fraud") is None
    assert "symbolic link" in models.broken()["fraud"]
