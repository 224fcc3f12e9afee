"""Models that people brought: each is served as it was trained, or refused in one line that says what would be."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from leadline.learning.add import add_version
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.learning.reference import inputs
from leadline.settings import ModelSettings

RNG = np.random.default_rng(1)
COUNT = 600
FRAME = pd.DataFrame(
    {
        "x": RNG.normal(size=COUNT),
        "z": RNG.normal(size=COUNT),
        "city": RNG.choice(["Oslo", "Bonn", "Lima"], COUNT, p=[0.2, 0.3, 0.5]),
    }
)
FRAME["label"] = (((FRAME.city == "Oslo") | (FRAME.x > 1)) ^ (RNG.random(COUNT) < 0.02)).astype(int)
FRAME["kind"] = np.where(FRAME.city == "Lima", 2, np.where(FRAME.x > 0, 1, 0))
FRAME["price"] = 3 * FRAME.x + FRAME.z
NUMBERS, TRUTH = FRAME[["x", "z"]].to_numpy(), FRAME.label.to_numpy()
CODES = np.column_stack([NUMBERS, FRAME.city.astype("category").cat.codes]).astype(float)
"""Numbers and the cities in alphabetical order."""
CITIES = {"city": ["Bonn", "Lima", "Oslo"]}
TWO = [("a", LogisticRegression()), ("b", GaussianNB())]
OF_NUMBERS = {
    "logreg": LogisticRegression(),
    "rf": RandomForestClassifier(20),
    "gb": GradientBoostingClassifier(n_estimators=20),
    "hgb": HistGradientBoostingClassifier(max_iter=20),
    "extra": ExtraTreesClassifier(20),
    "ada": AdaBoostClassifier(n_estimators=10),
    "bag": BaggingClassifier(n_estimators=5),
    "tree": DecisionTreeClassifier(max_depth=3),
    "knn": KNeighborsClassifier(),
    "nb": GaussianNB(),
    "mlp": MLPClassifier((4,), max_iter=50),
    "sgdlog": SGDClassifier(loss="log_loss"),
    "svc-proba": CalibratedClassifierCV(SVC(max_iter=500)),
    "calibrated": CalibratedClassifierCV(LinearSVC()),
    "calibrated-iso": CalibratedClassifierCV(RandomForestClassifier(10), method="isotonic"),
    "voting": VotingClassifier(TWO, voting="soft"),
    "stacking": StackingClassifier(TWO),
    "grid": GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}),
    "lda": LinearDiscriminantAnalysis(),
    "imputed": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "poly": make_pipeline(PolynomialFeatures(), LogisticRegression()),
    "minmax": make_pipeline(MinMaxScaler(), LogisticRegression()),
    "spline": make_pipeline(SplineTransformer(), LogisticRegression()),
}


def encoded(columns):
    return ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), columns)], remainder="passthrough")


def served(root, model, outcome="label", frame=FRAME, **settings):
    """The version as a worker loads it, with the rows of the frame as it takes them."""
    known = ModelSettings(name="m", **({"numeric": ["x", "z"]} | settings))
    reference = pa.table({name: frame[name].tolist() for name in frame})
    add_version(root, known, None, model, reference, outcome)
    version = ModelFiles(root).load("m", "v1")
    return version, inputs(reference, version.signature)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OF_NUMBERS)
def test_model_kinds(tmp_path, name):
    model = OF_NUMBERS[name].fit(NUMBERS, TRUTH)
    version, rows = served(tmp_path, model)
    assert np.abs(version.predictor.predict(*rows) - model.predict_proba(NUMBERS)[:, 1]).max() < 1e-9


OTHER_CLASSES = {
    "yes-no": (np.where(TRUTH == 1, "yes", "no"), "yes"),
    "one-two": (TRUTH + 1, 2),
    "bool": (TRUTH == 1, None),
    "strings01": (TRUTH.astype(str), None),
}


@pytest.mark.parametrize("name", OTHER_CLASSES)
def test_model_kinds_of_classes(tmp_path, name):
    truth, positive = OTHER_CLASSES[name]
    model = LogisticRegression().fit(NUMBERS, truth)
    version, rows = served(tmp_path, model, frame=FRAME.assign(label=truth), positive=positive)
    assert np.abs(version.predictor.predict(*rows) - model.predict_proba(NUMBERS)[:, 1]).max() < 1e-9


@pytest.mark.parametrize(
    ("model", "truth", "settings", "says"),
    [
        (HistGradientBoostingClassifier(max_iter=20), FRAME.kind, {}, "models of exactly two classes are served"),
        (DummyClassifier(), np.zeros(COUNT, int), {}, "models of exactly two classes are served"),
        (LinearSVC(), TRUTH, {}, 'say score = "decision" in model.toml'),
        (LogisticRegression(), TRUTH + 1, {}, "say in model.toml which one is positive"),
    ],
    ids=["three", "one-class", "linearsvc", "one-two-unsaid"],
)
def test_model_kinds_that_are_refused(tmp_path, model, truth, settings, says):
    model.fit(np.abs(NUMBERS), truth)
    with pytest.raises(RegistryError, match=says) as refused:
        served(tmp_path, model, **settings)
    assert "\n" not in str(refused.value)


def test_model_kinds_func(tmp_path):
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(np.abs(NUMBERS), TRUTH)
    version, rows = served(tmp_path, model, frame=FRAME.assign(x=FRAME.x.abs(), z=FRAME.z.abs()))
    assert np.abs(version.predictor.predict(*rows) - model.predict_proba(np.abs(NUMBERS))[:, 1]).max() < 1e-9


def test_model_kinds_decision(tmp_path):
    model = LinearSVC().fit(NUMBERS, TRUTH)
    version, rows = served(tmp_path, model, score="decision")
    assert np.abs(version.predictor.predict(*rows) - model.decision_function(NUMBERS)).max() < 1e-9


def test_model_kinds_regression(tmp_path):
    model = LinearRegression().fit(FRAME[["z", "x"]], FRAME.price)
    version, rows = served(tmp_path, model, "price", task="regression")
    assert np.abs(version.predictor.predict(*rows) - FRAME.price).max() < 1e-9


COLUMNS = FRAME[["x", "z", "city"]]
OF_TEXTS = {
    "cat-names": (make_pipeline(encoded(["city"]), LogisticRegression()), COLUMNS),
    "cat-index": (make_pipeline(encoded([2]), LogisticRegression()), COLUMNS.to_numpy()),
    "cat-ordinal": (
        make_pipeline(
            ColumnTransformer([("c", OrdinalEncoder(), ["city"])], remainder="passthrough"), RandomForestClassifier(10)
        ),
        COLUMNS,
    ),
    "cat-hgb": (HistGradientBoostingClassifier(max_iter=20), COLUMNS.astype({"city": "category"})),
}


@pytest.mark.parametrize("name", OF_TEXTS)
def test_model_kinds_of_text(tmp_path, name):
    model, rows = OF_TEXTS[name]
    model.fit(rows, TRUTH)
    version, given = served(tmp_path, model, categorical=["city"])
    assert np.abs(version.predictor.predict(*given) - model.predict_proba(rows)[:, 1]).max() < 1e-9


OF_CODES = {
    "cat-codes": HistGradientBoostingClassifier(max_iter=50, categorical_features=[2]),
    "cat-codes-rf": RandomForestClassifier(20, max_depth=6),
}


@pytest.mark.parametrize("name", OF_CODES)
def test_category_codes(tmp_path, name):
    """Refused where nothing says which city is which number; right where it is declared."""
    model = OF_CODES[name].fit(CODES, TRUTH)
    with pytest.raises(RegistryError, match=r"which category has which number: (.* )?below \[categories\], city = "):
        served(tmp_path / "guess", model, categorical=["city"])
    version, rows = served(tmp_path / "told", model, categorical=["city"], categories=CITIES)
    assert np.abs(version.predictor.predict(*rows) - model.predict_proba(CODES)[:, 1]).max() < 1e-9


def test_category_codes_that_lack_a_category_of_the_reference(tmp_path):
    model = OF_CODES["cat-codes-rf"].fit(CODES, TRUTH)
    first = int(np.flatnonzero(FRAME.city == "Oslo")[0]) + 1
    with pytest.raises(ValueError, match=rf"column 'city' has \['Oslo'\] \(first in row {first}\)"):
        served(tmp_path, model, categorical=["city"], categories={"city": ["Bonn", "Lima"]})


def test_category_codes_that_the_encoder_contradicts(tmp_path):
    """An encoder of texts has a coding of its own; one of numbers knows how many there are."""
    model, rows = OF_TEXTS["cat-index"]
    model.fit(rows, TRUTH)
    with pytest.raises(RegistryError, match=r"has a coding of its own for 'city', \['Bonn', 'Lima', 'Oslo'\]"):
        served(tmp_path / "other", model, categorical=["city"], categories={"city": ["Oslo", "Lima", "Bonn"]})
    version, given = served(tmp_path / "same", model, categorical=["city"], categories=CITIES)
    assert np.abs(version.predictor.predict(*given) - model.predict_proba(rows)[:, 1]).max() < 1e-9
    numbered = make_pipeline(encoded([2]), LogisticRegression()).fit(CODES, TRUTH)
    some = FRAME[FRAME.city != "Oslo"]
    with pytest.raises(RegistryError, match=r"trained on the number 2 of 'city', and .* names 2, from 0 to 1"):
        served(tmp_path / "few", numbered, frame=some, categorical=["city"], categories={"city": ["Bonn", "Lima"]})


def test_column_order(tmp_path):
    """Only the amount matters, and model.toml names the age first."""
    frame = pd.DataFrame({"amount": RNG.normal(100, 20, 800), "age": RNG.normal(40, 10, 800)})
    frame["label"] = (frame.amount > 100).astype(int)
    for last in (HistGradientBoostingClassifier(), make_pipeline(StandardScaler(), LogisticRegression())):
        model = last.fit(frame[["amount", "age"]], frame.label)
        root = tmp_path / type(last).__name__
        version, rows = served(root, model, frame=frame, numeric=["age", "amount"])
        own = model.predict_proba(frame[["amount", "age"]])[:, 1]
        assert version.profile.metrics["accuracy"] > 0.97
        assert np.abs(version.predictor.predict(*rows) - own).max() < 1e-9
    with pytest.raises(RegistryError, match=r"columns \['amount', 'age'\], and model.toml names \['age', 'income'\]"):
        served(tmp_path / "other", model, frame=frame.assign(income=1.0), numeric=["age", "income"])


def test_category_text(tmp_path):
    """Floats with gaps and booleans are one category each, in whatever way they come: the reference is right, and so is what is live."""
    store = RNG.choice([1.0, 2.0, 3.0], COUNT, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({"store": store, "vip": RNG.random(COUNT) < 0.4, "x": RNG.normal(size=COUNT)})
    frame["label"] = ((frame.store == 2) ^ frame.vip).astype(int)
    frame.loc[::50, "store"] = np.nan
    codes = np.column_stack([frame.x, frame.store.map({1: 0, 2: 1, 3: 2}), frame.vip]).astype(float)
    model = HistGradientBoostingClassifier(categorical_features=[1, 2]).fit(codes, frame.label)
    coding = {"store": ["1", "2", "3"], "vip": ["false", "true"]}
    settings = {"numeric": ["x"], "categorical": ["store", "vip"], "categories": coding}
    version, rows = served(tmp_path, model, frame=frame, **settings)
    own = model.predict_proba(codes)[:, 1]
    assert version.profile.metrics["accuracy"] > 0.98
    assert np.abs(version.predictor.predict(*rows) - own).max() < 1e-9
    assert set(rows.texts["store"].texts) == {"1", "2", "3"}
