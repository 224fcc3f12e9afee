"""The serving contract for models of other libraries: what they answer here is what their own library answers, or nothing."""

import json
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from families import FAMILIES, MIXED, NUMBERS, Case, graph, rows, saved, truth
from hostile_models import members
from leadline.core.texts import Texts
from leadline.learning import confined
from leadline.learning.add import add_file
from leadline.learning.cached import CachedModels
from leadline.learning.errors import RegistryError
from leadline.learning.examine import examine
from leadline.learning.limits import GOLDEN, LIMITS, MANIFEST, MODELS
from leadline.learning.look import look
from leadline.learning.model_files import ModelFiles
from leadline.learning.models import read_model
from leadline.learning.native.kinds import KINDS, parity_of
from leadline.learning.native.ubjson import decode, encode
from leadline.learning.reference import inputs
from leadline.settings import ModelSettings

MUTATIONS = 120
"""Of each file."""


@cache
def case(name: str) -> Case:
    return FAMILIES[name]()


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """Gives the models' folder in which a case was added; each is added once."""

    @cache
    def folder(name):
        root = tmp_path_factory.mktemp("added")
        case(name).add(root)
        return root / "models"

    return folder


@pytest.fixture
def copied(added, tmp_path):
    """The same, to be changed."""
    return lambda name: Path(shutil.copytree(added(name), tmp_path / "models"))


@pytest.fixture(
    params=[name for name in FAMILIES if name.split()[1] in ("ubj", "json", "wrapper", "text", "matrix", "columns")]
)
def hostile(request):
    return request.param


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FAMILIES)
def test_it_answers_as_its_own_library_does(added, name):
    """10,000 rows, with missing values and categories; the addition itself compares, the load does it again."""
    given = case(name)
    version = ModelFiles(added(name)).load("m", "v1")
    rows = inputs(given.table(), version.signature)
    scores = version.predictor.predict(*rows)
    within = parity_of(given.data)
    np.testing.assert_allclose(scores, given.own, rtol=within, atol=within)
    if version.settings.task == "binary":
        np.testing.assert_array_equal(
            version.own_labels(*rows, scores)[(far := np.abs(given.own - 0.5) > within)], given.own[far] > 0.5
        )
    if version.signature.categorical and given.unseen != "own":
        _check_unseen(version, rows, given)


def _check_unseen(version, rows, given):
    """A category that was never seen gets what the library gives, the score without it, or none where the library refuses it."""
    some = rows.take(np.arange(50))
    unseen = some.texts | {"c": Texts(["never seen"], np.zeros(50, np.int64))}
    at = version.signature.names.index("c")
    matrix = some.matrix.copy()
    matrix[:, at] = -1
    found = version.predictor.predict(matrix, unseen)
    if given.unseen == "refused":
        assert np.isnan(found).all()
        return
    matrix[:, at] = np.nan
    missing = version.predictor.predict(matrix, some.texts | {"c": Texts.none(50)})
    np.testing.assert_array_equal(found, missing)


def test_another_answer_for_the_golden_sample_is_refused(copied, hostile):
    root = copied(hostile)
    folder = root / "m" / "v1"
    golden = json.loads((folder / GOLDEN).read_bytes())
    golden["scores"][3] += 1e-3
    _reseal(folder, GOLDEN, json.dumps(golden).encode())
    with pytest.raises(RegistryError, match="for row 4 of its golden sample"):
        ModelFiles(root).load("m", "v1")


@pytest.mark.parametrize("name", ["xgboost ubj", "lightgbm wrapper", "onnx columns"])
def test_a_worker_tries_it_in_a_process_of_its_own_before_it_loads_it(added, monkeypatch, name):
    models = CachedModels(added(name))
    assert models.loaded("m", "v1", 0) is not None
    monkeypatch.setattr(confined, "__spec__", type("Spec", (), {"name": "ends_itself"}))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "data"))
    models = CachedModels(added(name))
    assert models.loaded("m", "v1", 0) is None
    assert "ended the process that read it (SIGSEGV)" in models.why_unusable("m", "v1")


def test_a_changed_file_is_refused_or_answers_alike(copied, hostile):
    """In this process: one that ends it ends the test. The manifest says the digest of the changed file, as an attacker's would."""
    root, given = copied(hostile), case(hostile)
    folder = root / "m" / "v1"
    name = next(each for each in MODELS if (folder / each).exists())
    files = ModelFiles(root)
    rows = inputs(given.table().slice(0, 500), files.describe("m", "v1").signature)
    refused = 0
    for seed in range(MUTATIONS):
        _reseal(folder, name, mutated(given.data, seed))
        try:
            version = files.load("m", "v1")
        except RegistryError:
            refused += 1
            continue
        assert len(version.predictor.predict(*rows)) == 500
    assert refused
    (folder / name).write_bytes(mutated(given.data, 0))
    with pytest.raises(RegistryError, match="sha256 differs"):
        files.load("m", "v1")


def mutated(data: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    new = bytearray(data)
    how = seed % 4
    at, end = sorted(rng.randrange(len(new)) for _ in range(2))
    if how == 0:
        for _ in range(rng.choice([1, 4, 40])):
            new[rng.randrange(len(new))] = rng.choice([0, 1, 45, 57, 127, 128, 255])
    elif how == 1:
        del new[at : min(end, at + 200)]
    elif how == 2:
        new[at:at] = data[end : end + 100]
    else:
        del new[at:]
    return bytes(new)


def _reseal(folder, name, data):
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"][name] = sha256(data).hexdigest()
    (folder / MANIFEST).write_bytes(json.dumps(manifest).encode())


def _xgboost(change):
    model = decode(case("xgboost ubj").data)
    change(model["learner"])
    return encode(_plain(model))


def _plain(value):
    """Lists of numbers as XGBoost writes them are arrays; what it wrote as lists stays so."""
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _in_tree(**changed):
    def change(learner):
        tree = learner["gradient_booster"]["model"]["trees"][0]
        for name, (at, value) in changed.items():
            tree[name] = np.array(tree[name])
            tree[name][at] = value

    return _xgboost(change)


def _lightgbm(pattern, new):
    return re.sub(pattern, new, case("lightgbm text").data.decode(), count=1).encode()


def _onnx(change, name="onnx matrix"):
    import onnx

    model = onnx.load_model_from_string(case(name).data)
    change(model)
    return model.SerializeToString()


def _of_trees(name, at, value):
    def change(model):
        trees = next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))
        next(each for each in trees.attribute if each.name == name).ints[at] = value

    return _onnx(change)


def _shorter(model):
    weights = next(node for node in model.graph.node if node.op_type == "LinearClassifier").attribute
    del next(each for each in weights if each.name == "coefficients").floats[-2:]


def _elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/passwd")


CRAFTED = {
    "onnx leads round": (lambda: _of_trees("nodes_truenodeids", 1, 0), "leads nowhere|two parents"),
    "onnx leads out": (lambda: _of_trees("nodes_falsenodeids", 0, 1 << 40), "a node that leads nowhere"),
    "onnx another feature": (
        lambda: _of_trees("nodes_featureids", 0, 7),
        "a TreeEnsembleClassifier of 8 columns, and it gets 2",
    ),
    "onnx another class": (lambda: _of_trees("class_ids", 0, 9), "classes that are not there"),
    "onnx answers of no leaf": (lambda: _of_trees("class_nodeids", 0, 0), "an answer that is of no leaf"),
    "onnx fewer weights": (lambda: _onnx(_shorter, "onnx columns"), "a LinearClassifier of 7 columns, and it gets 8"),
    "onnx loop": (
        lambda: _onnx(lambda model: model.graph.node.add(op_type="Loop")),
        "the operator Loop, which is not served",
    ),
    "onnx other domain": (
        lambda: _onnx(lambda model: model.graph.node.add(op_type="Add", domain="mine")),
        "the operator mine.Add, which is not served",
    ),
    "onnx file": (lambda: _onnx(_elsewhere, "onnx columns"), "keeps numbers in another file"),
    "onnx claims": (
        lambda: _onnx(lambda model: model.graph.initializer[0].dims.append(1 << 40), "onnx columns"),
        "as many numbers as its shape",
    ),
    "onnx functions": (lambda: _onnx(lambda model: model.functions.add(name="f")), "has functions"),
    "onnx cut": (lambda: case("onnx matrix").data[:-100], "ends too early"),
    "xgboost leads round": (lambda: _in_tree(left_children=(1, 0)), "a node that leads nowhere"),
    "xgboost leads out": (lambda: _in_tree(right_children=(0, 1 << 30)), "a node that leads nowhere"),
    "xgboost two parents": (lambda: _in_tree(left_children=(0, 2)), "a node of two parents"),
    "xgboost another feature": (lambda: _in_tree(split_indices=(0, 1 << 20)), "a feature that is not there"),
    "xgboost many features": (
        lambda: _xgboost(lambda learner: learner["learner_model_param"].update(num_feature=str(1 << 31))),
        "up to 10,000 are served",
    ),
    "xgboost classes": (
        lambda: _xgboost(lambda learner: learner["objective"].update(name="multi:softprob")),
        "exactly two classes",
    ),
    "xgboost ranking": (
        lambda: _xgboost(lambda learner: learner["objective"].update(name="rank:ndcg")),
        "is not served",
    ),
    "xgboost claims": (lambda: b"{L" + b"\x7f" * 8 + b"x", "ends too early"),
    "xgboost deep": (lambda: b"{L" + bytes(7) + b"\1a" + b"[" * 100_000, "nested too deeply"),
    "lightgbm leads round": (lambda: _lightgbm(r"left_child=\S+ \S+", "left_child=1 0"), "leads nowhere|two parents"),
    "lightgbm leads out": (lambda: _lightgbm(r"right_child=\S+", "right_child=-999999"), "a node that leads nowhere"),
    "lightgbm another feature": (
        lambda: _lightgbm(r"split_feature=\d+", "split_feature=99999"),
        "a feature that is not there",
    ),
    "lightgbm categories": (
        lambda: _lightgbm(r"cat_boundaries=0 \d+", "cat_boundaries=0 999"),
        "categories that are none",
    ),
    "lightgbm no categories": (lambda: _lightgbm(r"num_cat=\d+", "num_cat=0"), "categories that are not there"),
    "lightgbm classes": (lambda: _lightgbm(r"num_class=1", "num_class=3"), "exactly two classes"),
    "lightgbm ranking": (lambda: _lightgbm(r"objective=\S+", "objective=lambdarank"), "is not served"),
    "lightgbm own objective": (lambda: _lightgbm(r"objective=.*\n", ""), "the objective none"),
    "lightgbm many features": (lambda: _lightgbm(r"max_feature_idx=3", "max_feature_idx=2147483646"), "up to 10,000"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_in_one_line(name):
    make, why = CRAFTED[name]
    with pytest.raises(RegistryError, match=f"^it .*({why})") as refused:
        read_model(make(), "it")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["xgboost wrapper", "lightgbm stopped"])
def test_a_crafted_booster_in_a_wrapper_is_refused_too(name):
    """The bytes inside of a skops file have no other way to the library than the check."""
    data = members(case(name).data, lambda name, held: _worse(name, held))
    with pytest.raises(RegistryError, match=r"a node that leads nowhere|a feature that is not there"):
        read_model(data, "it")


def _worse(name, held):
    if name.endswith(".bin"):
        state = decode(held)
        tree = state["Model"]["learner"]["gradient_booster"]["model"]["trees"][0]
        tree["left_children"] = np.array([1 << 20, *tree["left_children"][1:]], np.int32)
        return encode({"Model": _plain(state["Model"])})
    return re.sub(rb"split_feature=\d+", b"split_feature=99999", held, count=1) if name == "schema.json" else held


@pytest.mark.parametrize("name", ["xgboost wrapper", "lightgbm stopped"])
def test_a_wrapper_without_what_belongs_to_it_is_refused(name):
    def without(member, held):
        found = json.loads(held) if member == "schema.json" else None
        if found is None:
            return held
        for each in ("missing", "_Booster", "_classes", "n_classes_"):
            found["content"]["content"].pop(each, None)
        return json.dumps(found).encode()

    given = case(name)
    with pytest.raises(RegistryError):
        examine(members(given.data, without), given.settings, _sample(given), "it")


def test_categories_beyond_ascii_of_xgboost_have_to_be_said(tmp_path):
    """It cuts their names in its file."""
    from xgboost import XGBClassifier

    frame = rows(2000, fourth="ä")
    y = truth(frame)
    model = XGBClassifier(n_jobs=1, n_estimators=5, enable_categorical=True).fit(frame, y)
    given = Case(saved(model, "ubj"), MIXED, frame, model.predict_proba(frame)[:, 1], y)
    with pytest.raises(
        RegistryError,
        match=r"nothing says which category has which number: declare it in model.toml below \[categories\], c",
    ):
        given.add(tmp_path)
    said = MIXED.model_copy(update={"categories": {"c": ["x", "y", "z", "ä"]}})
    replace(given, settings=said).add(tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path, hostile, monkeypatch):
    for name in MODELS:
        monkeypatch.setitem(LIMITS, name, 1000)
    given, file = case(hostile), tmp_path / "given"
    file.write_bytes(given.data)
    with pytest.raises(RegistryError, match="cannot be read"):
        add_file(tmp_path / "models", given.settings, "v1", file, given.table(), "y")


def _raw(kind):
    """Networks that say no probabilities, or ask about other rows."""
    from onnx import helper

    node = helper.make_node
    product = node("MatMul", ["X", "W"], ["z"])
    pair, one = ("W", [[-1.0, 1.0], [2.0, -2.0]]), ("W", [[1.0], [-2.0]])
    if kind == "logit":
        return graph([product], "z", 1, one)
    if kind == "mean":
        ends = [node("ReduceMax", ["z"], ["top"], keepdims=0), node("Sub", ["z", "top"], ["q"])]
        return graph([product, *ends, node("Sigmoid", ["q"], ["p"])], "p", 1, one)
    softmax = node("Softmax", ["z"], ["p"], axis=0)
    return graph([product, softmax], "p", 2, pair)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("logit", 'predicts a number: say task = "regression" in model.toml, or let it end in a Sigmoid'),
        ("mean", "alone, and .* among the others: an answer may depend on its own request only"),
        ("rows", "has no probabilities"),
    ],
)
def test_a_network_that_says_no_probabilities_of_one_request_is_refused(tmp_path, kind, why):
    given = replace(case("onnx sigmoid"), data=_raw(kind), parity=False)
    with pytest.raises(RegistryError, match=why):
        given.add(tmp_path)


def test_raw_scores_of_a_converter_are_no_probabilities(tmp_path):
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression

    given = case("onnx matrix")
    model = LogisticRegression().fit(given.frame, given.truth)
    options = {id(model): {"raw_scores": True}}
    data = convert_sklearn(
        model, initial_types=[("X", FloatTensorType([None, 2]))], options=options
    ).SerializeToString()
    with pytest.raises(RegistryError, match="convert it without raw scores"):
        replace(given, data=data, parity=False).add(tmp_path)


def test_trees_that_were_made_without_missing_values_get_none(added):
    """ONNX Runtime sends them somewhere, and scikit-learn's forest elsewhere: both would be an answer without a word."""
    version = ModelFiles(added("onnx matrix")).load("m", "v1")
    rows = inputs(case("onnx matrix").table().slice(0, 4), version.signature)
    rows.matrix[1, 0] = np.nan
    assert np.isnan(version.predictor.predict(*rows)).tolist() == [False, True, False, False]
    assert not version.takes_missing.any() if hasattr(version.takes_missing, "any") else not version.takes_missing


def test_a_booster_that_stopped_early_says_with_how_many_rounds_it_answers(tmp_path):
    """Its own predict takes all of them, its wrapper for scikit-learn the best ones: nobody can know which was meant."""
    import xgboost

    frame, y = rows(2000)[["a", "b"]], truth(rows(2000))
    data, later = (xgboost.DMatrix(frame[at], y[at]) for at in (slice(0, 300), slice(300, None)))
    params = {"objective": "binary:logistic", "nthread": 1, "eta": 1.0}
    booster = xgboost.train(params, data, 30, evals=[(later, "e")], early_stopping_rounds=3, verbose_eval=False)
    best = booster.best_iteration + 1
    assert best < booster.num_boosted_rounds()
    given = Case(saved(booster, "ubj"), NUMBERS, frame, booster.predict(xgboost.DMatrix(frame)), y)
    with pytest.raises(RegistryError, match=rf"its best {best} rounds or with all .*: save booster\[:{best}\], or"):
        given.add(tmp_path)
    sliced = booster[:best]
    own = sliced.predict(xgboost.DMatrix(frame))
    for each in ("best", "all"):
        (tmp_path / each).mkdir()
    replace(given, data=saved(sliced, "ubj"), own=own).add(tmp_path / "best")
    booster.set_attr(best_iteration=None)
    replace(given, data=saved(booster, "ubj")).add(tmp_path / "all")


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_numbers_of_categories_that_the_settings_do_not_reach_are_refused(tmp_path, kind):
    """The model was trained on ids, and model.toml would number them anew."""
    frame = rows(2000)[["a", "k"]].astype(float)
    y = truth(rows(2000))
    if kind == "xgboost":
        from xgboost import XGBClassifier

        model = XGBClassifier(
            n_jobs=1, n_estimators=5, enable_categorical=True, feature_types=["q", "c"], max_cat_to_onehot=1
        )
        data = saved(model.fit(frame.to_numpy(), y), "ubj")
    else:
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(n_jobs=1, n_estimators=5, verbose=-1)
        data = saved(model.fit(frame.to_numpy(), y, categorical_feature=[1]).booster_, "txt")
    settings = ModelSettings(name="m", numeric=["a"], categorical=["k"], categories={"k": ["3", "5", "90"]})
    given = Case(data, settings, frame, model.predict_proba(frame.to_numpy())[:, 1], y, parity=False)
    with pytest.raises(RegistryError, match=r"was trained on the number 90 of 'k', and \[categories\] .* names 3"):
        given.add(tmp_path)
    numbers = ModelSettings(name="m", numeric=["a", "k"])
    replace(given, settings=numbers, parity=True).add(tmp_path)


@pytest.mark.parametrize(
    ("name", "columns", "categories", "classes"),
    [
        ("xgboost ubj", ["b", "c", "a", "k"], ["c", "k"], ["0", "1"]),
        ("lightgbm wrapper", ["b", "c", "a", "k"], ["c", "k"], ["no", "yes"]),
        ("onnx columns", ["b", "c", "a", "k"], [], ["0", "1"]),
        ("onnx sigmoid", None, [], ["0", "1"]),
        ("xgboost searched", ["b", "c", "a", "k"], ["c", "k"], ["0", "1"]),
        ("xgboost regression", None, [], []),
    ],
)
def test_what_it_knows_of_itself_is_seen_before_anybody_says_it(name, columns, categories, classes):
    found = look(case(name).data, ModelSettings(name="new"), ["x", "y"], "it")
    assert (found.columns, found.categories, found.classes) == (columns, categories, classes)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_without_its_library_it_says_what_to_install(kind, monkeypatch):
    data = case(next(name for name in FAMILIES if name.startswith(kind.name.lower()))).data
    for module in [
        each for each in sys.modules if each.partition(".")[0] == kind.package or each.endswith(kind.module)
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, kind.package, None)
    with pytest.raises(
        RegistryError,
        match=rf"it is a model of {kind.name}, which is not installed: pip install 'leadline\[{kind.extra}\]'",
    ):
        read_model(data, "it")


def test_nothing_of_them_is_imported_before_such_a_model_is_loaded():
    code = "import sys, leadline.cli, leadline.learning.cached, leadline.learning.add, leadline.learning.models; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not {kind.package for kind in KINDS} & set(loaded)


def _sample(given):
    from leadline.learning.deciding import Sample
    from leadline.learning.reference import signature_of

    signature = signature_of(given.table(), given.settings)
    return Sample(signature, inputs(given.table().slice(0, 5), signature))
