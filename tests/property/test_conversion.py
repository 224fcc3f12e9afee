"""One value becomes the same field, whichever way it comes in."""

import csv
import gzip
import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.cli.tables import read_rows, to_outcome, to_request
from leadline.learning.reference import numbers as reference_numbers
from leadline.learning.reference import read_reference, signature_of
from leadline.replay.logs import read_logs
from leadline.settings import ModelSettings
from leadline.wire.conversion import ConversionError, category, identifier, moment, number
from leadline.wire.json_form import read_json

MODEL = ModelSettings(name="m", numeric=["x"], categorical=["c"])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE = st.integers(-(2**53), 2**53)
# of each kind: a column as Parquet has it; all rows of a column are of one kind, as in a table
NUMBERS = [
    WHOLE,
    st.floats(allow_infinity=False),
    st.booleans(),
    WHOLE.map(str),
    st.sampled_from(["1.5", "-2e3", "true", "False"]),
]
CATEGORIES = [
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=4), st.integers(-1000, 1000), st.booleans(),
    st.integers(-1000, 1000).map(float), st.floats(-1e9, 1e9), st.sampled_from(["3.0", "True", "007", "1.10", "nan"]),
]  # fmt: skip
IDS = [
    st.integers(0, 2**53),
    st.integers(0, 2**53).map(float),
    st.text("abc-é", min_size=1),
    st.sampled_from([b"g1", b"g2"]),
]
NANOSECONDS = st.integers(-(2**61), 2**61)


@st.composite
def tables(draw):
    """Columns of requests: ids and times are always there, the others may be missing; NaN is missing too."""
    count = draw(st.integers(1, 4))

    def column(kinds, *, may_miss=True):
        kind = draw(st.sampled_from(kinds))
        return draw(st.lists(st.none() | kind if may_miss else kind, min_size=count, max_size=count))

    return {
        "request_id": column(IDS, may_miss=False),
        "user_id": column(IDS),
        "event_time": column([NANOSECONDS], may_miss=False),
        "x": column(NUMBERS),
        "c": column(CATEGORIES),
    }


def iso(nanoseconds):
    """ISO-8601 to nine digits."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{(EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}.{rest:09}Z"


def as_parquet(path, table):
    columns = {name: pa.array(values) for name, values in table.items()}
    columns["event_time"] = pa.array(table["event_time"], pa.timestamp("ns", "UTC"))
    pyarrow.parquet.write_table(pa.table(columns), path / "rows.parquet")
    return path / "rows.parquet"


def as_text(value):
    if value is None or value != value:
        return ""
    return value.decode() if isinstance(value, bytes) else str(value)


def as_csv(path, table):
    with gzip.open(path / "rows.csv.gz", "wt", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(table)
        texts = table | {"event_time": map(iso, table["event_time"])}
        rows.writerows(zip(*[map(as_text, values) for values in texts.values()], strict=True))
    return path / "rows.csv.gz"


def as_json(table):
    texts = table | {"event_time": map(iso, table["event_time"])}
    for values in zip(*texts.values(), strict=True):
        yield {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in zip(table, values, strict=True)
        }


def as_jsonl(path, table):
    (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in as_json(table)), "utf-8")
    return path / "rows.jsonl"


def on_the_topic(row):
    nested = {"features": {"x": row["x"]}, "categories": {"c": row["c"]}}
    return json.dumps({name: row[name] for name in ("request_id", "user_id", "event_time")} | nested | {"model": "m"})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("ways")


@settings(max_examples=150, deadline=None)
@given(table=tables())
def test_every_way_gives_the_same_request(path, table):
    wanted = [read_json("PredictionRequest", on_the_topic(row).encode()) for row in as_json(table)]
    files = as_parquet(path, table), as_csv(path, table), as_jsonl(path, table)
    for file in files:
        made = [to_request(row.values, MODEL) for row in read_rows(file)]
        assert [{name: getattr(each, name) for name in wanted[0]} for each in made] == wanted, file
    for file in files[:2]:
        reference = read_reference(file, text=["c"])
        known = signature_of(reference, MODEL).categories["c"]
        assert set(known) == {row["categories"]["c"] for row in wanted if row["categories"]}
        numbers = [row["features"].get("x", math.nan) for row in wanted]
        assert np.array_equal(reference_numbers(reference, "x"), numbers, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(NANOSECONDS, st.sampled_from([0, 1, 0.0, 1.0, True, False, "1", "0"])), min_size=1, max_size=4)
)
def test_every_way_gives_the_same_outcome(path, rows):
    given = [
        {"request_id": f"r{number}", "outcome": outcome, "outcome_time": iso(time)}
        for number, (time, outcome) in enumerate(rows)
    ]
    wanted = [read_json("Outcome", json.dumps(row).encode()) for row in given]
    with (path / "outcomes.csv").open("w", newline="", encoding="utf-8") as file:
        written = csv.DictWriter(file, [*given[0], "arrival_time"])
        written.writeheader()
        written.writerows(row | {"arrival_time": row["outcome_time"]} for row in given)
    made = [to_outcome(row.values) for row in read_rows(path / "outcomes.csv")]
    assert [{name: getattr(each, name) for name in wanted[0]} for each in made] == wanted
    (path / "predictions.csv").write_text(
        "request_id,event_time,model_version,score,label_pred,segment,arrival_time\nr0,0,v1,0.5,1,all,0\n", "utf-8"
    )
    _, log = read_logs(path / "predictions.csv", path / "outcomes.csv", "m", "binary", None)
    assert log.columns.to_pylist() == wanted


@pytest.mark.parametrize(
    ("convert", "value", "says"),
    [
        (number, "NA", "is 'NA', not a number"),
        (number, [1], "is a list, not a number"),
        (number, "1_0", "is '1_0', not a number"),
        (number, datetime(2026, 1, 1, tzinfo=UTC), "is 2026-01-01 .*, not a number"),
        (category, [1], "is a list"),
        (category, b"\xff", "bytes that are no UTF-8"),
        (identifier, 1.5, "neither a text nor a whole number"),
        (identifier, True, "neither a text nor a whole number"),
        (identifier, Decimal("0.5"), "neither a text nor a whole number"),
        (moment, True, "neither epoch milliseconds nor ISO-8601"),
        (moment, "2026-10-25 02:30:00", "has no zone"),
        (moment, "17958600000²", "neither epoch milliseconds nor ISO-8601"),
        (moment, None, "is missing"),
        (moment, math.inf, "neither epoch milliseconds nor ISO-8601"),
    ],
)
def test_what_a_field_does_not_take_is_told(convert, value, says):
    with pytest.raises(ConversionError, match=says):
        convert(value)
