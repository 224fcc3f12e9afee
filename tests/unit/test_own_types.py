"""A user's own types and his own joblib files: served where he says so, refused in one line where he does not."""

import os
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from commands import run
from leadline.core.scoring.features import Inputs
from leadline.learning.model_files import ModelFiles

MODULE = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Clipped(TransformerMixin, BaseEstimator):
    def __init__(self, most=1.0):
        self.most = most

    def fit(self, rows, truth=None):
        self.least_ = np.asarray(rows).min(axis=0)
        return self

    def transform(self, rows):
        return np.minimum(np.asarray(rows), self.most) - self.least_
"""
SETTINGS = 'name = "m"\nnumeric = ["x", "z"]\n'
TRUSTED = 'trusted = ["shop_types.Clipped"]\n'
RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(400, 2))
TRUTH = (ROWS[:, 0] > 0.3).astype(int)


class Calls:
    """What a pickle may hold: to load it is to call somebody."""

    def __reduce__(self):
        return os.system, ("touch called",)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a module of the user's own, a reference and no settings."""
    (tmp_path / "shop_types.py").write_text(MODULE)
    frame = pd.DataFrame(ROWS, columns=["x", "z"]).assign(label=TRUTH)
    frame.to_csv(tmp_path / "reference.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("shop_types", None)


def own_model():
    from shop_types import Clipped

    return make_pipeline(Clipped(), LogisticRegression()).fit(ROWS, TRUTH)


def add(capsys, file, settings, *more):
    Path("m.toml").write_text(settings, "utf-8")
    code = run(
        ["model", "add", file, "--settings", "m.toml", "--reference", "reference.csv", "--outcome", "label", *more]
    )
    out, err = capsys.readouterr()
    return code, out + err


def test_a_type_of_the_users_own_is_served_where_he_trusts_it(place, capsys):
    model = own_model()
    skops.io.dump(model, "m.skops")
    code, said = add(capsys, "m.skops", SETTINGS)
    assert (code, said.count("\n")) == (1, 1)
    assert "shop_types.Clipped" in said
    assert "trusted = [...]" in said
    assert add(capsys, "m.skops", SETTINGS + TRUSTED)[0] == 0
    version = ModelFiles(place / "models").load("m", "v1")
    assert np.abs(version.predictor.predict(*Inputs(ROWS, {})) - model.predict_proba(ROWS)[:, 1]).max() < 1e-9


def test_a_trusted_type_that_is_not_here_is_named(place, capsys):
    skops.io.dump(own_model(), "m.skops")
    (place / "shop_types.py").unlink()
    code, said = add(capsys, "m.skops", SETTINGS + TRUSTED)
    assert (code, said.count("\n")) == (1, 1)
    assert "shop_types" in said


def test_a_joblib_file_is_converted_and_goes_the_usual_way(place, capsys):
    model = LogisticRegression().fit(ROWS, TRUTH)
    joblib.dump(model, "m.joblib", compress=3)
    code, said = add(capsys, "m.joblib", SETTINGS, "--from", "joblib")
    assert code == 0
    assert "runs the code in it" in said
    version = ModelFiles(place / "models").load("m", "v1")
    assert np.abs(version.predictor.predict(*Inputs(ROWS, {})) - model.predict_proba(ROWS)[:, 1]).max() < 1e-9
    joblib.dump(own_model(), "own.joblib")
    code, said = add(capsys, "own.joblib", SETTINGS, "--from", "joblib", "--version", "v2")
    assert code == 1
    assert "No module named 'shop_types'" in said
    assert "trusted = [...]" in said
    assert add(capsys, "own.joblib", SETTINGS.replace('"m"', '"own"') + TRUSTED, "--from", "joblib")[0] == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (Calls(), "tried what a model may not: os.system"),
        ([1, 2], "a list has no predict_proba"),
        (None, "save it again"),
    ],
)
def test_what_is_no_model_of_the_users_own_is_refused(place, capsys, content, says):
    if content is None:
        Path("m.joblib").write_bytes(b"no pickle")
    else:
        joblib.dump(content, "m.joblib")
    code, said = add(capsys, "m.joblib", SETTINGS, "--from", "joblib")
    assert code == 1
    assert says in said
    assert not Path("called").exists()
    assert not (place / "models" / "m").exists()
