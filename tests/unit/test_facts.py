"""What a version remembers of its reference: own windows, segments, calibration; against plain loops."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from pydantic import TypeAdapter

import leadline.learning.facts
from leadline.cli.understood import understood
from leadline.core.models import Signature
from leadline.core.reference import ReferenceProfile
from leadline.core.texts import Texts
from leadline.core.windows import reference_windows
from leadline.core.windows.aggregates.by_score import score_bin
from leadline.core.windows.reference_bins import ReferenceBins
from leadline.learning.add import add_file, add_version
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.learning.limits import PROFILE
from leadline.learning.model_files import ModelFiles
from leadline.learning.quality import quality
from leadline.learning.train import train
from leadline.settings import ModelSettings

HOUR = 3_600_000
SIGNATURE = Signature.of(["x"], ["town"], {"town": ["oslo", "rome"]})


def rows(count=500, regression=False, seed=1):
    rng = np.random.default_rng(seed)
    matrix = np.column_stack([rng.normal(size=count), rng.integers(-1, 2, count).astype(float)])
    matrix[::17, 0] = np.nan
    scores = rng.uniform(size=count)
    outcomes = rng.normal(size=count) if regression else (rng.uniform(size=count) < scores).astype(float)
    towns = Texts(["oslo", "rome"], rng.integers(-1, 2, count))
    times = rng.integers(-5 * HOUR, 20 * HOUR, count)
    return matrix, ScoredRows(scores, outcomes, scores >= 0.5, times, {"town": towns})


def settings(**changes):
    return ModelSettings(name="m", window=HOUR, numeric=["x"], categorical=["town"], segments=["town"], **changes)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_facts_are_those_of_a_plain_loop(task):
    matrix, scored = rows(regression=task == "regression")
    profile = reference_profile(settings(task=task), SIGNATURE, matrix, scored)
    bins = [ReferenceBins.of(each, SIGNATURE.categories.get(each.name, ())) for each in profile.features]
    columns = [*matrix.T, scored.scores]
    windows, segments = defaultdict(list), defaultdict(list)
    for row, time in enumerate(scored.times.tolist()):
        windows[time // HOUR * HOUR].append(row)
        code = scored.segments["town"].codes[row]
        for name in ("*", f"town={'' if code < 0 else scored.segments['town'].texts[code]}"):
            segments[name].append(row)
    assert (profile.window, [each.start for each in profile.windows]) == (HOUR, sorted(windows))
    for window in profile.windows:
        some = windows[window.start]
        assert window.predictions == len(some)
        for of, column, counts in zip(bins, columns, window.counts, strict=True):
            expected = Counter(of(column[some]).tolist())
            assert counts == [expected[i] for i in range(of.size)]
    assert profile.segments[0].segment == "*"
    assert profile.segments[0].metrics == profile.metrics
    assert {each.segment: each.predictions for each in profile.segments} == {k: len(v) for k, v in segments.items()}
    for each in profile.segments:
        for start, count, *sums in each.windows:
            some = [row for row in segments[each.segment] if row in windows[int(start)]]
            error = scored.scores[some] - scored.outcomes[some]
            right = (scored.labels == (scored.outcomes == 1))[some].sum()
            expected = [right] if task == "binary" else [np.abs(error).sum(), (error**2).sum()]
            assert (count, sums) == (len(some), pytest.approx(expected))


def test_metrics_of_a_segment_are_those_of_its_rows():
    matrix, scored = rows()
    profile = reference_profile(settings(), SIGNATURE, matrix, scored)
    rome = scored.segments["town"].codes == 1
    [found] = [each for each in profile.segments if each.segment == "town=rome"]
    assert found.metrics == quality(scored.scores[rome], scored.labels[rome], scored.outcomes[rome] == 1)


def test_calibration_has_the_outcomes_of_each_bin():
    matrix, scored = rows()
    found = reference_profile(settings(), SIGNATURE, matrix, scored).calibration
    bins = score_bin(scored.scores)
    assert found.bins == sorted(set(bins.tolist()))
    assert found.rows == [int((bins == each).sum()) for each in found.bins]
    assert found.sums == [[scored.outcomes[bins == each].sum() for each in found.bins]]
    decision = reference_profile(
        settings(score="decision"), SIGNATURE, matrix, replace(scored, scores=scored.scores * 9 - 4)
    )
    edges = np.array(decision.score_edges)
    assert decision.calibration.bins == sorted(
        set(np.searchsorted(edges, scored.scores * 9 - 4, side="right").tolist())
    )
    matrix, scored = rows(regression=True)
    regression = reference_profile(settings(task="regression"), SIGNATURE, matrix, scored)
    assert {len(each) for each in regression.calibration.sums} == {len(regression.calibration.bins)}
    assert sum(regression.calibration.sums[1]) == pytest.approx(((scored.scores - scored.outcomes) ** 2).sum())


def test_the_newest_windows_and_the_largest_segments_are_kept(monkeypatch):
    matrix, scored = rows()
    monkeypatch.setattr(reference_windows, "MOST_WINDOWS", 3)
    monkeypatch.setattr(leadline.learning.facts, "MOST_SEGMENTS", 2)
    profile = reference_profile(settings(), SIGNATURE, matrix, scored)
    assert [each.start // HOUR for each in profile.windows] == [17, 18, 19]
    assert [len(each.windows) for each in profile.segments] == [3, 3, 3]
    sizes = [each.predictions for each in profile.segments[1:]]
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(leadline.learning.facts, "OWN_WINDOWS", 500)
    assert len(reference_profile(settings(), SIGNATURE, matrix, scored).windows) == 2


def test_a_segment_that_no_prediction_may_have_is_left_out():
    matrix, scored = rows()
    long = Texts(["oslo", "x" * 2000], scored.segments["town"].codes)
    scored = ScoredRows(scored.scores, scored.outcomes, scored.labels, None, {"town": long})
    profile = reference_profile(settings(), SIGNATURE, matrix, scored)
    assert sorted(each.segment for each in profile.segments) == ["*", "town=", "town=oslo"]
    assert [each.windows for each in profile.segments] == [[], [], []]
    assert (profile.window, profile.windows) == (0, [])


def table(count=400):
    rng = np.random.default_rng(3)
    at = [datetime.fromtimestamp(i * 900, UTC).isoformat() for i in range(count)]
    x = rng.normal(size=count)
    plan = ["a" if i % 3 else None for i in range(count)]
    return pa.table({"x": x, "town": ["oslo", "rome"] * (count // 2), "plan": plan, "at": at, "y": (x > 0) * 1.0})


def test_a_version_that_was_added_with_times_reads_back(tmp_path):
    model = settings().model_copy(update={"segments": ["plan", "shop"]})
    estimator = train(table(), model, "y")
    added = add_version(tmp_path, model, None, estimator, table(), "y", time="at")
    profile = ModelFiles(tmp_path).describe("m", added.version).profile
    assert profile == added.profile
    assert [each.predictions for each in profile.windows] == [4] * 100
    assert [(each.segment, each.predictions) for each in profile.segments] == [
        ("*", 400),
        ("plan=a", 266),
        ("plan=", 134),
    ]
    text = (tmp_path / "m" / added.version / PROFILE).read_text()
    assert max(map(len, text.splitlines())) < 2000
    json.loads(text)
    holes = table().set_column(3, "at", pa.array([None, *table()["at"].to_pylist()[1:]]))
    with pytest.raises(ValueError, match="'at', row 1: is missing"):
        add_version(tmp_path, model, None, estimator, holes, "y", time="at")


def test_what_was_found_is_said(tmp_path):
    estimator = train(table(), settings(), "y")
    file, model = tmp_path / "m.skops", settings().model_copy(update={"segments": ["plan", "shop"]})
    file.write_bytes(skops.io.dumps(estimator))
    for time, said in (("at", "100 windows of 60 min"), (None, "no event times (--time COLUMN)")):
        added = add_file(tmp_path, model, None, file, table(), "y", time=time)
        lines = "\n".join(understood(added, compared=False))
        assert said in lines
        assert "2 segments of the reference are a yardstick of their own: plan=a, plan=" in lines
        assert "no column for these segments, so they have no yardstick: shop" in lines


def test_a_profile_of_an_earlier_release_reads(tmp_path):
    added = add_version(tmp_path, settings(), None, train(table(), settings(), "y"), table(), "y")
    assert (added.profile.window, added.profile.windows) == (0, [])
    old = '{"predictions": 1, "features": [], "metrics": {}}'
    assert TypeAdapter(ReferenceProfile).validate_json(old) == ReferenceProfile(1, [], {})
