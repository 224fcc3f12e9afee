"""A model is served as it was trained: its own names, order, categories and classes; what does not fit is refused."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, SplineTransformer, StandardScaler
from sklearn.svm import OneClassSVM

from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.add import add_file, add_version
from leadline.learning.errors import RegistryError
from leadline.learning.limits import GOLDEN, MANIFEST
from leadline.learning.model_files import ModelFiles
from leadline.learning.reference import signature_of
from leadline.settings import ModelSettings

RNG = np.random.default_rng(3)
COUNT = 600
FRAME = pd.DataFrame(
    {
        "amount": RNG.normal(100, 20, COUNT),
        "age": RNG.integers(20, 60, COUNT),
        "city": RNG.choice(["Oslo", "Bonn", "Lima"], COUNT, p=[0.2, 0.3, 0.5]),
        "tier": RNG.choice([1, 2, 3], COUNT),
        "old": RNG.random(COUNT) < 0.5,
    }
)
FRAME["label"] = ((FRAME.amount > 105) ^ (FRAME.city == "Bonn") ^ (FRAME.tier == 3)).astype(int)
SETTINGS = ModelSettings(name="m", numeric=["age", "amount"], categorical=["city", "tier", "old"])
NAMES = ["amount", "city", "old", "age", "tier"]


def reseal(folder, name, data):
    """Replace a file as somebody would who can write the manifest too."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


LOGISTIC = LogisticRegression(max_iter=1000)


def by_name(last=LOGISTIC):
    encode = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["amount", "age"]), ("texts", encode, ["city"]), ("others", OneHotEncoder(), ["tier", "old"])]
    )  # fmt: skip
    return make_pipeline(columns, clone(last))


def table(frame=FRAME):
    return pa.table({name: frame[name].tolist() for name in frame})


def inputs(version, frame):
    """Rows as requests give them."""
    signature = version.signature
    texts = {
        name: Texts.of(pa.array(frame[name].tolist(), from_pandas=True).cast(pa.string()))
        for name in signature.categorical
    }
    matrix = np.full((len(frame), len(signature.names)), -1.0)
    for at, name in enumerate(signature.numeric):
        matrix[:, at] = frame[name]
    for at, name in enumerate(signature.categorical, len(signature.numeric)):
        known = signature.categories[name]
        values = [known.index(text) if text in known else -1 for text in texts[name].texts]
        matrix[:, at] = np.array([*values, np.nan], float)[texts[name].codes]
    return Inputs(matrix, texts)


def served(root, model, settings=SETTINGS, frame=FRAME):
    add_version(root, settings, None, model, table(frame), "label")
    return ModelFiles(root).load("m", "v1")


def live(rows=10_000):
    """Requests after the training, unlike it."""
    rng = np.random.default_rng(9)
    frame = FRAME.sample(rows, replace=True, random_state=1).reset_index(drop=True)
    frame["amount"] += rng.normal(size=rows)
    return frame


@pytest.mark.parametrize(
    "model",
    [
        by_name(),
        by_name(RandomForestClassifier(10)),
        make_pipeline(
            ColumnTransformer(
                [("c", OrdinalEncoder(), ["city"]), ("o", "passthrough", ["amount", "age", "old", "tier"])]
            ),
            HistGradientBoostingClassifier(max_iter=20),
        ),
        HistGradientBoostingClassifier(max_iter=20),
    ],
    ids=["logistic", "forest", "ordinal", "native"],
)
def test_named_columns_give_the_scores_of_the_users_own_process(tmp_path, model):
    frame = FRAME.astype({"city": "category"}) if type(model).__name__.startswith("Hist") else FRAME
    settings = SETTINGS
    if "tier" not in str(model.get_params().get("steps")) or "passthrough" in str(model):
        settings = ModelSettings(name="m", numeric=["old", "tier", "age", "amount"], categorical=["city"])
    model.fit(frame[NAMES], frame.label)
    version = served(tmp_path, model, settings)
    rows = live()
    rows["city"] = rows.city.astype(frame.city.dtype)
    expected, own = model.predict_proba(rows[NAMES])[:, 1], model.predict(rows[NAMES])
    given = inputs(version, rows)
    scores = version.predictor.predict(*given)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(version.own_labels(*given, scores), own)


def test_columns_that_were_chosen_by_their_types(tmp_path):
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number", pattern="o")),
    )
    own = ["amount", "city", "age", "old"]
    model = make_pipeline(columns, LogisticRegression()).fit(FRAME[own], FRAME.label)
    version = served(tmp_path, model, ModelSettings(name="m", numeric=["age", "amount"], categorical=["old"]))
    rows = live(100)
    found = version.predictor.predict(*inputs(version, rows))
    np.testing.assert_allclose(found, model.predict_proba(rows[own])[:, 1], rtol=0, atol=1e-9)


def test_a_category_that_was_never_seen_reaches_the_model_as_it_is(tmp_path):
    model = by_name().fit(FRAME[NAMES], FRAME.label)
    version = served(tmp_path, model)
    rows = live(4).assign(city=["Rome", "Oslo", "", "Bonn"])
    scores = version.predictor.predict(*inputs(version, rows))
    np.testing.assert_allclose(scores, model.predict_proba(rows[NAMES])[:, 1], rtol=0, atol=1e-9)
    strict = live(3).assign(tier=[1, 9, 2])
    assert np.isnan(version.predictor.predict(*inputs(version, strict))).tolist() == [False, True, False]


def test_a_missing_category_is_missing_to_the_model(tmp_path):
    model = by_name().fit(FRAME[NAMES], FRAME.label)
    version = served(tmp_path, model)
    rows = live(3).astype({"city": object})
    rows.loc[1, "city"] = np.nan
    given = inputs(version, rows)
    np.testing.assert_allclose(
        version.predictor.predict(*given), model.predict_proba(rows[NAMES])[:, 1], rtol=0, atol=1e-9
    )


def words(texts, encoder=None):
    """A model of one category and one number, on these texts, and its reference."""
    frame = pd.DataFrame({"x": RNG.normal(size=COUNT), "word": RNG.choice(np.array(texts, object), COUNT)})
    frame["label"] = (frame.word == texts[0]).astype(int)
    columns = ColumnTransformer([("x", "passthrough", ["x"]), ("word", encoder or OneHotEncoder(), ["word"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame[["x", "word"]], frame.label)
    return model, frame, ModelSettings(name="m", numeric=["x"], categorical=["word"])


def test_a_category_reaches_the_model_as_it_learned_it_however_it_is_written(tmp_path):
    """`3.0` is `3` in a request of JSON, and may be `3.0` in one of Avro; the model has learned the text `3.0`."""
    model, frame, settings = words(["3.0", "True", "b"])
    version = served(tmp_path, model, settings, frame)
    assert sorted(version.signature.categories["word"]) == ["3", "b", "true"]
    own = model.predict_proba(pd.DataFrame({"x": [0.0] * 5, "word": ["3.0", "3.0", "True", "True", "b"]}))[:, 1]
    given = Texts.of(pa.array(["3", "3.0", "true", "True", "b"]))
    np.testing.assert_allclose(version.predictor.predict(np.zeros((5, 2)), {"word": given}), own, atol=1e-9)


def test_two_ways_of_writing_one_category_are_refused(tmp_path):
    model, frame, settings = words(["3.0", "3", "b"])
    with pytest.raises(RegistryError, match=r"knows \['3'\] of 'word' in two ways of writing"):
        served(tmp_path, model, settings, frame)


def test_a_declared_coding_holds_however_it_is_written():
    settings = ModelSettings(
        name="m", categorical=["tier", "old"], categories={"tier": ["3.0", "1", "2"], "old": ["True", "false"]}
    )
    assert signature_of(table(), settings).categories == {"tier": ["3", "1", "2"], "old": ["true", "false"]}


def test_each_feature_says_whether_it_may_be_missing(tmp_path):
    """A number may not be, here; a category may where the encoder takes what it does not know."""
    model, frame, settings = words(["a", "b"])
    assert served(tmp_path / "strict", model, settings, frame).takes_missing.tolist() == [False, False]
    model, frame, settings = words(["a", "b"], OneHotEncoder(handle_unknown="ignore"))
    assert served(tmp_path / "ignore", model, settings, frame).takes_missing.tolist() == [False, True]


@pytest.mark.parametrize(
    ("classes", "positive", "wire"),
    [(["no", "yes"], "yes", [0, 1]), ([1, 2], "2", [1, 2]), ([False, True], "false", [0, 1]), ([-1, 1], 1.0, [-1, 1])],
    ids=str,
)
def test_the_classes_are_outcomes_on_the_wire(tmp_path, classes, positive, wire):
    model, frame, settings = words(["a", "b"])
    frame["label"] = np.array(classes, object)[frame.label]
    model.fit(frame[["x", "word"]], frame.label.tolist())
    settings = settings.model_copy(update={"positive": positive})
    version = served(tmp_path, model, settings, frame)
    assert version.profile.classes == wire
    assert version.profile.class_names == (["no", "yes"] if "yes" in classes else [])
    said = classes.index(False if positive == "false" else 2 if positive == "2" else positive)
    assert version.settings.positive_outcome == wire[said]


def test_a_number_and_a_word_are_no_two_classes(tmp_path):
    model, frame, settings = words(["a", "b"])
    frame["label"] = np.array(["1", "other"], object)[frame.label]
    model.fit(frame[["x", "word"]], frame.label)
    with pytest.raises(RegistryError, match="one is a number, and one a word"):
        served(tmp_path, model, settings.model_copy(update={"positive": "other"}), frame)


@pytest.mark.parametrize(
    "last", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression()), KNeighborsClassifier()]
)
def test_the_names_decide_the_order(tmp_path, last):
    model = last.fit(FRAME[["amount", "age"]], FRAME.label)
    version = served(tmp_path, model, ModelSettings(name="m", numeric=["age", "amount"]))
    rows = live(500)
    found = version.predictor.predict(*inputs(version, rows))
    np.testing.assert_allclose(found, model.predict_proba(rows[["amount", "age"]])[:, 1], rtol=0, atol=1e-9)


def test_columns_that_the_model_drops_need_not_be_named(tmp_path):
    """An id and a time stand in the data frame of the training, and no transformer takes them."""
    frame = FRAME.assign(id=np.arange(COUNT), when=pd.Timestamp("2024-01-01"))
    columns = ["id", *NAMES, "when"]
    for at, model in enumerate([by_name(), CalibratedClassifierCV(by_name(), cv=2), GridSearchCV(by_name(), {}, cv=2)]):
        model.fit(frame[columns], frame.label)
        version = served(tmp_path / str(at), model)
        rows = live(200).assign(id=0, when=pd.Timestamp("2025-01-01"))
        found = version.predictor.predict(*inputs(version, rows))
        np.testing.assert_allclose(found, model.predict_proba(rows[columns])[:, 1], rtol=0, atol=1e-9)
    with pytest.raises(RegistryError, match=r"and looks at \['amount', 'city', 'old', 'age', 'tier'\], and model.toml"):
        served(tmp_path, model, ModelSettings(name="m", numeric=["age", "amount"], categorical=["city"]))


@pytest.mark.parametrize(
    "cover", [CalibratedClassifierCV, lambda model, cv: GridSearchCV(CalibratedClassifierCV(model, cv=cv), {}, cv=cv)]
)
def test_categories_behind_a_calibration_reach_their_encoders_as_they_learned_them(tmp_path, cover):
    """Whole numbers and booleans as categories: as texts, an encoder that ignores what it does not know would ignore them all."""
    ignoring = ColumnTransformer(
        [
            ("n", "passthrough", ["amount", "age"]),
            ("c", OneHotEncoder(handle_unknown="ignore"), ["city", "tier", "old"]),
        ]
    )
    model = cover(make_pipeline(ignoring, LogisticRegression(max_iter=1000)), cv=2).fit(FRAME[NAMES], FRAME.label)
    version, rows = served(tmp_path, model), live(200)
    found = version.predictor.predict(*inputs(version, rows))
    np.testing.assert_allclose(found, model.predict_proba(rows[NAMES])[:, 1], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "last", [IsolationForest(n_estimators=10, random_state=0), make_pipeline(StandardScaler(), OneClassSVM())]
)
def test_what_finds_outliers_says_minus_one_of_them(tmp_path, last):
    own = FRAME[["amount", "age"]]
    model = last.fit(own)
    settings = ModelSettings(name="m", numeric=["age", "amount"], score="decision", positive=-1)
    frame = FRAME.assign(label=np.where(FRAME.label, -1, 1))
    version = served(tmp_path, model, settings, frame)
    given = inputs(version, FRAME)
    scores = version.predictor.predict(*given)
    np.testing.assert_allclose(scores, -model.decision_function(own), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(version.own_labels(*given, scores), model.predict(own) == -1)
    with pytest.raises(RegistryError, match='has no predict_proba: say score = "decision"'):
        served(tmp_path / "other", model, settings.model_copy(update={"score": "probability"}), frame)
    with pytest.raises(RegistryError, match="is no regressor"):
        served(tmp_path / "other", model, ModelSettings(name="m", task="regression", numeric=["age", "amount"]), frame)


def test_a_number_that_nobody_knows_is_no_category(tmp_path):
    """A model on declared codes, none of which says what was never seen: -1 would be a number like the others."""
    rows, settings = codes()
    named = settings.model_copy(update={"categories": {"city": ["Bonn", "Lima", "Oslo"]}})
    unseen = FRAME[:3].assign(city=["Rome", "Oslo", "Bonn"])
    for at, model in enumerate([RandomForestClassifier(5), LogisticRegression(max_iter=1000)]):
        version = served(tmp_path / str(at), model.fit(rows, FRAME.label), named)
        assert np.isnan(version.predictor.predict(*inputs(version, unseen))).tolist() == [True, False, False]
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=[1]).fit(rows, FRAME.label)
    version = served(tmp_path / "knows", model, named)
    assert np.isfinite(version.predictor.predict(*inputs(version, unseen))).all()


class Margins(LogisticRegression):
    """Gives raw scores as probabilities."""

    def predict_proba(self, X):  # noqa: N803 - as scikit-learn names it
        return np.stack([-self.decision_function(X), self.decision_function(X)], 1)


class Relative(LogisticRegression):
    """Looks at the other rows."""

    def predict_proba(self, X):  # noqa: N803 - as scikit-learn names it
        return super().predict_proba(X - X.mean(axis=0))


@pytest.mark.parametrize(("kind", "why"), [(Margins, "it gives raw scores"), (Relative, "among the others")])
def test_scores_that_are_no_probabilities_of_one_request_are_refused(tmp_path, kind, why):
    model = kind().fit(FRAME[["amount", "age"]].to_numpy(float), FRAME.label)
    trusted = [f"{kind.__module__}.{kind.__name__}"]
    settings = ModelSettings(name="m", numeric=["amount", "age"], trusted=trusted)
    with pytest.raises((ValueError, RegistryError), match=why):
        served(tmp_path, model, settings)


def test_other_names_are_refused_with_both_lists(tmp_path):
    model = LogisticRegression().fit(FRAME[["amount", "age"]], FRAME.label)
    with pytest.raises(RegistryError, match=r"\['amount', 'age'\], and model.toml names \['age', 'tier'\]"):
        served(tmp_path, model, ModelSettings(name="m", numeric=["age", "tier"]))


def codes():
    rows = np.column_stack([FRAME.amount, FRAME.city.astype("category").cat.codes]).astype(float)
    return rows, ModelSettings(name="m", numeric=["amount"], categorical=["city"])


@pytest.mark.parametrize("model", [HistGradientBoostingClassifier(categorical_features=[1]), RandomForestClassifier(5)])
def test_codes_that_nobody_named_are_refused_and_served_where_they_are_declared(tmp_path, model):
    rows, settings = codes()
    model.fit(rows, FRAME.label)
    with pytest.raises(RegistryError, match=r"below \[categories\], city ="):
        served(tmp_path, model, settings)
    named = settings.model_copy(update={"categories": {"city": ["Bonn", "Lima", "Oslo"]}})
    version = served(tmp_path, model, named)
    given = inputs(version, FRAME)
    np.testing.assert_array_equal(version.predictor.predict(*given), model.predict_proba(rows)[:, 1])


@pytest.mark.parametrize(
    ("classes", "positive", "why"),
    [
        ([0, 1], None, None),
        ([False, True], None, None),
        (["0", "1"], None, None),
        ([1, 2], None, r"classes \[1, 2\]: say in model.toml which one"),
        ([1, 2], 2.0, None),
        (["no", "yes"], None, r"\['no', 'yes'\]: say in model.toml which one"),
        (["no", "yes"], "yes", None),
        (["no", "yes"], "maybe", "'maybe' in model.toml is none of them"),
        ([-1, 1], None, "say in model.toml which one"),
    ],
)
def test_the_positive_class_is_known_or_said_and_never_guessed(tmp_path, classes, positive, why):
    truth = np.array(classes)[FRAME.label]
    model = LogisticRegression().fit(FRAME[["amount", "age"]], truth)
    settings = ModelSettings(name="m", numeric=["amount", "age"], positive=positive)
    frame = FRAME.assign(label=truth)
    if why is not None:
        with pytest.raises(RegistryError, match=why):
            served(tmp_path, model, settings, frame)
        return
    version = served(tmp_path, model, settings, frame)
    expected = model.predict_proba(FRAME[["amount", "age"]])[:, 1]
    np.testing.assert_allclose(version.predictor.predict(*inputs(version, FRAME)), expected, rtol=0, atol=1e-9)
    assert version.profile.metrics["accuracy"] == model.score(FRAME[["amount", "age"]], truth)


def test_an_outcome_that_is_no_class_is_refused_with_its_row(tmp_path):
    model = LogisticRegression().fit(FRAME[["amount", "age"]], FRAME.label)
    settings = ModelSettings(name="m", numeric=["amount", "age"])
    for values, why in (
        (np.where(FRAME.label, "yes", "no"), r"first in row 1\)"),
        ([*FRAME.label[:-1], 2], r"row 600\)"),
    ):
        with pytest.raises(ValueError, match=why):
            served(tmp_path, model, settings, FRAME.assign(label=values))


def test_own_scores_are_compared(tmp_path):
    model = by_name().fit(FRAME[NAMES], FRAME.label)
    path = tmp_path / "m.skops"
    skops.io.dump(model, path)
    frame = FRAME.assign(mine=model.predict_proba(FRAME[NAMES])[:, 1])
    assert (
        add_file(tmp_path / "a", SETTINGS, None, path, table(frame), "label", "mine").examined.served.columns == NAMES
    )
    frame.loc[7, "mine"] += 1e-6
    with pytest.raises(ValueError, match="row 8, and the model is served with"):
        add_file(tmp_path / "b", SETTINGS, None, path, table(frame), "label", "mine")


@pytest.mark.parametrize("last", [LogisticRegression(), RandomForestClassifier(3)])
def test_a_version_that_answers_otherwise_than_when_it_was_added_is_refused_with_both_numbers(tmp_path, last):
    served(
        tmp_path, last.fit(FRAME[["age", "amount"]], FRAME.label), ModelSettings(name="m", numeric=["age", "amount"])
    )
    folder = tmp_path / "m" / "v1"
    golden = json.loads((folder / GOLDEN).read_text())
    was = golden["scores"][5]
    golden["scores"][5] = was + 1e-6
    reseal(folder, GOLDEN, json.dumps(golden).encode())
    with pytest.raises(RegistryError, match=f"gives {was!r} for row 6 .*gave {was + 1e-6!r}"):
        ModelFiles(tmp_path).load("m", "v1")


def test_only_a_data_frame_needs_pandas(tmp_path):
    settings = ModelSettings(name="m", numeric=["age", "amount"])
    served(tmp_path, RandomForestClassifier(3).fit(FRAME[["amount", "age"]], FRAME.label), settings)
    said = f"""if True:
        import sys
        from pathlib import Path
        sys.modules["pandas"] = None
        from leadline.learning.model_files import ModelFiles
        print(ModelFiles(Path({str(tmp_path)!r})).load("m", "v1").predictor.predict.__name__)"""
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == ["predict"]


ORDINARY = {
    "imputed": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "polynomial": make_pipeline(PolynomialFeatures(), LogisticRegression(max_iter=5000)),
    "spline": make_pipeline(SplineTransformer(), LogisticRegression(max_iter=1000)),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(5), method="isotonic"),
    "grid": GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="roc_auc"),
    "chosen": make_pipeline(SelectKBest(f_classif, k=1), LogisticRegression()),
    "voting": VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
    "neighbours": KNeighborsClassifier(4, algorithm="ball_tree"),
}


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.filterwarnings("ignore")
def test_an_ordinary_pipeline_of_numbers(tmp_path, name):
    settings, rows = ModelSettings(name="m", numeric=["age", "amount"]), live(2000)
    model = ORDINARY[name].fit(FRAME[["age", "amount"]].to_numpy(float), FRAME.label)
    version = served(tmp_path, model, settings)
    given, own = inputs(version, rows), rows[["age", "amount"]].to_numpy(float)
    scores = version.predictor.predict(*given)
    np.testing.assert_allclose(scores, model.predict_proba(own)[:, 1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(version.own_labels(*given, scores), model.predict(own))


@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()])
def test_text_by_its_place_reaches_the_encoder_in_the_file(tmp_path, encoder):
    """Fitted to rows of numbers and text without names: the order is that of model.toml."""
    columns = ColumnTransformer([("texts", encoder, [1])], remainder="passthrough")
    own = FRAME[["amount", "city"]].astype(object).to_numpy()
    model = make_pipeline(columns, RandomForestClassifier(5)).fit(own, FRAME.label)
    version = served(tmp_path, model, ModelSettings(name="m", numeric=["amount"], categorical=["city"]))
    np.testing.assert_array_equal(version.predictor.predict(*inputs(version, FRAME)), model.predict_proba(own)[:, 1])
