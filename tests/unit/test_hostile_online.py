"""Stored river models that mean harm are refused before anything of theirs has run; honest ones answer as before."""

import collections
import functools
import os
import pickle
import random
import sys
import types

import numpy as np
import pytest
from river import (
    compose,
    datasets,
    dummy,
    ensemble,
    forest,
    linear_model,
    naive_bayes,
    neighbors,
    optim,
    preprocessing,
    stream,
    tree,
)
from river.utils import math

from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.deciding import Sample
from leadline.learning.errors import RegistryError
from leadline.learning.examine import examine
from leadline.learning.limits import LIMITS, RIVER
from leadline.learning.models import read_model
from leadline.learning.online.estimator import named
from leadline.learning.online.stored import MAGIC, stored
from leadline.settings import ModelSettings
from leadline.settings.release import TrainingSettings

HEAD = MAGIC + b'{"river": "0.26.1", "features": ["a", "b", "c"], "classes": ["0", "1"]}\n'
RAN = []


class Ran:
    """Its state runs code."""

    def __init__(self):
        self.x = 1

    def __setstate__(self, state):
        RAN.append(state)


Ran.__module__ = "runs_code"
sys.modules["runs_code"] = types.ModuleType("runs_code")
sys.modules["runs_code"].Ran = Ran


class Does:
    """A call, as the file says."""

    def __init__(self, function, *args, state=None):
        self.function, self.args, self.state = function, args, state

    def __reduce__(self):
        return (self.function, self.args) if self.state is None else (self.function, self.args, self.state)


def model():
    return linear_model.LogisticRegression()


def holding(value):
    """A pipeline whose model holds something."""
    found = model()
    found.held = value
    return found


def with_state(kind, state):
    """Sets the attributes of a class."""
    names = kind.__module__.encode(), kind.__qualname__.encode()
    head = b"\x80\x05" + b"".join(b"\x8c" + bytes([len(each)]) + each for each in names) + b"\x93"
    return head + pickle.dumps(state, 5)[2:].removesuffix(b".") + b"b."


def pipeline_of(steps):
    """A pipeline with such steps."""
    found = compose.Pipeline()
    found.steps = steps
    return pickle.dumps(found, 5)


HOSTILE = {
    "eval": Does(eval, "RAN.append(1)"),
    "exec": Does(exec, "RAN.append(1)"),
    "system": Does(os.system, "touch /tmp/never"),
    "getattr": Does(getattr, model(), "predict_one"),
    "held call": holding(Does(os.system, "touch /tmp/never")),
    "nested call": Does(functools.partial(linear_model.LogisticRegression)),
    "state that runs code": Ran(),
    "held state that runs code": holding([{"x": Ran()}]),
    "river reads a file": Does(stream.iter_csv, "/etc/passwd"),
    "river reads svm": Does(stream.iter_libsvm, "/etc/passwd"),
    "river writes a cache": Does(stream.Cache, "/tmp/never"),
    "river fetches": Does(datasets.Elec2),
    "river function": Does(math.minkowski_distance, {}, {}, 2),
    "river class called": Does(linear_model.LogisticRegression),
    "partial of system": holding(functools.partial(os.system, "touch /tmp/never")),
    "factory of open": holding(collections.defaultdict(open)),
    "function of the user": compose.FuncTransformer(len) | model(),
    "method": holding(model().predict_one),
    "array of objects": holding(np.array([model()], object)),
    "dtype of a class": Does(np.dtype, model()),
    "bytes without end": Does(bytearray, 1 << 40),
    "a whole module": Does(__import__, "os"),
    "subclass list": Does(type, "X", (), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused(name):
    with pytest.raises(RegistryError, match=r"is not allowed: it has") as refused:
        read_model(HEAD + pickle.dumps(HOSTILE[name], 5), "m/v1/model.river")
    assert "\n" not in str(refused.value)
    assert not RAN


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (HEAD + with_state(linear_model.LogisticRegression, (None, {"predict_one": 1})), "is not allowed: it has a state"),
        (HEAD + pickle.dumps(model(), 0), "is no stored river model"),  # older instructions
        (HEAD + b"\x80\x05\x82\x01.", "is no stored river model"),  # what others have registered with copyreg
        (HEAD + b"\x80\x05cos\nsystem\n.", "is no stored river model"),
        (HEAD + b"\x80\x05\x8c\x0briver.stats\x8c\x0bbase.os.pat\x93.", "m is"),
        (HEAD + b"\x80\x05})" + b"\x85" * 3_000_000 + b"K\x01s.", "more than 100 tuples in each other"),  # to hash it ends the process
        (HEAD + b"\x80\x05)" + b")\x86" * 3_000_000 + b"\x85.", "more than 100 tuples in each other"),
        (HEAD + pipeline_of(5), "holds a Pipeline, and should hold"),
        (HEAD + pipeline_of({}), "holds a Pipeline, and should hold"),
        (HEAD + pickle.dumps({"a": 1}, 5), "should hold a river Classifier"),
        (HEAD + pickle.dumps(linear_model.LinearRegression(), 5), "should hold a river Classifier"),
        (HEAD + pickle.dumps(model(), 5)[:-9], "is no stored river model"),
        (HEAD, "is no stored river model"),
        (HEAD.replace(b'["0", "1"]', b'"01"') + pickle.dumps(model(), 5), "its first line"),
        (MAGIC + b"[" * 60_000, "its first line"),
        (HEAD + b"\x00" * LIMITS[RIVER], "are allowed"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_in_one_line(data, why):
    with pytest.raises(RegistryError, match=why) as refused:
        read_model(data, "m")
    assert "\n" not in str(refused.value)
    assert callable(linear_model.LogisticRegression.predict_one)


def texts():
    return compose.SelectType(str) | preprocessing.OneHotEncoder()


def numbers():
    return compose.SelectType(float) | preprocessing.StandardScaler()


HONEST = {
    "logistic": lambda: (numbers() + texts()) | linear_model.LogisticRegression(optimizer=optim.Adam(0.01)),
    "tree": tree.HoeffdingTreeClassifier,
    "adaptive tree": lambda: tree.HoeffdingAdaptiveTreeClassifier(seed=1),
    "forest": lambda: forest.ARFClassifier(3, seed=1),
    "bayes": lambda: compose.SelectType(float) | naive_bayes.GaussianNB(),
    "neighbours": lambda: compose.SelectType(float) | neighbors.KNNClassifier(),
    "bagging": lambda: ensemble.BaggingClassifier(tree.HoeffdingTreeClassifier(), 3, seed=1),
    "boosting": lambda: ensemble.ADWINBoostingClassifier(tree.HoeffdingTreeClassifier(), 3, seed=1),
    "patches": lambda: ensemble.SRPClassifier(n_models=3, seed=1),
    "prior": dummy.PriorClassifier,
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_one_answers_as_before_and_is_stored_alike_each_time(name):
    river, names = HONEST[name](), ["a", "b", "c"]
    rng = random.Random(0)
    rows = [
        [rng.gauss(0, 1), float("nan") if rng.random() < 0.1 else rng.random(), rng.choice("xyz")] for _ in range(600)
    ]
    for row in rows:
        river.learn_one(named(names, row), row[0] > 0)
    data = stored(river, names, ["0", "1"])
    read = read_model(data, "m")
    found = read.predict_proba(np.array(rows[:40], object))[:, 1]
    expected = [river.predict_proba_one(named(names, row)).get(True, 0.0) for row in rows[:40]]
    np.testing.assert_array_equal(found, expected)
    again = [stored(read_model(data, "m").model, names, ["0", "1"]) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_it_is_served_row_by_row_and_takes_what_is_missing(task):
    settings = ModelSettings(
        name="m", task=task, numeric=["a", "b"], categorical=["c"], positive="yes" if task == "binary" else None
    )
    ends = linear_model.LinearRegression() if task == "regression" else linear_model.LogisticRegression()
    river = (numbers() + texts()) | ends
    for at in range(200):
        river.learn_one(
            {"a": float(at % 7), "b": at / 200, "c": "xyz"[at % 3]}, at % 7 > 3 if task == "binary" else at % 7.0
        )
    data = stored(river, ["a", "b", "c"], ["no", "yes"] if task == "binary" else [])
    signature = Signature.of(["a", "b"], ["c"], {"c": ["x", "y", "z"]})
    inputs = Inputs(np.array([[1.0, 0.5, 0.0], [np.nan, 0.5, np.nan]]), {"c": Texts(["x"], np.array([0, -1]))})
    found = examine(data, settings, Sample(signature, inputs), "m")
    expected = [{"a": 1.0, "b": 0.5, "c": "x"}, {"b": 0.5}]
    score = (lambda row: river.predict_proba_one(row)[True]) if task == "binary" else river.predict_one
    np.testing.assert_allclose(found.scores, [score(row) for row in expected], rtol=1e-12)
    assert (found.served.form, found.served.classes) == ("rows", ["no", "yes"] if task == "binary" else [])
    assert all(found.takes_missing)


@pytest.mark.parametrize("training", [{}, {"recipe": "a:b", "base": "x.csv"}, {"recipe": "a:b", "gap": "1h"}])
def test_what_cannot_be_learned_in_order_is_refused_in_model_toml(training):
    with pytest.raises(ValueError, match="name a recipe, and neither base nor gap"):
        TrainingSettings(online=True, **training)
