"""Rows of a file as requests and outcomes."""

import gzip

import pytest

from leadline.cli.tables import RowError, read_rows, to_outcome, to_request
from leadline.settings import ModelSettings

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


def test_gzipped_csv_and_jsonl_are_read(tmp_path):
    with gzip.open(tmp_path / "rows.csv.gz", "wt", encoding="utf-8") as file:
        file.write("request_id,x\nr1,1\n")
    (tmp_path / "rows.jsonl").write_text('{"request_id": "r1", "x": 1}\n', "utf-8")
    assert [row.values["request_id"] for row in read_rows(tmp_path / "rows.csv.gz")] == ["r1"]
    assert [row.values for row in read_rows(tmp_path / "rows.jsonl")] == [{"request_id": "r1", "x": 1}]
