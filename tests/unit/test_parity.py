"""What is served for requests in JSON is what the user's own process says: 10,000 rows of each way in which a model is served."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from leadline.core.scoring.routing import Deployments
from leadline.core.scoring.scoring import Scoring
from leadline.learning.add import add_version
from leadline.learning.model_files import ModelFiles
from leadline.settings import ModelSettings
from leadline.wire.codec import decode
from leadline.wire.run import Run
from stages import Models, rolled_out

RNG = np.random.default_rng(2)
ROWS = 10_000
FRAME = pd.DataFrame(
    {
        "amount": RNG.normal(100, 20, ROWS),
        "age": RNG.integers(18, 90, ROWS),
        "city": RNG.choice(["Oslo", "Bonn", "Lima", "São Paulo"], ROWS),
        "plan": RNG.choice(["a", "b", "c"], ROWS, p=[0.7, 0.2, 0.1]),
    }
)
NUMBERS, TEXTS = ["amount", "age"], ["city", "plan"]
TRUTH = ((FRAME.amount + 10 * (FRAME.city == "Bonn") + RNG.normal(0, 10, ROWS)) > 105).astype(int)
PRICE = 3 * FRAME.amount - FRAME.age
TRAINED = slice(0, 1000)


def by_name(last):
    encode = ColumnTransformer([("n", StandardScaler(), NUMBERS), ("t", OneHotEncoder(handle_unknown="ignore"), TEXTS)])
    return make_pipeline(encode, last)


def native(frame):
    return frame.astype(dict.fromkeys(TEXTS, pd.CategoricalDtype()))


def matrix(frame):
    return frame[NUMBERS].to_numpy(float)


# kind: model, what it takes of the frame, its outcomes, more settings
KINDS = {
    "matrix of numbers": (make_pipeline(MinMaxScaler(), LogisticRegression()), matrix, TRUTH, {}),
    "numbers of a linear model": (make_pipeline(StandardScaler(), LogisticRegression()), matrix, TRUTH, {}),
    "named columns": (by_name(LogisticRegression(max_iter=500)), lambda frame: frame, TRUTH, {}),
    "native categories": (HistGradientBoostingClassifier(max_iter=30), native, TRUTH, {}),
    "regression": (HistGradientBoostingRegressor(max_iter=30), native, PRICE, {"task": "regression"}),
    "decision function": (by_name(LinearSVC(max_iter=200)), lambda frame: frame, TRUTH, {"score": "decision"}),
    "classes 1 and 2": (by_name(LogisticRegression()), lambda frame: frame, TRUTH + 1, {"positive": 2}),
    "classes yes and no": (by_name(LogisticRegression()), lambda frame: frame, TRUTH.map({0: "no", 1: "yes"}), {"positive": "yes"}),
}  # fmt: skip


def own_scores(model, rows, settings):
    if settings.task == "regression":
        return model.predict(rows)
    if settings.score == "decision":
        return model.decision_function(rows)
    return model.predict_proba(rows)[:, 1]


def requests(frame, settings):
    """The rows as a client sends them."""
    values = [
        {"request_id": f"r{i}", "model": "m", "event_time": 0, "features": {name: row[name] for name in settings.numeric},
         "categories": {name: row[name] for name in settings.categorical}} for i, row in enumerate(frame.to_dict("records"))
    ]  # fmt: skip
    keys = [value["request_id"].encode() for value in values]
    written = [json.dumps(value).encode() for value in values]
    return Run("prediction-requests", 0, list(range(len(keys))), [0] * len(keys), keys, written, [()] * len(keys))


@pytest.mark.parametrize("kind", KINDS)
def test_served_scores_are_the_users_own(tmp_path, kind):
    model, take, truth, more = KINDS[kind]
    model.fit(take(FRAME[TRAINED]), truth[TRAINED])
    texts = [] if take is matrix else TEXTS
    settings = ModelSettings(name="m", numeric=NUMBERS, categorical=texts, **more)
    reference = pa.table({name: FRAME[name][TRAINED].tolist() for name in FRAME} | {"label": truth[TRAINED].tolist()})
    add_version(tmp_path, settings, None, model, reference, "label")
    version = ModelFiles(tmp_path).load("m", "v1")
    batch, letters = decode(requests(FRAME, settings), 1 << 20)
    scoring = Scoring(Models({"m": version.settings}, {("m", "v1"): version}), Deployments(rolled_out(m="v1")))
    effects = scoring.on_batch(batch)
    [output] = effects.outputs
    assert (letters, effects.rejects, len(output.columns)) == ([], [], ROWS)
    far = np.abs(output.columns["score"].to_numpy() - own_scores(model, take(FRAME), settings)).max()
    assert far <= 1e-9
    if settings.task == "binary":
        said = np.asarray(model.predict(take(FRAME))) == np.unique(truth)[1]
        assert np.array_equal(output.columns["predicted_label"].to_numpy() == 1, said)
