"""Scores that rows have before they are learned are those of river's own progressive validation with delays."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv
from river import compose, evaluate, linear_model, metrics, naive_bayes, preprocessing

from leadline.learning.online import LABELED_AT
from leadline.learning.online.estimator import named
from leadline.learning.online.learn import prequential, scores_while_learning
from leadline.settings import ModelSettings
from replays import shared_data

ROWS = 5_000


class Row(dict):
    """Features, which know when they were asked for, and for how long the label was waited for."""


def linear():
    numbers = compose.SelectType(float) | preprocessing.StandardScaler()
    return (numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder())) | linear_model.LogisticRegression()


def bayes():
    return compose.SelectType(float) | naive_bayes.GaussianNB()


def stream(name, rows):
    """The rows of a real stream in the order of their labels, with the names of their features."""
    folder = shared_data(name)
    if folder is None:
        pytest.skip("the real streams are not beside the project")
    meta = json.loads((folder / "meta.json").read_text())
    names = [*meta["numeric"], *meta["categorical"]]
    with gzip.open(folder / "stream.csv.gz") as file:
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    table = table.filter(pc.is_valid(table["label"])).slice(0, rows)
    columns = {each: table[each].cast(pa.float64()) for each in meta["numeric"]}
    columns |= {each: table[each].cast(pa.string()) for each in meta["categorical"]}
    columns |= {"event_time": millis(table["event_time"]), LABELED_AT: millis(table["outcome_time"])}
    columns["outcome"] = table["label"].cast(pa.float64())
    found = pa.table(columns).append_column("row", pa.array(np.arange(len(table))))
    order = [(LABELED_AT, "ascending"), ("event_time", "ascending"), ("row", "ascending")]
    return found.sort_by(order), names


def millis(column):
    return column.cast(pa.timestamp("ms")).cast(pa.int64())


def asked(table, names):
    """As river takes a stream: by when it was asked."""
    for each in table.sort_by([("event_time", "ascending"), ("row", "ascending")]).to_pylist():
        row = Row(named(names, [each[name] for name in names]))
        row.at, row.wait = each["event_time"], each[LABELED_AT] - each["event_time"]
        yield row, each["outcome"] == 1


@pytest.mark.parametrize("model", [linear, bayes])
@pytest.mark.parametrize("name", ["elec2", "flights13"])
def test_they_equal_those_of_river(name, model):
    table, names = stream(name, ROWS)
    ours, theirs = compare(table, names, model)
    assert ours["prequential_accuracy"] == pytest.approx(theirs["Accuracy"], abs=1e-12)
    assert ours["prequential_logloss"] == pytest.approx(theirs["LogLoss"], rel=1e-9)


def compare(table, names, model):
    """The metrics of our scores, and river's."""
    settings = ModelSettings(name="m", numeric=names[:1], categorical=names[1:])
    truth = [each == 1 for each in table["outcome"].to_pylist()]
    scores = scores_while_learning(model(), table, names, truth, lambda _: None)
    found = {}
    for metric in (metrics.Accuracy(), metrics.LogLoss()):
        rows = asked(table, names)
        evaluate.progressive_val_score(rows, model(), metric, moment=lambda x: x.at, delay=lambda x, _: x.wait)
        found[type(metric).__name__] = metric.get()
    return prequential(settings, scores, truth), found
