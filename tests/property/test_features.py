"""A model sees in serving what it saw in training: the matrix of a reference file is that of requests made of its rows, exactly."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from leadline.core.scoring.features import Features
from leadline.core.scoring.request_forms import Few, Many
from leadline.learning.reference import matrix, read_reference, signature_of
from leadline.records import PredictionRequest
from leadline.settings import ModelSettings
from leadline.wire.codec import FEW_REQUESTS, decode, value_of
from leadline.wire.conversion import category
from leadline.wire.run import Run

NUMERIC, CATEGORICAL = ["int", "big", "float", "half", "flag", "gone", "price"], ["town", "kind"]
SETTINGS = ModelSettings(name="m", numeric=NUMERIC, categorical=CATEGORICAL)
SCHEMA = pa.schema(
    {
        "int": pa.int32(), "big": pa.int64(), "float": pa.float64(), "half": pa.float32(), "flag": pa.bool_(), "gone": pa.null(),
        "price": pa.decimal128(9, 2), "town": pa.string(), "kind": pa.dictionary(pa.int32(), pa.string()),
    }
)  # fmt: skip
VALUES = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(),
    "half": st.floats(width=32),
    "flag": st.booleans(),
    "gone": st.none(),
    "price": st.decimals(-1000, 1000, places=2),
    "town": st.sampled_from(["oslo", "rome", "bern", "münchen", "", "7", "0.5", "true"]),
    "kind": st.text(max_size=3),
}
ROWS = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})
TABLES = st.lists(ROWS, min_size=1, max_size=2 * FEW_REQUESTS).map(lambda rows: pa.Table.from_pylist(rows, SCHEMA))


def request(number, row):
    """As a client sends it: what it does not know it leaves out."""
    known = {name: value for name, value in row.items() if value is not None}
    numbers = {name: float(known[name]) for name in NUMERIC if name in known}
    return PredictionRequest(
        request_id=f"r{number}",
        model="m",
        event_time=number,
        features=numbers,
        user_id="",
        categories={n: text for n in CATEGORICAL if (text := category(row[n])) is not None},
    )


def requests(table):
    return [request(number, row) for number, row in enumerate(table.to_pylist())]


def served(records):
    """Both forms of the requests, by way of their bytes; a run of few is read as records, a longer one as columns."""
    keys, values = [each.request_id.encode() for each in records], [value_of(each) for each in records]
    count = len(records)
    run = Run("prediction-requests", 0, list(range(count)), [0] * count, keys, values, [()] * count)
    for start in range(0, count, FEW_REQUESTS):
        batch, letters = decode(run.part(start, start + FEW_REQUESTS), 1 << 20)
        assert not letters
        yield start, Few(batch.records)
    more = FEW_REQUESTS + 1
    padded = Run(
        "prediction-requests",
        0,
        list(range(count * more)),
        [0] * count * more,
        keys * more,
        values * more,
        [()] * count * more,
    )
    batch, letters = decode(padded, 1 << 20)
    assert not letters
    yield 0, Many(batch.columns.slice(0, count))


@settings(max_examples=60, deadline=None)
@given(training=TABLES, later=TABLES)
def test_training_and_serving_see_the_same_numbers(tmp_path_factory, training, later):
    """The categories are those of one table, the rows those of another: some categories were never seen."""
    path = tmp_path_factory.getbasetemp() / "reference.parquet"
    parquet.write_table(later, path)
    signature = signature_of(training, SETTINGS)
    expected = matrix(read_reference(path), signature)
    assert np.array_equal(expected, naive(later, signature), equal_nan=True)
    for start, part in served(requests(later)):
        found = part.inputs(Features(signature)).matrix
        assert np.array_equal(found, expected[start : start + len(found)], equal_nan=True)


def naive(table, signature):
    """By loops over rows."""
    rows = []
    for row in table.to_pylist():
        numbers = [np.nan if row[name] is None else float(row[name]) for name in signature.numeric]
        texts = [(category(row[name]), signature.categories[name]) for name in signature.categorical]
        rows.append([*numbers, *(np.nan if t is None else known.index(t) if t in known else -1 for t, known in texts)])
    return np.array(rows, np.float64)


@given(TABLES)
def test_a_model_trained_on_a_table_knows_all_its_categories(table):
    found = matrix(table, signature_of(table, SETTINGS))[:, len(NUMERIC) :]
    assert not (found == -1).any()
