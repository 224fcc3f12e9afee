"""Every public classifier and regressor of scikit-learn that can be fitted to a table is served, with the scores of the user's own process.

The others stand here with the reason.
"""

import inspect

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils import all_estimators

from leadline.learning.add import add_version
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.settings import ModelSettings

MANY_OUTPUTS = {
    "CCA", "ClassifierChain", "MultiOutputClassifier", "MultiOutputRegressor", "MultiTaskElasticNet", "MultiTaskElasticNetCV",
    "MultiTaskLasso", "MultiTaskLassoCV", "PLSCanonical", "RegressorChain",
}  # fmt: skip
"""They predict several outcomes at once; a model has one."""
REFUSED = {
    "OutputCodeClassifier": "it gives labels alone",
    "VotingClassifier": "it gives labels alone",
}
INSTEAD = {"VotingClassifier": 'With `voting="soft"` it is served.'}
DECISIONS = {
    "LinearSVC", "NuSVC", "OneVsOneClassifier", "PassiveAggressiveClassifier", "Perceptron", "RidgeClassifier", "RidgeClassifierCV",
    "SGDClassifier", "SVC",
}  # fmt: skip
"""They have no probabilities."""
RNG = np.random.default_rng(2)
X = np.abs(RNG.normal(size=(200, 3)))
LIVE = X[RNG.integers(0, 200, 1000)] * 0.99
Y = {"classifier": (X[:, 0] > X[:, 1]).astype(int), "regressor": X @ [1, 2, 3] + 1}
ALL = [(kind, name, each) for kind in Y for name, each in all_estimators(type_filter=kind) if name not in MANY_OUTPUTS]


def fitted(kind, estimator):
    base = LogisticRegression() if kind == "classifier" else LinearRegression()
    wanted = inspect.signature(estimator).parameters
    given = {"estimator": base, "estimators": [("a", base)]}
    own = {name: value for name, value in given.items() if name in wanted and "Bagging" not in estimator.__name__}
    return estimator(**own).fit(X[:, :1] if estimator.__name__ == "IsotonicRegression" else X, Y[kind])


@pytest.mark.parametrize(("kind", "name", "estimator"), ALL, ids=[name for _, name, _ in ALL])
@pytest.mark.filterwarnings("ignore")
def test_it_is_served_as_it_was_trained(tmp_path, kind, name, estimator):
    model = fitted(kind, estimator)
    width = model.n_features_in_ if hasattr(model, "n_features_in_") else X.shape[1]
    width = 1 if name == "IsotonicRegression" else width
    settings = ModelSettings(
        name="m",
        task="binary" if kind == "classifier" else "regression",
        numeric=[f"f{i}" for i in range(width)],
        score="decision" if name in DECISIONS else "probability",
    )
    table = pa.table({f"f{i}": X[:, i] for i in range(width)} | {"y": Y[kind]})
    if name in REFUSED:
        with pytest.raises(RegistryError, match=REFUSED[name]):
            add_version(tmp_path, settings, "v1", model, table, "y")
        return
    add_version(tmp_path, settings, "v1", model, table, "y")
    version = ModelFiles(tmp_path).load("m", "v1")
    rows = LIVE[:, :width]
    scores = version.predictor.predict(rows, {})
    if kind == "regressor":
        np.testing.assert_allclose(scores, np.asarray(model.predict(rows)).reshape(-1), rtol=1e-9, atol=1e-9)
        return
    own = model.decision_function(rows) if name in DECISIONS else model.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(scores, own, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(version.own_labels(rows, {}, scores), model.predict(rows))
