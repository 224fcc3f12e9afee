"""How records and metrics are shown: as JSON, as a table that fits, as a file of a replay."""

import csv
import io
import json
from dataclasses import fields, replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from leadline.cli.common import put, put_json, say
from leadline.cli.metrics_table import newest, put_tables, tables
from leadline.cli.record_fields import record_fields
from leadline.cli.tail import fields as tailed
from leadline.core.models import Signature
from leadline.foreign_text import as_json
from leadline.kafka.cluster import Stored
from leadline.records import LabeledPrediction, MatureCounts, Metric, Prediction, WindowMetrics
from leadline.replay.report import COLUMNS, metrics_csv
from leadline.wire import own_json
from leadline.wire.forms import to_dict
from leadline.wire.single import read, value_of

DAY = 86_400_000
NOW = 1_767_225_600_000
SIGNATURE = Signature.of(["age", "sum"], ["city"], {"city": ["ulm"]})
PREDICTION = Prediction(
    "r1", "fraud", "v1", "champion", "", NOW, NOW + 5, 0.25, 0, [41.0, float("nan"), 0.0], SIGNATURE.id, [], None, ["ulm"]
)  # fmt: skip


def _empty(kind):
    return 0 if kind == "<class 'int'>" else [] if kind.startswith("list") else None


WINDOW = replace(
    WindowMetrics(**{each.name: _empty(str(each.type)) for each in fields(WindowMetrics)}),
    model="fraud", model_version="v1", segment="*", window_start=NOW, window_end=NOW + DAY, state="provisional", task="binary",
    predictions=123_456, coverage=0.93, accuracy=Metric(0.912, 0.89, 0.93), auc=Metric(0.8, 0.7, 0.9), auc_error=1e-4,
)  # fmt: skip


def known(model, version, signature):
    fits = (model, version, signature) == ("fraud", "v1", SIGNATURE.id)
    return (SIGNATURE.names, SIGNATURE.categorical) if fits else None


def test_values_have_the_names_of_their_version():
    told = record_fields(PREDICTION, known)
    assert told["features"] == {"age": 41.0, "sum": None, "city": 0.0}
    assert told["categories"] == {"city": "ulm"}
    assert told["event_time"] == "2026-01-01T00:00:00.000Z"
    labeled = record_fields(LabeledPrediction(PREDICTION, 1.0, NOW, 0, 1), known)
    assert labeled["prediction"] == told
    assert labeled["outcome_time"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize("changed", [{"model_version": "v2"}, {"signature": "other"}, {"features": [41.0]}])
def test_values_whose_names_are_not_known_have_their_places(changed):
    told = record_fields(replace(PREDICTION, **changed), known)
    assert list(told["features"]) == ["0", "1", "2"][: len(told["features"])]


def test_what_is_tailed_is_json_with_its_time_and_place():
    stored = Stored(1, 7, NOW, b"r1", value_of(PREDICTION), ())
    line = json.loads(as_json(tailed("predictions", stored, lambda record: record_fields(record, known))))
    assert (line["partition"], line["offset"], line["time"], line["score"]) == (1, 7, "2026-01-01T00:00:00Z", 0.25)
    odd = tailed("predictions", stored._replace(value=b"?"), lambda record: record_fields(record, known))
    assert odd.keys() == {"partition", "offset", "time", "unreadable"}


def test_sums_are_exact():
    mature = MatureCounts(2, 2, 1, 1, 0, 0, 1, 1_500_000_000_000, 0)
    assert record_fields(replace(WINDOW, mature=mature), known)["mature"]["absolute_error_sum"] == "1.5"


def shown(width, *records):
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO(), legacy_windows=False)
    console.print(tables(records, 3, console))
    return console.file.getvalue()


WINDOWS = [
    replace(WINDOW, segment=segment, window_start=NOW + day * DAY)
    for segment in ("!odd", "origin=JFK", "*") for day in (3, 0, 1, 2)
]  # fmt: skip


def test_where_no_terminal_is_nothing_of_a_table_is_cut():
    """A pipe has 80 columns where nobody says more."""
    console = Console(width=80, file=io.StringIO())
    put_tables([replace(WINDOW, model="m" * 40, segment="city=" + "x" * 90)], 3, console)
    said = console.file.getvalue()
    assert "…" not in said
    assert {"m" * 40, "city=" + "x" * 90} <= set(said.split())


@pytest.mark.parametrize(
    "more", [{}, {"segment": "city=" + "ü" * 90}, {"model": "m" * 90}, {"model": "m" * 90, "segment": "東" * 90}]
)
@pytest.mark.parametrize("width", [72, 80, 120])
def test_a_table_fits_and_wraps_nothing(width, more):
    lines = shown(width, *WINDOWS, replace(WINDOW, **more)).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert sum("0.912 (0.890 to 0.930)" in line and "93%" in line for line in lines) >= 9
    assert len(lines) == len([*newest([*WINDOWS, replace(WINDOW, **more)], 3)]) + 4


def test_columns_go_by_width_and_never_the_interval():
    heads = {width: set(shown(width, WINDOW).split("\n")[1].split()) for width in (80, 120)}
    assert heads[120] - heads[80] >= {"auc"}
    assert heads[80] >= {"model", "segment", "window", "labels", "accuracy"}


def test_all_requests_come_before_their_parts_and_the_newest_last():
    order = [(each.segment, (each.window_start - NOW) // DAY) for each in newest(WINDOWS, 2)]
    assert order == [("*", 2), ("*", 3), ("!odd", 2), ("!odd", 3), ("origin=JFK", 2), ("origin=JFK", 3)]


def test_a_file_of_metrics_has_intervals_and_the_error_of_auc():
    [row] = csv.DictReader(io.StringIO(metrics_csv([WINDOW])))
    told = {
        name: row[name]
        for name in ("accuracy", "accuracy_low", "accuracy_high", "auc_error", "mae", "mae_low", "window_start")
    }
    assert told == {
        "accuracy": "0.912", "accuracy_low": "0.89", "accuracy_high": "0.93", "auc_error": "0.0001", "mae": "", "mae_low": "",
        "window_start": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert (
        COLUMNS[:21]
        == (
            "model_version window_start window_end segment predictions matched pending expired tp fp fn tn "
            "accuracy precision recall f1 logloss brier auc mean_score outcome_rate"
        ).split()
    )


@pytest.mark.parametrize(
    "record", [PREDICTION, WINDOW, LabeledPrediction(PREDICTION, 1.0, NOW, 0, 1)], ids=lambda each: type(each).__name__
)
def test_a_record_is_shown_as_the_topic_has_it_in_json(record):
    name = type(record).__name__
    topic = {"Prediction": "predictions", "WindowMetrics": "metrics"}.get(name, "labeled-predictions")
    written = json.loads(own_json.write(topic, name, to_dict(record), known))
    written.pop("record", None)
    assert json.loads(as_json(record_fields(record, known))) == written


def test_a_category_that_is_missing_is_null_and_comes_back():
    [value] = [own_json.write("predictions", "Prediction", to_dict(replace(PREDICTION, categories=[""])), known)]
    assert json.loads(value)["categories"] == {"city": None}
    assert read("predictions", value).categories == [""]


def test_a_name_that_is_the_code_of_an_emoji_stays_as_it_is(capsys):
    put_json({"segment": ":key:"})
    put("a:car:b")
    say("a:car:b")
    assert capsys.readouterr() == ('{"segment": ":key:"}\na:car:b\n', "a:car:b\n")
