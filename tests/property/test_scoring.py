"""The matrix of a run equals a loop over its requests, and so do the predictions; in columns, and in records."""

from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.core.models import Signature
from leadline.core.processor import Batch, Lookups
from leadline.core.scoring.features import Features
from leadline.core.scoring.request_forms import Few, Many, requests_of, to_inputs
from leadline.core.scoring.routing import Deployments
from leadline.core.scoring.scoring import Scoring
from leadline.records import PredictionRequest
from leadline.settings import Lookup, ModelSettings
from leadline.wire.codec import encode, read
from stages import Models, rolled_out, version

SETTINGS = ModelSettings(name="m", numeric=["a", "b", "ä"], categorical=["c", "d"], segments=["d", "city"])
SIGNATURE = Signature("s1", ["a", "b", "ä"], ["c", "d"], {"c": ["x", "y"], "d": [""]})
NAMES = st.sampled_from(["a", "b", "ä", "zz"])
TEXTS = st.sampled_from(["", "x", "y", "münchen"])
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
REQUESTS = st.lists(
    st.tuples(
        st.one_of(st.just([("a", 1.0), ("b", 2.0), ("ä", 3.0)]), st.lists(st.tuples(NAMES, NUMBERS), max_size=5)),
        st.lists(
            st.tuples(st.sampled_from(["c", "d", "city", "?"]), TEXTS), max_size=4, unique_by=lambda pair: pair[0]
        ),
    ),
    min_size=1,
    max_size=12,
)


class Total:
    """Scores a row by its first three numbers; NaN where one is missing."""

    def predict(self, matrix, texts=None):
        return 1 / (1 + np.exp(-matrix[:, :3].sum(axis=1)))


def batch(requests, models=None):
    count = len(requests)
    columns = pa.record_batch(
        {
            "request_id": [f"r{i}" for i in range(count)],
            "model": models or ["m"] * count,
            "user_id": ["u"] * count,
            "event_time": pa.array(range(count), pa.int64()),
            "features": pa.array([features for features, _ in requests], pa.map_(pa.string(), pa.float64())),
            "categories": pa.array([categories for _, categories in requests], pa.map_(pa.string(), pa.string())),
        }
    )
    keys = [b"r%d" % i for i in range(count)]
    return Batch("prediction-requests", 3, np.arange(count), np.arange(count) + 100, keys, count, count, columns)


def few(requests, models=None):
    """As `batch`, in the form of a small run."""
    records = [
        PredictionRequest(
            request_id=f"r{i}",
            model=model,
            event_time=i,
            features=dict(features),
            user_id="u",
            categories=dict(categories),
        )
        for i, ((features, categories), model) in enumerate(zip(requests, models or ["m"] * len(requests), strict=True))
    ]
    return replace(batch(requests, models), columns=None, records=records)


FORMS = pytest.mark.parametrize("form", [batch, few])


def rows_of(effects):
    """The predictions of all outputs, as dicts, by way of their bytes."""
    outputs = [output for output in effects.outputs if output.keys]
    pairs = [(key, value) for output in outputs for key, value in zip(output.keys, encode(output), strict=True)]
    return [asdict(read("predictions", value)) for _, value in pairs]


def naive_row(features, categories):
    given = dict(features)
    row = [given.get(name, np.nan) for name in SIGNATURE.numeric]
    for name in SIGNATURE.categorical:
        said, known = dict(categories).get(name), SIGNATURE.categories[name]
        row.append(np.nan if said is None else known.index(said) if said in known else -1)
    return row


def scoring(settings=SETTINGS, takes_missing=True):
    scored = replace(version(settings, signature=SIGNATURE), predictor=Total(), takes_missing=takes_missing)
    models = Models({"m": settings, "bare": settings.model_copy(update={"name": "bare"})}, {("m", "v1"): scored})
    return Scoring(models, Deployments(rolled_out(m="v1")))


@given(REQUESTS, st.integers(0, 5))
def test_the_matrix_equals_a_loop(requests, start):
    expected = np.array([naive_row(*each) for each in requests[start:]]).reshape(-1, 5)
    for part in (Many(batch(requests).columns.slice(start)), Few(few(requests).records[start:])):
        assert np.array_equal(to_inputs(part, Features(SIGNATURE)).matrix, expected, equal_nan=True)


@FORMS
def test_a_category_that_is_a_segment_is_short(form):
    """``city=`` and 995 bytes are a segment; a byte more, and the request is refused. Other categories may be longer."""
    numbers = [(name, 0.5) for name in SIGNATURE.numeric]
    cities = ["é" * 497, "a" + "é" * 497, "é" * 498, "x" * 60_000, "", "x"]
    requests = [(numbers, [("city", city), ("other", "y" * 60_000)]) for city in cities]
    effects = scoring().on_batch(form(requests))
    assert [(each.index, each.reason) for each in effects.rejects] == [(2, "too-long"), (3, "too-long")]
    assert "'city'" in effects.rejects[0].detail
    assert (effects.asked, effects.refused) == ({"m": 6}, {("m", "too-long"): 2})
    assert [row["request_id"] for row in rows_of(effects)] == ["r0", "r1", "r4", "r5"]


@FORMS
@given(requests=REQUESTS)
def test_each_request_is_a_prediction_or_a_reject(form, requests):
    effects = scoring().on_batch(form(requests))
    rows = rows_of(effects)
    rejected = {reject.index: reject.reason for reject in effects.rejects}
    assert sorted([*rejected, *(int(row["request_id"][1:]) for row in rows)]) == list(range(len(requests)))
    for i, (features, categories) in enumerate(requests):
        row = naive_row(features, categories)
        with np.errstate(all="ignore"):
            score = Total().predict(np.array([row]))[0]
        assert (i in rejected) == (not np.isfinite(score))
        assert rejected.get(i) in (None, "features-missing" if np.isnan(row).all() else "score-not-finite")
    for row in rows:
        i = int(row["request_id"][1:])
        said = dict(requests[i][1])
        assert row["segments"] == [f"d={said.get('d', '')}", f"city={said.get('city', '')}"]
        assert np.array_equal(row["features"], naive_row(*requests[i]), equal_nan=True)
        assert row["categories"] == [said.get(name, "") for name in SIGNATURE.categorical]
        assert (row["scored_at"], row["event_time"]) == (100 + i, i)
        assert row["predicted_label"] == (row["score"] >= 0.5)


@FORMS
@given(requests=REQUESTS)
def test_missing_features_are_refused_where_the_model_says_so(form, requests):
    strict = SETTINGS.model_copy(update={"missing": "refuse"})
    effects = scoring(strict).on_batch(form(requests))
    incomplete = {i for i, each in enumerate(requests) if np.isnan(naive_row(*each)).any()}
    refused = {r.index for r in effects.rejects if r.reason in ("feature-missing", "features-missing")}
    assert refused == incomplete


@FORMS
def test_a_request_without_features_says_which_there_are_and_which_it_has(form):
    """What is looked up need not be there; a category that was never seen is there."""
    requests = [([], []), ([("A", 1.0), ("zz", 2.0)], [("C", "x")]), ([], [("c", "never")]), ([("a", np.nan)], [])]
    effects = scoring().on_batch(form(requests))
    wanted = "no feature of the model is there: a, b, ä, c, d; "
    assert [
        (each.index, each.reason, each.detail) for each in effects.rejects if each.reason == "features-missing"
    ] == [
        (0, "features-missing", wanted + "it has none"),
        (1, "features-missing", wanted + "it has A, zz, C"),
        (3, "features-missing", wanted + "it has a"),
    ]
    looked_up = SETTINGS.model_copy(update={"lookups": {"v": Lookup(key="city", features=[*SIGNATURE.names])}})
    assert not [
        each for each in scoring(looked_up).on_batch(form(requests)).rejects if each.reason == "features-missing"
    ]


@FORMS
def test_a_model_that_takes_nothing_missing_refuses_such_requests_and_names_the_feature(form):
    requests = [
        ([("a", 1.0), ("b", 1.0), ("ä", 1.0)], [("c", "x"), ("d", "")]),
        ([("a", 1.0)], [("c", "x"), ("d", "")]),
    ]
    effects = scoring(takes_missing=False).on_batch(form(requests))
    assert [(each.index, each.reason, each.detail) for each in effects.rejects] == [
        (1, "feature-missing", "missing: b, ä")
    ]


@FORMS
@given(requests=REQUESTS)
def test_names_that_the_model_does_not_have_are_counted(form, requests):
    """Segments and keys of what is looked up are no features, and known."""
    known = {*SIGNATURE.names, "city"}
    seen = [name for features, categories in requests for name in {*dict(features), *dict(categories)}]
    found = scoring().on_batch(form(requests)).unknown
    twice = Counter(name for features, _ in requests for name, _ in features)
    assert set(found) == {("m", name) for name in seen if name not in known}
    if max(twice.values(), default=0) < 2:
        assert found == Counter(("m", name) for name in seen if name not in known)


@FORMS
@given(requests=REQUESTS, data=st.data())
def test_what_the_request_says_comes_before_what_is_looked_up(form, requests, data):
    found = data.draw(st.lists(NUMBERS, min_size=len(requests), max_size=len(requests)))
    lookups = Lookups({"b": np.array(found)}, np.zeros(len(requests), np.int64))
    matrix = to_inputs(requests_of(form(requests)), Features(SIGNATURE), lookups).matrix
    for row, (features, _), looked_up in zip(matrix, requests, found, strict=True):
        own = dict(features).get("b", np.nan)
        assert np.array_equal(row[1], looked_up if np.isnan(own) else own, equal_nan=True)


@given(requests=REQUESTS)
def test_both_forms_answer_the_same(requests):
    found = Lookups({"b": np.arange(len(requests)) * 0.5}, np.full(len(requests), 40.0))
    for lookups in (None, found):
        one, other = (scoring().on_batch(replace(form(requests), lookups=lookups)) for form in (batch, few))
        assert repr(rows_of(one)) == repr(rows_of(other))
        assert one.rejects == other.rejects
        assert [output.keys for output in one.outputs] == [output.keys for output in other.outputs]


@FORMS
def test_models_of_one_run_are_told_apart(form):
    requests = [([("a", 1.0), ("b", 1.0), ("ä", 1.0)], [])] * 4
    effects = scoring().on_batch(form(requests, ["m", "other", "bare", "m"]))
    assert {reject.index: reject.reason for reject in effects.rejects} == {1: "unknown-model", 2: "no-champion"}
    [output] = effects.outputs
    assert (output.keys, output.partition) == ([b"r0", b"r3"], 3)
