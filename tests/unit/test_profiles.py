"""Reference profiles, and live windows counted in their bins."""

from itertools import count

import numpy as np
import pytest

from leadline.core.join.join import Join
from leadline.core.models import Signature
from leadline.core.processor import Batch
from leadline.core.reference import FeatureProfile
from leadline.core.windows.reference_bins import ReferenceBins, build_profile
from leadline.settings import ModelSettings
from logs import batch
from stages import Host, Models, predictions_batch, version

SETTINGS = ModelSettings(name="m", window=100, horizon=200, grace=50)
SIGNATURE = Signature("s", ["age"], ["colour"], {"colour": ["green", "red"]})
REFERENCE = build_profile(SIGNATURE, np.array([[10.0, 0], [20, 1], [30, 1]]), np.array([0.2, 0.4, 0.6]))
CATALOG = Models(
    {"m": SETTINGS}, {("m", "v1"): version(SETTINGS, REFERENCE, signature=SIGNATURE), ("m", "bare"): version(SETTINGS)}
)
NAN = float("nan")
IDS = count()


def predictions(rows, arrival_ms, ids=None, segments=None):
    """Rows: (event time, score, features), or with a version as a fourth; all of other requests, or with these ids."""
    rows = [(*row, "v1")[:4] for row in rows]
    ids = ids or [next(IDS) for _ in rows]
    return predictions_batch(
        [(name, version, at, score, features) for name, (at, score, features, version) in zip(ids, rows, strict=True)],
        arrival_ms,
        partition=2,
        segments=segments,
    )


def host(fresh=False, catalog=CATALOG):
    return Host(lambda store: Join(2, store, catalog), fresh, "window-profiles")


def counts(emitted):
    return {feature.name: feature.counts for feature in emitted.features}


def test_a_window_is_told_when_time_has_passed_it():
    run = host()
    assert run.feed(predictions([(0, 0.2, [10.0, 0]), (99, 0.9, [NAN, -1]), (100, 0.4, [20, 1])], 99)) == []
    assert run.stage.wake_at_ms == 100
    (emitted,) = run.pass_time(100, "predictions")
    assert (
        emitted.window_start,
        emitted.window_end,
        emitted.closed,
        emitted.predictions,
        emitted.source_partition,
    ) == (
        0,
        100,
        True,
        2,
        2,
    )
    assert counts(emitted) == {"age": [1, 0, 0, 1], "colour": [1, 0, 1, 0], "score": [1, 0, 1, 0]}
    assert (run.keys, run.routes) == ([b'["m","v1",0,2]'], [b"m"])
    assert run.stage.wake_at_ms == 200


def test_closing_does_not_write_the_counts_again():
    """All windows end at the same moment, and what that changes has to fit into one transaction."""
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 0))
    assert run.stage.on_time(100, frozenset(["predictions"])).outputs
    assert [key for key in run.store.changes() if key.startswith(b"p")] == []


def test_a_later_record_changes_a_closed_window():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 150))
    (first,) = run.emitted
    (again,) = run.feed(predictions([(7, 0.2, [10.0, 0]), (101, 0.2, [10.0, 0])], 150))
    assert (again.window_start, again.predictions, again.closed) == (0, 2, True)
    assert again.revision > first.revision


def test_what_comes_after_the_horizon_and_twice_the_grace_is_not_counted():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 400))
    assert run.feed(predictions([(1, 0.2, [10.0, 0])], 401))[0].predictions == 2
    assert run.feed(predictions([(1, 0.2, [10.0, 0])], 401)) == []
    run.pass_time(402, "predictions")
    assert [key for key, _ in (*run.store.scan(b"e", b"f"), *run.store.scan(b"p", b"q"))] == []


def test_a_repeat_is_counted_once_and_another_version_by_itself():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])] * 2, 0, ids=["a", "a"]))
    run.feed(
        predictions([(0, 0.9, [30.0, 1]), (1, 0.9, [30.0, 1]), (0, 0.2, [10.0, 0], "bare")], 0, ids=["a", "b", "a"])
    )
    (emitted,) = run.pass_time(100, "predictions")
    assert emitted.predictions == 2
    assert counts(emitted)["score"] == [1, 0, 1, 0]


def test_what_the_join_refuses_is_not_counted():
    run = host()
    run.feed(predictions([(0, 1.5, [10.0, 0]), (0, 0.5, [30.0, 1])], 0))
    (emitted,) = run.pass_time(100, "predictions")
    assert (emitted.predictions, counts(emitted)) == (
        1,
        {"age": [0, 0, 1, 0], "colour": [0, 1, 0, 0], "score": [0, 1, 0, 0]},
    )


def test_a_prediction_whose_outcome_came_first_is_counted():
    run = host()
    run.feed(
        batch("outcomes", [{"request_id": "a", "outcome": 1.0, "outcome_time": 0, "arrival_time": 0, "offset": 0}])
    )
    run.feed(predictions([(0, 0.2, [10.0, 0]), (1, 0.2, [10.0, 0])], 0, ids=["a", "b"]))
    assert [emitted.predictions for emitted in run.pass_time(100, "predictions")] == [2]


def test_the_segments_of_a_version_are_counted_together():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])] * 3, 0, segments=[["eu"], ["us"], []]))
    assert [emitted.predictions for emitted in run.pass_time(100, "predictions")] == [3]


def test_windows_close_while_outcomes_are_still_to_be_read():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 0))
    assert [emitted.closed for emitted in run.feed(predictions([(200, 0.2, [10.0, 0])], 200))] == [True]


def test_time_passes_for_an_idle_source_alone():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 0))
    assert run.pass_time(1000) == []
    assert run.pass_time(99, "predictions") == []
    assert len(run.pass_time(1000, "predictions")) == 1


def test_times_before_1970():
    (emitted,) = host().feed(predictions([(-1, 0.2, [10.0, 0])], 0))
    assert (emitted.window_start, emitted.window_end) == (-100, 0)


def test_versions_without_a_profile_are_not_counted_and_odd_rows_count_in_the_score():
    run = host()
    (emitted,) = run.feed(
        predictions(
            [(0, 0.2, [1.0], "v1"), (0, 0.2, [10.0, 0], "bare"), (0, 0.3, [], "other"), (1, 0.5, [10.0, 1])], 100
        )
    )
    assert emitted.predictions == 2
    assert counts(emitted) == {"age": [1, 0, 0, 0], "colour": [0, 1, 0, 0], "score": [1, 1, 0, 0]}


def test_a_run_of_the_clock_alone_closes():
    run = host()
    run.feed(predictions([(0, 0.2, [10.0, 0])], 0))
    clock = Batch("predictions", 2, np.zeros(0, np.int64), np.zeros(0, np.int64), [], 9, 500)
    assert [emitted.window_start for emitted in run.feed(clock)] == [0]


# -- the reference ----------------------------------------------------------------------------------------------------


def bins_of(values):
    profile = build_profile(Signature("s", ["x"], [], {}), np.array(values)[:, None], np.zeros(len(values)))
    return profile.features[0]


def test_quantile_bins_hold_about_a_tenth_each():
    values = np.random.default_rng(1).normal(size=10_000)
    feature = bins_of(values)
    assert len(feature.edges) == 9
    assert all(abs(count - 1000) <= 1 for count in feature.counts[:-1])
    assert feature.counts[-1] == 0


def test_ties_share_a_bin():
    feature = bins_of([0.0] * 60 + [1.0] * 20 + [2.0] * 20)
    assert (feature.edges, feature.counts) == ([1.0, 2.0], [60, 20, 20, 0])
    assert bins_of([0.0] * 95 + [5.0] * 5).counts == [95, 5, 0]


def test_a_constant_has_a_bin_of_its_own():
    feature = bins_of([3.0, 3.0, NAN])
    assert feature.counts == [0, 2, 0, 1]
    assert ReferenceBins.of(feature)(np.array([2.9, 3.0, 3.1])).tolist() == [0, 1, 2]


def test_nothing_but_missing_and_infinity():
    assert bins_of([NAN, NAN]).counts == [0, 2]
    feature = bins_of([-np.inf, 0.0, np.inf])
    assert sum(feature.counts) == 3
    assert np.isfinite(feature.edges).all()


def test_rare_categories_count_as_never_seen():
    names = [f"c{i}" for i in range(70)]
    values = np.repeat(np.arange(70.0), np.arange(70)[::-1])
    profile = build_profile(Signature("s", [], ["c"], {"c": names}), values[:, None], np.zeros(len(values)))
    feature = profile.features[0]
    assert feature.categories == names[:50]
    assert feature.counts[50:] == [sum(range(20)), 0]
    assert ReferenceBins.of(feature, names)(np.array([0.0, 69.0, -1.0, NAN])).tolist() == [0, 50, 50, 51]


def test_the_reference_counts_as_a_live_window_would():
    rng = np.random.default_rng(3)
    matrix = np.column_stack([rng.normal(size=300), rng.integers(-1, 2, 300).astype(float)])
    matrix[::7] = NAN
    scores = rng.uniform(size=300)
    profile = build_profile(SIGNATURE, matrix, scores)
    models = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS, profile, signature=SIGNATURE)})
    rows = [(0, float(s), list(map(float, row))) for s, row in zip(scores, matrix, strict=True)]
    (emitted,) = host(catalog=models).feed(predictions(rows, 100))
    assert [feature.counts for feature in emitted.features] == [feature.counts for feature in profile.features]


@pytest.mark.parametrize(
    ("signature", "matrix", "scores"),
    [
        (SIGNATURE, np.zeros((2, 1)), np.zeros(2)),
        (SIGNATURE, np.zeros((2, 2)), np.array([0.1, NAN])),
        (Signature("s", ["score"], [], {}), np.zeros((2, 1)), np.zeros(2)),
    ],
)
def test_what_cannot_be_a_reference(signature, matrix, scores):
    with pytest.raises(ValueError, match=r"matrix|finite|named"):
        build_profile(signature, matrix, scores)


def test_a_profile_names_its_bins():
    assert REFERENCE.features[1] == FeatureProfile("colour", "categorical", [1, 2, 0, 0], [], ["green", "red"])
    assert [feature.kind for feature in REFERENCE.features] == ["numeric", "categorical", "score"]
