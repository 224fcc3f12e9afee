"""From a reference to a version on disk: reading, numbering, training, quality, and how it is scored."""

import gzip
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.learning import linear
from leadline.learning.add import add_file, add_version
from leadline.learning.cached import CachedModels
from leadline.learning.deciding import Sample, decide
from leadline.learning.errors import RegistryError
from leadline.learning.linear import Linear, linear_model, linear_of
from leadline.learning.model_files import ModelFiles
from leadline.learning.predictors import model_of
from leadline.learning.quality import errors, quality
from leadline.learning.reference import matrix, read_reference, signature_of
from leadline.learning.registry import Registry
from leadline.learning.toml import settings_toml
from leadline.learning.train import MAX_CATEGORIES, train
from leadline.settings import AlertLimits, Lookup, ModelSettings, SettingsError

TWO = Signature.of(["a", "b"], [], {})
SETTINGS = ModelSettings(name="loans", numeric=["age"], categorical=["town"])
RNG = np.random.default_rng(5)


def ready(estimator, settings, features):
    """A model of so many numbers, as it is served."""
    names = [f"f{i}" for i in range(features)]
    signature = Signature.of(names, [], {})
    sample = Sample(signature, Inputs(np.zeros((2, features)), {}))
    return model_of(estimator, settings, signature, decide(estimator, settings, sample, "it"), "it")


def table(rows: int = 400, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    age, town = rng.normal(40, 10, rows), rng.choice(["rome", "oslo", "bonn"], rows, p=[0.2, 0.5, 0.3])
    truth = (age / 10 + 2 * (town == "oslo") + rng.normal(size=rows) > 5).astype(float)
    return pa.table({"town": town, "y": truth, "age": age})


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_each_kind_of_file_reads_equal(tmp_path, kind):
    path, expected = tmp_path / f"reference.{kind}", table()
    if kind == "parquet":
        parquet.write_table(expected, path)
    else:
        text = lines(expected) if "jsonl" in kind else csv_bytes(expected)
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    assert read_reference(path).to_pydict() == expected.to_pydict()


def lines(rows: pa.Table) -> bytes:
    return "\n".join(json.dumps(row) for row in rows.to_pylist()).encode()


def csv_bytes(rows: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    csv.write_csv(rows, out)
    return out.getvalue().to_pybytes()


def test_csv_types_come_from_all_rows(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("a\n" + "1\n" * 1_000_000 + "1.5\n")
    assert read_reference(path)["a"][-1].as_py() == 1.5


def test_csv_empty_is_missing_and_text_stays_text(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("age,code\n1,007\n,\n3,NA\n")
    assert read_reference(path, text=["code"]).to_pydict() == {"age": [1, None, 3], "code": ["007", None, "NA"]}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b""),
        ("a.csv", b""),
        ("a.csv.gz", b"x"),
        ("a.jsonl", b"{"),
        ("a.parquet", b"PAR"),
        ("a.csv.gz", b"\x1f\x8b"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=name):
        read_reference(tmp_path / name)


def test_no_file():
    with pytest.raises(ValueError, match=r"nowhere\.csv"):
        read_reference(Path("nowhere.csv"))


# -- the matrix -------------------------------------------------------------------------------------------------------


def test_categories_by_frequency_then_name():
    rows = pa.table({"age": [0] * 6, "town": ["b", "c", "a", "c", None, "b"]})
    assert signature_of(rows, SETTINGS).categories == {"town": ["b", "c", "a"]}


def test_the_signature_depends_on_the_inputs_alone():
    rows = table()
    same = signature_of(rows.take(RNG.permutation(len(rows))), SETTINGS)
    assert same == signature_of(rows, SETTINGS)
    assert same.id != signature_of(rows.slice(0, 1), SETTINGS).id


def test_matrix_numbers_unseen_and_missing():
    signature = signature_of(table(), SETTINGS)
    rows = pa.table({"town": pa.array(["oslo", "paris", None]).dictionary_encode(), "age": [True, None, False]})
    np.testing.assert_array_equal(matrix(rows, signature), [[1, 0], [np.nan, -1], [0, np.nan]])


def test_matrix_of_chunks_integers_and_nothing_known():
    chunks = pa.chunked_array([pa.array([7], pa.int64()), pa.array([], pa.int64()), pa.array([None], pa.int64())])
    rows = pa.table({"age": pa.nulls(2), "town": chunks})
    signature = signature_of(rows, SETTINGS)
    assert signature.categories == {"town": ["7"]}
    np.testing.assert_array_equal(matrix(rows, signature), [[np.nan, 0], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [1]}, "no column town; it has age"),
        ({"town": ["a"], "age": ["x"]}, "'age', row 1: is 'x', not a number"),
        ({"town": [[1]], "age": [1]}, "'town' is list"),
    ],
)
def test_a_wrong_column_is_named(columns, message):
    with pytest.raises(ValueError, match=message):
        signature_of(pa.table(columns), SETTINGS)


# -- quality ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_binary_quality_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 2, 300).astype(float), np.round(rng.random(300), 2).clip(0.01, 0.99)
    said = scores >= 0.4
    expected = {
        "accuracy": metrics.accuracy_score(truth, said),
        "precision": metrics.precision_score(truth, said),
        "recall": metrics.recall_score(truth, said),
        "f1": metrics.f1_score(truth, said),
        "logloss": metrics.log_loss(truth, scores),
        "brier": metrics.brier_score_loss(truth, scores),
        "auc": metrics.roc_auc_score(truth, scores),
    }
    assert quality(scores, scores >= 0.4, truth == 1) == pytest.approx(expected, rel=1e-12)


def test_regression_quality_is_that_of_scikit_learn():
    truth, scores = RNG.normal(size=300), RNG.normal(size=300)
    found = errors(scores, truth)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, scores))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, scores))
    assert found["bias"] == pytest.approx(scores.mean() - truth.mean())


def test_what_is_not_defined_is_left_out():
    none = np.zeros(2, bool)
    found = quality(np.array([0.0, 1.0]), none, none)
    assert found.keys() == {"accuracy", "logloss", "brier"}
    assert np.isfinite(list(found.values())).all()


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["boosting", "logistic"])
def test_training_is_deterministic_and_better_than_chance(tmp_path, kind):
    one, two = (train(table(), SETTINGS, "y", kind) for _ in range(2))
    rows = matrix(table(seed=2), signature_of(table(), SETTINGS))
    np.testing.assert_array_equal(one.predict_proba(rows), two.predict_proba(rows))
    found = add_version(tmp_path, SETTINGS, None, one, table(seed=2), "y", signature_of(table(), SETTINGS))
    assert found.profile.metrics["auc"] > 0.7
    np.testing.assert_allclose(found.predictor.predict(rows), one.predict_proba(rows)[:, 1], rtol=0, atol=1e-9)


def test_boosting_takes_categories_by_index(tmp_path):
    rows = table(4000)
    rows = rows.set_column(1, "y", pa.array([float(town in ("oslo", "rome")) for town in rows["town"].to_pylist()]))
    model = train(rows, SETTINGS, "y")
    assert model.is_categorical_.tolist() == [False, True]
    assert add_version(tmp_path, SETTINGS, None, model, rows, "y").profile.metrics["auc"] == 1


def test_boosting_counts_rare_categories_unseen_and_missing_alike(tmp_path):
    towns = [f"t{i:03}" for i in range(MAX_CATEGORIES + 20)]
    rows = pa.table({"town": towns * 3 + [None] * 40, "age": [1.0] * (3 * len(towns) + 40)})
    rows = rows.append_column("y", pa.array([float(i % 3 == 0) for i in range(len(rows))]))
    found = add_version(tmp_path, SETTINGS, None, train(rows, SETTINGS, "y"), rows, "y")
    last = float(len(towns) - 1)
    unseen, missing, rare = found.predictor.predict(np.array([[1, -1], [1, np.nan], [1, last]]))
    assert unseen == missing == rare


def test_boosting_of_a_regression(tmp_path):
    settings = SETTINGS.model_copy(update={"task": "regression"})
    found = add_version(tmp_path, settings, None, train(table(), settings, "age"), table(), "age")
    assert found.profile.metrics["rmse"] < 5


def test_what_cannot_be_trained_is_told():
    holes = table().set_column(2, "age", pa.array([None, *[1.0] * 399]))
    with pytest.raises(ValueError, match="no missing values: age"):
        train(holes, SETTINGS, "y", "logistic")
    with pytest.raises(ValueError, match="1 of 400 rows have no finite outcome"):
        train(holes, SETTINGS, "age")
    with pytest.raises(ValueError, match="should be two"):
        train(table(), SETTINGS, "age")
    with pytest.raises(ValueError, match="for task = binary"):
        train(table(), SETTINGS.model_copy(update={"task": "regression"}), "age", "logistic")
    with pytest.raises(ValueError, match="no rows"):
        train(table(0), SETTINGS, "y")


# -- the predictor ----------------------------------------------------------------------------------------------------


def logistic(positive: float, scaler: StandardScaler | None = None, labels=(0.0, 1.0)):
    rows = RNG.normal([5, -300], [1, 90], (500, 2))
    truth = np.where(rows[:, 0] + RNG.normal(size=500) > 5, labels[1], labels[0])
    last = LogisticRegression(max_iter=5000)
    estimator = (last if scaler is None else make_pipeline(scaler, last)).fit(rows, truth)
    return estimator, ModelSettings(name="m", positive=positive), rows


@pytest.mark.parametrize(
    "scaler", [None, {}, {"with_mean": False}, {"with_std": False}, {"with_mean": False, "with_std": False}]
)
@pytest.mark.parametrize(
    ("positive", "labels"), [(1, (0, 1)), (0, (0, 1)), (2, (1, 2)), (1, (False, True)), (1, ("0", "1"))]
)
def test_the_numbers_of_a_logistic_regression_give_the_scores_of_scikit_learn(scaler, positive, labels):
    estimator, settings, rows = logistic(positive, None if scaler is None else StandardScaler(**scaler), labels)
    model = linear_model(linear_of(estimator, [0, 1]), settings, TWO)
    column = [float(label) for label in estimator.classes_].index(positive)
    np.testing.assert_allclose(model.predict(rows), estimator.predict_proba(rows)[:, column], rtol=0, atol=1e-9)


def test_numbers_that_give_other_scores_than_scikit_learn_are_not_used(monkeypatch):
    estimator, _, _ = logistic(1, StandardScaler())
    monkeypatch.setattr(linear, "logistic", lambda values: 1 / (1 + np.exp(-values)) + 1e-8)
    assert linear_of(estimator, [0, 1]) is None


def test_other_models_have_no_such_numbers():
    rows = RNG.normal(size=(300, 2))
    for classes in (RNG.integers(0, 3, 300), np.where(rows[:, 0] > 0, "yes", "no")):
        assert linear_of(LogisticRegression().fit(rows, classes), [0, 1]) is None
    assert linear_of(HistGradientBoostingClassifier(max_iter=3).fit(rows, rows[:, 0] > 0), [0, 1]) is None


def test_three_classes_are_never_taken_as_one_against_the_rest():
    rows = RNG.normal(size=(300, 2))
    estimator = LogisticRegression().fit(rows, RNG.integers(0, 3, 300))
    with pytest.raises(RegistryError, match=r"classes \[0, 1, 2\]: models of exactly two"):
        ready(estimator, ModelSettings(name="m", positive=2), 2)


def regression():
    rows = RNG.normal(size=(500, 2))
    return ready(LinearRegression().fit(rows, rows[:, 0]), ModelSettings(name="m", task="regression"), 2), rows


def classification():
    estimator, settings, rows = logistic(1, StandardScaler())
    return ready(estimator, settings, 2), rows


def numbers():
    estimator, settings, rows = logistic(1, StandardScaler())
    return linear_model(linear_of(estimator, [0, 1]), settings, TWO), rows


@pytest.mark.parametrize("made", [regression, classification, numbers])
def test_a_row_that_cannot_be_scored_is_nan_alone(made):
    model, rows = made()
    bad = np.vstack([rows[:2], [[np.nan, 1], [np.inf, 1], [1, -np.inf]]])
    found = model.predict(bad)
    np.testing.assert_allclose(found[:2], model.predict(rows[:2]), rtol=1e-12)
    assert np.isnan(found[2:]).all()
    assert np.isnan(model.predict(bad[2:])).all()
    assert model.predict(np.empty((0, 2))).shape == (0,)


def test_missing_is_a_value_to_boosting():
    rows = RNG.normal(size=(200, 2))
    estimator = HistGradientBoostingClassifier(max_iter=3).fit(rows, rows[:, 0] > 0)
    model = ready(estimator, ModelSettings(name="m"), 2)
    assert model.takes_missing
    assert np.isnan(model.predict(np.array([[np.nan, np.nan], [np.inf, 0]]))).tolist() == [False, True]


def test_a_model_that_does_not_fit_the_settings_is_refused():
    estimator, settings, rows = logistic(3)
    with pytest.raises(RegistryError, match=r"positive = 3\.0"):
        ready(estimator, settings, 2)
    line = LinearRegression().fit(rows, rows[:, 0])
    with pytest.raises(RegistryError, match="no predict_proba"):
        ready(line, settings, 2)
    with pytest.raises(RegistryError, match="no regressor"):
        ready(estimator, ModelSettings(name="m", task="regression"), 2)
    with pytest.raises(RegistryError, match="does not score"):
        ready(estimator, settings.model_copy(update={"positive": 1.0}), 3)
    with pytest.raises(RegistryError, match=r"has the classes \[\]"):
        ready(LogisticRegression(), settings, 2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": [0.0, 2.0]}, "say in model.toml which one is positive"),
        ({"weights": [1.0]}, "does not score a matrix of 2 features"),
        ({"mean": [1.0, 2.0, 3.0]}, "does not score a matrix of 2 features"),
        ({"intercept": float("nan")}, "not finite"),
        ({"scale": [1.0, 0.0]}, "scale of 0"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changed, message):
    fits = Linear([0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 2.0], 0.5)
    assert linear_model(fits, ModelSettings(name="m"), TWO).predict(np.array([[0.5, -0.5]])).tolist() == [0.5]
    with pytest.raises(RegistryError, match=message):
        linear_model(replace(fits, **changed), ModelSettings(name="m"), TWO)


# -- adding -----------------------------------------------------------------------------------------------------------


def test_versions_are_numbered(tmp_path):
    model = train(table(), SETTINGS, "y", "logistic")
    assert [add_version(tmp_path, SETTINGS, None, model, table(), "y").version for _ in range(2)] == ["v1", "v2"]
    (tmp_path / "loans" / "v10").mkdir()
    (tmp_path / "loans" / "version99").mkdir()
    assert Registry(ModelFiles(tmp_path)).next_version("loans") == "v11"


def test_a_skops_file_is_added_byte_for_byte(tmp_path):
    path = tmp_path / "made.skops"
    path.write_bytes(skops.io.dumps(train(table(), SETTINGS, "y", "logistic")))
    add_file(tmp_path, SETTINGS, "x", path, table(), "y")
    assert (tmp_path / "loans" / "x" / "model.skops").read_bytes() == path.read_bytes()


def test_a_version_never_changes(tmp_path):
    model = train(table(), SETTINGS, "y", "logistic")
    add_version(tmp_path, SETTINGS, "v1", model, table(), "y")
    with pytest.raises(RegistryError, match="exists; a version never changes"):
        add_version(tmp_path, SETTINGS, "v1", model, table(), "y")


def test_settings_that_differ_are_told_field_by_field(tmp_path):
    model = train(table(), SETTINGS, "y", "logistic")
    add_version(tmp_path, SETTINGS, "v1", model, table(), "y")
    other = SETTINGS.model_copy(update={"threshold": 0.9, "grace": None})
    with pytest.raises(RegistryError, match=r"differs in threshold \(version\), grace \(join\);"):
        add_version(tmp_path, other, "v2", model, table(), "y")
    assert not (tmp_path / "loans" / "v2").exists()


def test_what_is_refused_leaves_nothing(tmp_path):
    class Own(LogisticRegression):
        pass

    rows = matrix(table(), signature_of(table(), SETTINGS))
    with pytest.raises(RegistryError, match=r"not allowed: .*Own"):
        add_version(tmp_path, SETTINGS, "v1", Own().fit(rows, table()["y"]), table(), "y")
    holes = table().set_column(2, "age", pa.array([None, *[1.0] * 399]))
    with pytest.raises(ValueError, match="no score to 1 of 400 rows"):
        add_version(tmp_path, SETTINGS, "v1", train(table(), SETTINGS, "y", "logistic"), holes, "y")
    with pytest.raises(ValueError, match="no column z;"):
        add_version(tmp_path, SETTINGS, "v1", train(table(), SETTINGS, "y", "logistic"), table(), "z")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_no_version(tmp_path, monkeypatch):
    model = train(table(), SETTINGS, "y", "logistic")
    monkeypatch.setattr("leadline.learning.written.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(RegistryError, match="disk full"):
        add_version(tmp_path, SETTINGS, "v1", model, table(), "y")
    monkeypatch.undo()
    assert not list((tmp_path / "loans").iterdir())
    assert CachedModels(tmp_path).version("loans", "v1") is None
    assert add_version(tmp_path, SETTINGS, "v1", model, table(), "y").version == "v1"


def test_a_signature_of_other_features_is_refused(tmp_path):
    other = signature_of(table(), ModelSettings(name="loans", numeric=["age"]))
    with pytest.raises(RegistryError, match="not the features"):
        add_version(tmp_path, SETTINGS, "v1", train(table(), SETTINGS, "y", "logistic"), table(), "y", other)


def test_broken_settings_on_disk_are_named(tmp_path):
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "model.toml").write_text("?")
    with pytest.raises(SettingsError, match=r"model\.toml"):
        add_version(tmp_path, SETTINGS, "v1", train(table(), SETTINGS, "y", "logistic"), table(), "y")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    name=NAMES,
    features=st.lists(NAMES, max_size=3),
    lookups=st.dictionaries(NAMES, st.builds(Lookup, key=NAMES, features=st.lists(NAMES, max_size=2)), max_size=2),
    grace=st.none() | st.integers(0, 36_500 * 86_400_000),
    positive=st.floats(allow_nan=False),
    reference=st.none() | st.floats(allow_nan=False),
    runbook=st.text(st.characters(codec="utf-8")),
)
def test_settings_survive_toml(name, features, lookups, grace, positive, reference, runbook):
    settings = ModelSettings(
        name=name,
        numeric=features,
        lookups=lookups,
        grace="never" if grace is None else grace,
        positive=positive,
        alerts=AlertLimits(reference=reference),
        runbook=runbook,
    )
    assert ModelSettings.model_validate(tomllib.loads(settings_toml(settings))) == settings
