"""The page about a model: what it says, what it leaves out, and that no text in it does anything."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from leadline.core.processor import Batch
from leadline.core.reference import Calibration, ReferenceProfile, SegmentReference
from leadline.core.windows.aggregates.by_score import score_bin
from leadline.foreign_text import as_json
from leadline.records import FinalValue, JoinCounts, Metric
from leadline.report.collect import Collected
from leadline.report.content import content
from leadline.report.over_time import Axis, lanes_of
from leadline.report.page import page
from leadline.settings import ModelSettings
from reports import DAY, alert, partial, report, window

BAD = (
    "</svg></style>\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u202e\u200b]]>{{x}}javascript:\x1b[31m"
)
SETTINGS = ModelSettings(name="m", window=DAY, horizon=DAY, grace=DAY)


def labels(delays, version="v1", segments=(), assumed=False):
    count = len(delays)
    prediction = pa.StructArray.from_arrays(
        [
            pa.array(["m"] * count),
            pa.array([version] * count),
            pa.array([list(segments)] * count, pa.list_(pa.string())),
        ],
        ["model", "model_version", "segments"],
    )
    columns = {
        "prediction": prediction,
        "label_delay_ms": pa.array(delays, pa.int64()),
        "assumed": pa.array([assumed] * count),
    }
    return Batch(
        "labeled-predictions", 0, np.arange(count), np.zeros(count, np.int64), [str(i).encode() for i in range(count)], count, 0,
        columns=pa.record_batch(columns),
    )  # fmt: skip


def collected(*records, known=SETTINGS, segment="*"):
    found = Collected(known, segment)
    for record in records:
        found.take(record)
    return found


class Seen(HTMLParser):
    """The elements of a page, with the names of their attributes, and its words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.words.append(data)


def everywhere(text):
    """Records in which every text that somebody else chose is this one."""
    of = {"model_version": text, "segment": text}
    return [
        replace(window(version=text), state=text),
        report(feature=text, ratio=2, version=text, effect=text),
        report(feature=text, ratio=2, version=text, finding="missing"),
        alert(text, kind=text, severity=text, state=text, cause=text, segments=[text], features=[text], **of),
        partial(version=text, positives=[0.5], negatives=[0.4]),
    ]


def test_no_text_in_it_is_more_than_a_text():
    told = {}
    for text in ("tame", BAD):
        found = Collected(ModelSettings(name=text, window=DAY, horizon=DAY), "*")
        for record in everywhere(text):
            found.take(replace(record, model=text))
        told[text] = content(found, {})
    tame, bad = (Seen(page(each)) for each in told.values())
    assert bad.elements == tame.elements
    assert not {tag for tag, _ in bad.elements} & {"script", "img", "a", "link", "iframe", "object", "foreignObject"}
    whole = page(told[BAD])
    assert not set("\u202e\u200b\x1b") & set(whole)
    assert "alert(1)" in "".join(bad.words)
    whole.encode()
    assert not set("\u202e\u200b\x1b") & set(as_json(told[BAD]))


def test_it_asks_for_nothing_else():
    whole = page(content(collected(*everywhere("v1"), window()), {}))
    assert "default-src &#x27;none&#x27;" in whole or "default-src 'none'" in whole
    assert not [each for each in ("http:", "https:", "url(", "src=", "href=", "@import", "<script") if each in whole]


def test_what_is_not_known_is_a_gap_and_never_nothing():
    days = [window(0), window(1, accuracy=None), window(2), window(4), window(5, accuracy=Metric(float("nan")))]
    told = content(collected(*days), {})
    numbers = [each["numbers"]["accuracy"]["realised"] for each in told["versions"][0]["windows"]]
    assert numbers == [[0.9, 0.85, 0.95], None, [0.9, 0.85, 0.95], [0.9, 0.85, 0.95], None]
    line = page(told).partition('<path class="line realised" d="')[2].partition('"')[0]
    assert line.count("M") == 3


def test_before_maturity_the_interval_is_that_of_the_final_value():
    final = FinalValue("accuracy", 0.7, 0.97, 9, "t", 0.9, "")
    young, learning = window(0, state="provisional", finals=[final]), window(1, state="provisional")
    told = content(collected(young, learning), {})["versions"][0]["windows"]
    assert [each["numbers"]["accuracy"]["realised"] for each in told] == [[0.9, 0.7, 0.97], [0.9, None, None]]


def test_of_a_window_the_highest_revision_holds_and_other_models_and_segments_are_left_out():
    later = window(revision=5, accuracy=Metric(0.5))
    others = [replace(window(1), model="n"), window(2, segment="a=1"), JoinCounts("n", -1, 1, 9 * DAY, *range(17))]
    told = content(collected(later, window(revision=4), *others), {})
    assert [each["numbers"]["accuracy"]["realised"][0] for each in told["versions"][0]["windows"]] == [0.5]
    assert told["as_of"] == "1970-01-03T00:00:00Z"
    assert len(content(collected(*others, segment="a=1"), {})["versions"][0]["windows"]) == 1


def test_marks_are_those_of_the_reference_and_the_limit():
    segment = SegmentReference("*", 1000, {"accuracy": 0.9}, [[i * DAY, 100, 90] for i in range(10)])
    profile = ReferenceProfile(1000, [], {"accuracy": 0.9}, [], DAY, [], [segment])
    marks = content(collected(window()), {"v1": profile})["versions"][0]["marks"]
    assert marks["accuracy"]["reference"] == 0.9
    assert 0.85 < marks["accuracy"]["limit"] < 0.88
    assert marks["auc"] == {"reference": None, "limit": None}


def test_outcomes_by_score_are_those_of_all_partitions_and_windows():
    rng = np.random.default_rng(2)
    scores = rng.random(600)
    truth = rng.random(600) < scores
    parts = np.array_split(np.arange(600), 6)
    records = [partial(i // 2, i % 2, scores[own][truth[own]], scores[own][~truth[own]]) for i, own in enumerate(parts)]
    reference = ReferenceProfile(10, [], {}, calibration=Calibration(score_bin(np.array([0.3])).tolist(), [10], [[4]]))
    old = partial(0, 0, [0.5] * 99, [], revision=0)
    found = content(collected(*(window(day) for day in range(3)), *records, old), {"v1": reference})
    told = found["versions"][0]["calibration"]["groups"]
    assert sum(each["live_rows"] for each in told) == 600
    assert sum(each["live"] * each["live_rows"] for each in told) == pytest.approx(truth.sum())
    assert sum(each["score"] * each["live_rows"] for each in told) == pytest.approx(scores.sum(), rel=0.01)
    assert [each["reference"] for each in told if each["reference_rows"]] == [0.4]
    for each in told:
        near = np.argsort(np.abs(scores - each["score"]))[:50]
        assert each["live"] == pytest.approx(truth[near].mean(), abs=0.15)


def test_labels_by_age_end_at_the_share_that_gets_one():
    found = collected(window(), window(1, state="provisional", matched=0, coverage=0.0))
    found.label(labels([-5, DAY // 4, DAY // 2, None, DAY]))
    found.label(labels([1] * 9, version="v2"))
    told = content(found, {})["versions"][0]["labels"]
    assert (told["labels"], told["in_the_end"]) == (4, 0.8)
    by_age = {each["age_ms"]: each["share"] for each in told["ages"]}
    assert [by_age[at] for at in (0, DAY // 4, DAY // 2, DAY)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    none = content(collected(window(state="provisional")), {})["versions"][0]["labels"]
    assert {each["share"] for each in none["ages"]} == {None}


def test_the_map_has_what_drifts_most_first():
    rows = [report(day, "calm") for day in range(3)] + [report(day, "wild", 3 * day) for day in (1, 2)]
    rows += [report(0, "calm", finding="missing"), report(0, "calm", 9, finding="unseen")]
    told = content(collected(*(window(day) for day in range(3)), *rows), {})["versions"][0]["drift"]
    assert [(each["feature"], each["finding"], each["drifted"]) for each in told] == [
        ("wild", "distribution", [None, True, True]),
        ("calm", "unseen", [True, None, None]),
        ("calm", "distribution", [False, False, False]),
    ]
    assert told[0]["of_threshold"] == pytest.approx([None, 3, 6])


def test_an_incident_is_one_line_with_its_cause_and_how_it_ended():
    told = content(
        collected(window(), alert(), alert(state="resolved", revision=3, day=4, cause="it is back"), alert(revision=2)),
        {},
    )["incidents"]
    assert [(each["cause"], each["now"], each["state"], each["opened"][:10]) for each in told] == [
        ("accuracy fell", "it is back", "resolved", "1970-01-01")
    ]


def test_of_very_much_the_newest_is_shown_and_the_page_says_what_is_not():
    windows = [window(day, version=f"v{v}") for v in range(6) for day in range(v, 900 if v == 5 else v + 1)]
    drift = [report(day, f"feature {i}", 2 * (i % 2), version="v5") for i in range(150) for day in range(850, 900)]
    told = content(collected(*windows, *drift, *(alert(str(i), day=i) for i in range(1000))), {})
    assert told["left_out"] == [
        "2 older versions", "495 older windows of v5", "110 features of v5 that drift least", "800 older incidents"
    ]  # fmt: skip
    whole = page(told)
    assert len(whole) < 1_000_000
    assert "800 older incidents" in whole
    assert told["versions"][0]["windows"][-1]["start"].startswith("1972-06-18")


def test_a_regression_and_a_model_without_windows_have_a_page_too():
    known = ModelSettings(name="m", task="regression", window=DAY, horizon=DAY, alerts={"metric": "mae"})
    error = window(task="regression", accuracy=None, auc=None, mae=Metric(3.0, 2.0, 4.0), rmse=Metric(5.0))
    told = content(collected(error, known=known), {})
    assert list(told["versions"][0]["marks"]) == ["mae", "rmse"]
    assert told["versions"][0]["calibration"]["why"] == "the scores are no probabilities"
    assert "3.000 (2.000 to 4.000)" in page(told)
    empty = content(collected(), {})
    assert (empty["versions"], empty["as_of"]) == ([], None)
    assert "no window yet" in page(empty)
    json.loads(as_json(told), parse_constant=lambda name: pytest.fail(name))


def test_incidents_of_one_time_are_beside_each_other_and_those_of_before_are_left_out():
    told = content(
        collected(
            *(window(day) for day in range(10, 20)),
            *(alert("gone", state, i, day=2) for i, state in enumerate(("opened", "resolved"))),
            alert("long", day=11),
            *(alert("short", state, i, day=12 + i) for i, state in enumerate(("opened", "resolved"))),
            alert("later", day=16),
        ),
        {},
    )
    lanes = lanes_of(Axis(told["versions"][0]["windows"]), told["incidents"])
    assert [[each["id"] for each in lane] for lane in lanes] == [["long"], ["short", "later"]]
