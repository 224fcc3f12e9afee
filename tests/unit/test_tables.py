"""Rows of a file as requests and outcomes."""

import gzip

import pyarrow as pa
import pytest
from pyarrow import parquet

from leadline.cli.tables import RowError, check_columns, read_rows, to_outcome, to_request
from leadline.records import Outcome
from leadline.replay.errors import LogError
from leadline.replay.logs import read_logs
from leadline.settings import ModelSettings, SettingsError

MODEL = ModelSettings(
    name="m", numeric=["x", "temp"], categorical=["c"], segments=["city"],
    lookups={"weather": {"key": "airport", "features": ["temp"]}},
)  # fmt: skip


def test_every_category_that_the_settings_name_goes_along():
    row = {
        "request_id": "r1",
        "event_time": "2026-01-01T00:00:00Z",
        "x": "1.5",
        "c": "",
        "city": "ö",
        "airport": "JFK",
        "other": "?",
    }
    request = to_request(row, MODEL)
    assert request.features == {"x": 1.5}
    assert request.categories == {"city": "ö", "airport": "JFK"}
    assert request.event_time == 1_767_225_600_000


def test_an_empty_outcome_takes_back():
    assert to_outcome({"request_id": "r", "outcome": "", "outcome_time": "1969-12-31T23:59:59Z"}).outcome is None


@pytest.mark.parametrize("name", ["event_time", "request_id"])
def test_what_is_missing_is_named(name):
    row = {"request_id": "r1", "event_time": "2026-01-01T00:00:00Z", name: ""}
    with pytest.raises(RowError, match=name):
        to_request(row, MODEL)


def test_lines_within_values_parts_of_gzip_and_marks_are_read(tmp_path):
    rows = "".join(f'r{i},1,"one\ntwo, {"x" * 60}"\n' for i in range(30_000))  # over more than a block of 1 MiB
    (tmp_path / "lines.csv").write_text("request_id,x,note\n" + rows, "utf-8")
    assert [row.values["request_id"] for row in read_rows(tmp_path / "lines.csv")] == [f"r{i}" for i in range(30_000)]
    parts = [gzip.compress(part) for part in (b"request_id,x\nr1,1\n", b"r2,2\n")]
    (tmp_path / "parts.csv.gz").write_bytes(b"".join(parts))
    assert [row.values["request_id"] for row in read_rows(tmp_path / "parts.csv.gz")] == ["r1", "r2"]
    for name, text in (("mark.jsonl", '{"request_id": "r1"}\n'), ("mark.csv", "request_id,x\nr1,1\n")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert [row.values["request_id"] for row in read_rows(tmp_path / name)] == ["r1"]


def test_ids_of_every_kind_of_parquet_are_texts(tmp_path):
    columns = {"outcome": [1], "outcome_time": pa.array([1_795_863_600_123_456_789], pa.timestamp("ns", "UTC"))}
    for ids in (pa.array([101]), pa.array([101.0]), pa.array([b"101"]), pa.array(["101"]).dictionary_encode()):
        parquet.write_table(pa.table({"request_id": ids, **columns}), tmp_path / "ids.parquet")
        [row] = read_rows(tmp_path / "ids.parquet")
        assert to_outcome(row.values) == Outcome("101", 1.0, 1_795_863_600_123)


def test_what_is_looked_up_need_not_be_in_the_file(tmp_path):
    (tmp_path / "rows.csv").write_text("request_id,event_time,x,c,city\n", "utf-8")
    with pytest.raises(SettingsError, match="no column airport; it has request_id, event_time, x, c, city"):
        check_columns(tmp_path / "rows.csv", MODEL)
    (tmp_path / "rows.csv").write_text("request_id,event_time,x,c,city,airport\n", "utf-8")
    check_columns(tmp_path / "rows.csv", MODEL)


LOG = "request_id,event_time,model_version,score,label_pred,segment,arrival_time,outcome,outcome_time\n"


def logs_of(tmp_path, rows, positive=None):
    """The labels and the outcomes of a log in which each row is a prediction and its outcome."""
    lines = [f"r{i},2026-03-01T10:00:00Z,v1,.9,{one},all,0,{other},0\n" for i, (one, other) in enumerate(rows)]
    (tmp_path / "log.csv").write_text(LOG + "".join(lines), "utf-8")
    one, other = read_logs(tmp_path / "log.csv", tmp_path / "log.csv", "m", "binary", positive)
    return one.columns["predicted_label"].to_pylist(), other.columns["outcome"].to_pylist()


@pytest.mark.parametrize(
    ("rows", "positive"),
    [
        ([(1, 1), (2, 2)], "2"),
        ([(-1, -1), (1, 1)], "1"),
        ([("0.0", 0), ("1.0", 1)], None),
        ([("False", "0"), (1, "True")], None),
        ([("no", "no"), ("yes", "yes")], "yes"),
        ([(0, "no"), (1, "yes")], "yes"),
    ],
)
def test_labels_of_two_classes_are_one_and_zero(tmp_path, rows, positive):
    assert logs_of(tmp_path, rows, positive) == ([0, 1], [0.0, 1.0])


@pytest.mark.parametrize(
    ("rows", "positive", "says"),
    [
        ([(1, 1), (2, 2)], None, "the labels are 1, 2: say which one is positive"),
        ([(1, 1), (2, 3)], "1", "the labels are 1, 2, 3: it should be one of two"),
        ([(1, 1), (0, 0.7)], None, "the labels are 0, 0.7, 1"),
        ([(1, 1), (0, 0)], "yes", "--positive yes: the labels are 0, 1"),
        ([(1, "nan")], None, "outcome, row 1: is NaN: leave it empty"),
    ],
)
def test_labels_that_are_not_clear_are_refused(tmp_path, rows, positive, says):
    with pytest.raises(LogError, match=says):
        logs_of(tmp_path, rows, positive)


def test_gzipped_csv_and_jsonl_are_read(tmp_path):
    with gzip.open(tmp_path / "rows.csv.gz", "wt", encoding="utf-8") as file:
        file.write("request_id,x\nr1,1\n")
    (tmp_path / "rows.jsonl").write_text('{"request_id": "r1", "x": 1}\n', "utf-8")
    assert [row.values["request_id"] for row in read_rows(tmp_path / "rows.csv.gz")] == ["r1"]
    assert [row.values for row in read_rows(tmp_path / "rows.jsonl")] == [{"request_id": "r1", "x": 1}]
