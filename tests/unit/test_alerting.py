"""Incidents: when they open, tell more, resolve, and are withdrawn."""

import re
from dataclasses import asdict, replace

import fastavro
import pytest

from incidents import GRACE, HORIZON, SIZE, counts, models, reference, report, time, window
from leadline.core.reference import Calibration, ReferenceProfile, SegmentReference
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.incidents import MOST_FEATURES
from leadline.core.watch.waiting import MOST_WAITING
from leadline.records import MatureCounts, MaturedWindow, Metric
from leadline.wire.schemas import schema
from stages import Host, Models, records_batch, roll_out, rolled_out

DAY_MS = 86_400_000


def host(served=None, fresh=False, rollouts=None):
    served = served or models()
    return Host(lambda store: Alerting(store, served, Deployments(rollouts or Table())), fresh)


def feed(run, *records):
    return [
        (alert.kind, alert.state, alert.window_start // SIZE) for alert in run.feed(records_batch("metrics", records))
    ]


def days(run, rights, first=0, **named):
    """Feed whole days: windows with so many right answers, and the time when they are due."""
    return [each for i, right in enumerate(rights, first) for each in feed(run, window(i, right, **named), time(i))]


def test_performance_opens_and_resolves_by_its_evidence():
    run = host()
    assert days(run, [180, 178, 182]) == []
    assert days(run, [100, 100], first=3) == [("performance", "opened", 3)]
    assert days(run, [180, 182, 181, 180, 185, 180], first=5) == [("performance", "resolved", 7)]
    opened, resolved = run.emitted
    assert (opened.severity, opened.segment, opened.segments, opened.runbook) == ("critical", "*", ["*"], "wiki")
    assert (opened.early, opened.error_rate, opened.at, opened.revision) == (False, "calibrated", 4 * SIZE + HORIZON, 1)
    assert opened.cause.startswith("accuracy 0.5 of labelled (200 of 200), limit 0.86")
    assert list(opened.evidence)[:4] == ["realised", "segments", "metric", "value"]
    assert (resolved.alert_id, resolved.revision) == (opened.alert_id, 2)
    assert run.routes == [b"m", b"m"]
    assert run.keys == [opened.alert_id.encode()] * 2
    for alert in run.emitted:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(alert).__name__)
        assert fastavro.validate(asdict(alert), schema(name))


def test_a_window_is_judged_once_as_it_was_at_maturity():
    run = host()
    corrected = counts(180)
    assert feed(run, window(0, 100), time(0)) == [("performance", "opened", 0)]
    assert feed(run, window(0, 100, revision=3), time(0), window(0, 100, revision=9)) == []
    run = host()
    days(run, [180])
    late = window(0, 180, revision=5, tp=10, fn=10)
    assert feed(run, *[replace(late, revision=revision) for revision in range(5, 40)], time(1)) == []
    assert corrected.matched == 200


def test_a_correction_withdraws():
    run = host()
    assert days(run, [180, 100]) == [("performance", "opened", 1)]
    better = window(1, 100, revision=3, tp=90, fn=20, tn=90)
    assert feed(run, better) == [("performance", "withdrawn", 1)]
    assert run.emitted[-1].cause == "corrected labels do not confirm it"
    assert days(run, [180, 100], first=2) == [("performance", "opened", 3)]


def test_windows_are_judged_in_order_and_as_soon_as_all_partitions_are_there():
    run = host()
    assert feed(run, window(1, 100), window(0), time(0, as_of=(2 * SIZE + HORIZON))) == []
    assert feed(run, time(1)) == [], "an older window is known, and not mature"
    assert feed(run, window(0, 180)) == [("performance", "opened", 1)]


def test_a_window_that_the_join_has_told_of_is_waited_for():
    """One partition has told all of window 1; another one has window 0, and rows of window 1, of which nothing has come yet."""
    run = host()
    told = time(1, matured=[MaturedWindow("v1", 0, 200), MaturedWindow("v1", SIZE, 300)])
    assert feed(run, window(1, counts(50, n=100)), told) == []
    assert feed(run, window(0, 180)) == []
    assert feed(run, replace(told, matured=told.matured)) == [], "the same record again tells nothing new"
    assert feed(run, window(1, counts(150, n=300), revision=3)) == [("performance", "opened", 1)]


def test_a_window_of_large_errors_is_judged_too():
    windows = [[100.0 * i, 100.0, 1e5, 1e8] for i in range(10)]
    profile = ReferenceProfile(
        1000, [], {}, [], SIZE, [], [SegmentReference("*", 1000, {"mae": 1000.0, "rmse": 1000.0}, windows)]
    )
    sums = {"absolute_error_sum": int(200 * 3e3 * 1e12), "squared_error_sum": int(200 * 9e6 * 1e12)}
    worse = MatureCounts(200, 200, 0, 0, 0, 0, 0, **sums)
    assert [each[1] for each in days(host(models(profile, metric="rmse", margin=10)), [worse] * 60)] == ["opened"]


def test_a_window_that_never_matures_holds_up_the_others_for_a_while():
    run, patience = host(), HORIZON + GRACE + 8 * SIZE + DAY_MS
    assert feed(run, window(0), window(1, 100), time(1)) == []
    assert feed(run, time(1, as_of=2 * SIZE + HORIZON + 1 + patience)) == []
    assert ("performance", "opened", 1) in feed(run, time(5, as_of=2 * SIZE + HORIZON + 2 + patience))


def test_where_nobody_tells_how_far_all_partitions_are_windows_are_judged_days_later():
    """And not later and later. Windows are half a day apart."""
    run, half_a_day = host(), DAY_MS // 2 // SIZE
    for number in range(20):
        feed(run, window(number * half_a_day, 180))
    assert len(list(run.store.scan(b"w", b"x"))) == 3


def test_labels_that_never_come_are_no_reason_for_silence():
    run = host()
    assert days(run, [counts(15, missing=170)] * 3) == [("performance", "opened", 0)]
    assert "of labelled (30 of 200)" in run.emitted[0].cause
    assert days(host(models(min_coverage=0.5)), [counts(15, missing=170)] * 5) == []


def test_labels_that_come_for_one_class_more_than_for_the_other():
    """Half of the predicted positives are right, and most of the wrong ones have no label."""
    biased = MatureCounts(200, 110, 100, tp=5, fp=5, fn=50, tn=50, absolute_error_sum=0, squared_error_sum=0)
    run = host()
    assert days(run, [biased] * 10) == [("labels-biased", "opened", 0)]
    assert run.emitted[0].cause.startswith("10% of the predicted positives have a label, 100% of the others")


def segment_days(run, number, **rights):
    records = [window(number, right, segment=name.replace("all", "*")) for name, right in rights.items()]
    return feed(run, *records, time(number))


def test_a_segment_is_judged_by_its_own_reference():
    served = models(reference(weak=0.6, strong=0.95))
    run = host(served)
    for number in range(30):
        assert segment_days(run, number, all=180, weak=120, strong=190) == []
    assert segment_days(run, 30, all=176, weak=120, strong=150) == [("performance", "opened", 30)]
    [alert] = run.emitted
    assert (alert.segment, alert.segments, alert.severity) == ("strong", ["strong"], "warning")
    assert segment_days(run, 31, all=176, weak=80, strong=150) == [("performance", "updated", 31)]
    assert (run.emitted[-1].segment, run.emitted[-1].segments) == ("several", ["strong", "weak"])
    assert segment_days(run, 32, all=176, weak=80, strong=150) == []
    ends = [state for number in range(33, 50) for state in segment_days(run, number, all=180, weak=125, strong=195)]
    assert [state for _, state, _ in ends] == ["resolved"]
    assert run.emitted[-1].segments == ["strong", "weak"]


def test_one_fall_of_everything_is_one_incident():
    names = {f"s{i}": 0.9 for i in range(50)}
    run = host(models(reference(**names)))
    for number in range(8):
        segment_days(run, number, all=counts(5000, n=10_000), **dict.fromkeys(names, 100))
    assert [(alert.state, alert.segment) for alert in run.emitted] == [("opened", "*")]


def test_half_of_the_segments_known_is_not_enough():
    run = host(models(reference(weak=0.6)))
    assert feed(run, window(0, 100), window(0, segment="weak"), time(0)) == []
    assert feed(run, window(0, 120, segment="weak")) == [("performance", "opened", 0)]


@pytest.mark.parametrize(("names", "segments"), [(["c"], ["c=a", "c=b"]), ([""], ["weak", "x=y"])])
def test_a_window_waits_for_all_its_segments(names, segments):
    """They come by another way than the whole, so later or sooner."""
    served = models(reference(**dict.fromkeys(segments, 0.6)))
    served.known["m"] = served.known["m"].model_copy(update={"segments": names})
    run, half = host(served), counts(20, n=100)
    assert feed(run, window(0, 40), time(0), window(0, half, segment=segments[0])) == []
    assert feed(run, window(0, half, segment=segments[1])) == [("performance", "opened", 0)]


def test_versions_without_a_reference_and_versions_that_do_not_answer_have_no_incident():
    rollouts = rolled_out(m="v2")
    run = host(rollouts=rollouts)
    assert days(run, [100] * 3) == days(run, [100] * 3, made="v2") == []
    rollouts = rolled_out(m="v1")
    run = host(rollouts=rollouts)
    assert days(run, [100]) == [("performance", "opened", 0)]
    roll_out(rollouts, "m", "v2", arrival_ms=SIZE + HORIZON + 50)
    assert days(run, [100] * 3, first=1) == [("performance", "resolved", 1)]
    assert run.emitted[-1].cause == "another version answers now"


def test_a_stated_reference_counts_for_a_version_without_one():
    bare = Models({"m": models(reference=0.9, margin=0.02).settings("m")}, {})
    run = host(bare)
    assert days(run, [180, 180, 100]) == [("performance", "opened", 2)]
    assert run.emitted[0].error_rate == ""


def test_cycles_are_judged_whole():
    """Half of the windows are bad, and the others so good that the share is within the limit."""
    served = models(cycle=4 * SIZE, false_alarms=f"1 per {120 * SIZE}ms")
    assert days(host(served), [200, 200, 155, 155] * 20) == []
    assert days(host(models()), [200, 200, 155, 155] * 20) != []


@pytest.mark.parametrize(("metric", "bad"), [("precision", {"tp": 60, "fp": 40}), ("recall", {"tp": 60, "fn": 40})])
def test_other_shares_are_judged_by_their_own_counts(metric, bad):
    cells = dict.fromkeys(("tp", "fp", "fn", "tn"), 0) | {"tn": 100} | bad
    worse = MatureCounts(200, 200, 0, **cells, absolute_error_sum=0, squared_error_sum=0)
    assert days(host(models(metric=metric)), [worse] * 3) == [("performance", "opened", 0)]


@pytest.mark.parametrize(("metric", "error"), [("mae", 3), ("rmse", 2)])
def test_errors_are_judged_by_bets(metric, error):
    windows = [[100.0 * i, 100.0, 100.0 + i % 2, 100.0 + i % 2] for i in range(10)]
    profile = ReferenceProfile(
        1000, [], {}, [], SIZE, [], [SegmentReference("*", 1000, {"mae": 1.0, "rmse": 1.0}, windows)]
    )

    def losses(size):
        return MatureCounts(200, 200, 0, 0, 0, 0, 0, int(200 * size * 1e12), int(200 * size**2 * 1e12))

    run = host(models(profile, metric=metric))
    assert days(run, [losses(1.0)] * 50) == []
    opened = days(run, [losses(error)] * 10, first=50)
    assert [(kind, state) for kind, state, _ in opened] == [("performance", "opened")]
    assert run.emitted[0].error_rate == "proven"
    assert [state for _, state, _ in days(run, [losses(0.9)] * 60, first=60)] == ["resolved"]


def test_auc_is_judged_by_its_interval():
    profile = ReferenceProfile(1000, [], {"auc": 0.9})
    run = host(models(profile, metric="auc"))
    good, bad = ({"auc": Metric(value, value - 0.05, value + 0.05)} for value in (0.9, 0.7))
    assert days(run, [100] * 5, **good) == []
    assert [each[:2] for each in days(run, [100] * 5, first=5, **bad)] == [("performance", "opened")]


def test_concept_drift_and_performance_of_one_fall_are_one_incident():
    run = host()
    estimate = {"estimated_accuracy": Metric(0.9, 0.89, 0.91)}
    days(run, [180] * 3, **estimate)
    days(run, [168] * 40, first=3, **estimate)
    assert run.emitted[0].state == "opened"
    assert len({alert.alert_id for alert in run.emitted}) == 1
    assert "concept drift" in run.emitted[-1].cause
    run = host()
    above_the_limit = {"estimated_accuracy": Metric(0.99, 0.98, 1.0)}
    assert [each[:2] for each in days(run, [176] * 10, **above_the_limit)] == [("concept-drift", "opened")]


def test_scores_that_no_longer_tell_how_often_an_outcome_is_positive():
    run = host()
    even = MatureCounts(200, 200, 0, 90, 10, 10, 90, 0, 0, score_sum=100 * 10**12)
    low = replace(even, score_sum=76 * 10**12)
    assert days(run, [even] * 5) == []
    assert [each[:2] for each in days(run, [low] * 9, first=5)] == [("calibration", "opened")]
    [alert] = run.emitted
    blocks = (alert.window_end - 5 * SIZE) // SIZE
    assert blocks > 1, "the evidence is of several blocks, and the cause speaks of all of them"
    assert alert.cause == (
        f"{100 * blocks} of {200 * blocks} labelled outcomes since 1970-01-01T00:00:00.500Z are positive (0.5), the scores say 0.38"
    )
    assert [each[:2] for each in days(run, [even] * 60, first=14)] == [("calibration", "resolved")]


def test_scores_whose_sum_is_not_known_say_nothing_of_calibration():
    assert days(host(), [MatureCounts(200, 200, 0, 90, 10, 10, 90, 0, 0)] * 20) == []


@pytest.mark.parametrize(
    ("right", "told", "kind"),
    [
        (MatureCounts(200, 200, 0, 90, 10, 10, 90, 0, 0, 60 * 10**12), {}, "calibration"),
        (176, {"estimated_accuracy": Metric(0.99, 0.98, 1.0)}, "concept-drift"),
    ],
)
def test_scores_are_judged_by_the_cycle_too(right, told, kind):
    """Of the windows of a cycle the scores are summed, and the estimate is the mean by their rows."""
    run = host(models(cycle=2 * SIZE))
    assert (kind, "opened") in [each[:2] for each in days(run, [right] * 16, **told)]


def off(*differences):
    """A reference of 1,000 rows in ten windows, whose mean score is 0.3 and whose outcomes are so much more often positive."""
    shares = [0.3 + differences[i % len(differences)] for i in range(10)]
    windows = [[100.0 * i, 100.0, 100.0 * share, 30.0] for i, share in enumerate(shares)]
    return replace(reference(), calibration=Calibration([1024], [1000], [[1000 * sum(shares) / 10]], windows))


def test_scores_that_never_told_it_are_no_drift():
    even, rare = (MatureCounts(200, 200, 0, n, 0, 0, 200 - n, 0, 0, 60 * 10**12) for n in (100, 60))
    run = host(models(off(0.2)))
    assert days(run, [even] * 30) == []
    assert [each[:2] for each in days(run, [rare] * 9, first=30)] == [("calibration", "opened")]
    assert "in the reference 0.2 more are than it says" in run.emitted[0].cause


def test_calibration_moves_as_far_as_the_windows_of_the_reference_do():
    days_of = [MatureCounts(200, 200, 0, n, 0, 0, 200 - n, 0, 0, 60 * 10**12) for n in (20, 20, 100)]
    assert days(host(models(off(-0.15, 0.15))), days_of * 10) == []
    assert days(host(models(off(0.0))), days_of * 10) != []


# -- early ------------------------------------------------------------------------------------------------------------


def nowcast(number, value):
    return window(number, nowcast_accuracy=Metric(value, value - 0.02, value + 0.02))


def test_an_early_incident_is_withdrawn_by_labels_or_confirmed_by_them():
    run = host()
    assert feed(run, nowcast(0, 0.5), nowcast(1, 0.5)) == [("estimated-performance", "opened", 0)]
    assert run.emitted[0].early
    assert feed(run, window(0, 180), time(0)) == [("estimated-performance", "withdrawn", 0)]
    run = host()
    feed(run, nowcast(0, 0.5))
    assert feed(run, window(0, 100), time(0)) == [
        ("performance", "opened", 0),
        ("estimated-performance", "resolved", 0),
    ]
    assert run.emitted[-1].cause == f"confirmed as {run.emitted[1].alert_id}"
    assert feed(run, nowcast(1, 0.5), nowcast(2, 0.5)) == [], "it is known already"


def test_an_early_incident_resolves_by_itself():
    run = host()
    assert feed(run, nowcast(0, 0.5), *(nowcast(number, 0.95) for number in range(1, 6)))[-1][1] == "resolved"
    assert feed(host(), nowcast(0, 0.9), nowcast(1, 0.9)) == []


# -- drift ------------------------------------------------------------------------------------------------------------


def drift(run, number, *names, p=1e-9, **changed):
    known = ("x", "y", "score")
    return feed(run, *(replace(report(number, name, name in names, p=p), **changed) for name in known))


def test_features_open_and_resolve_one_by_one_in_one_incident():
    run = host()
    assert drift(run, 0, "x") == []
    assert drift(run, 1, "x") == [("data-drift", "opened", 1)]
    assert drift(run, 2, "x", "y") == []
    assert drift(run, 3, "x", "y") == [("data-drift", "updated", 3)]
    assert drift(run, 4, "y") == []
    assert drift(run, 5, "y") == [("data-drift", "updated", 5)]
    assert [alert.features for alert in run.emitted] == [["x"], ["x", "y"], ["y"]]
    assert drift(run, 6) == []
    assert drift(run, 7) == [("data-drift", "resolved", 7)]
    assert {alert.early for alert in run.emitted} == {True}


def test_a_window_that_could_not_have_shown_the_drift_says_nothing_of_it():
    run = host()
    assert drift(run, 0, "x") + drift(run, 1, "x") == [("data-drift", "opened", 1)]
    assert [drift(run, number, threshold=0.4) for number in range(2, 9)] == [[]] * 7, "few rows: the drift was 0.3"
    assert feed(run, *(report(number, "score", False) for number in range(9, 12))) == [], "no report of the feature"
    assert drift(run, 12, "x", statistic=3.0, threshold=2.0) == [], (
        "few rows, and by chance a large one: it has not grown"
    )
    assert drift(run, 13, threshold=2.0) + drift(run, 14, threshold=2.0) == []
    assert drift(run, 15) == []
    assert drift(run, 16) == [("data-drift", "resolved", 16)]


def test_the_score_alone_is_prediction_drift_and_part_of_the_drift_of_inputs():
    run = host()
    assert [*drift(run, 0, "score"), *drift(run, 1, "score")] == [("prediction-drift", "opened", 1)]
    assert run.emitted[0].features == []
    assert drift(run, 2, "score", "x") == []
    assert drift(run, 3, "score", "x") == [("prediction-drift", "resolved", 3), ("data-drift", "opened", 3)]


def test_little_evidence_of_drift_does_not_open():
    run = host()
    assert [each for number in range(10) for each in drift(run, number, "x", p=0.2)] == []


def test_a_restated_window_withdraws_its_incident():
    run = host()
    drift(run, 0, "x")
    drift(run, 1, "x")
    assert drift(run, 1, revision=2) == [("data-drift", "withdrawn", 1)]


def test_performance_opens_by_itself_and_names_the_drift():
    run = host()
    drift(run, 0, "x")
    drift(run, 1, "x")
    assert days(run, [180, 100]) == [("performance", "opened", 1)]
    performance = run.emitted[-1]
    assert performance.cause.endswith("with drift of x")
    assert (performance.features, next(iter(performance.evidence))) == (["x"], "features")


def test_very_many_features_are_counted():
    run = host()
    for number in range(2):
        feed(run, *(report(number, f"f{n}", True) for n in range(2000)), report(number, "score", True))
    [alert] = run.emitted
    assert len(alert.features) == MOST_FEATURES
    assert alert.evidence["further"] == str(2001 - MOST_FEATURES)


# -- feeds ------------------------------------------------------------------------------------------------------------


def stream(run, hours, requests, labels):
    """Counts of a model each hour: the hours in which the last request and the last label came."""
    for hour in hours:
        seen, labelled = (3_600_000 * each(hour) or None for each in (requests, labels))
        total = replace(
            time(0), revision=hour, as_of=hour * 3_600_000, last_prediction_at=seen, last_outcome_at=labelled
        )
        run.feed(records_batch("metrics", [total], hour * 3_600_000))


def test_labels_and_requests_that_stop_and_come_again():
    hourly = {"window": 3_600_000, "horizon": 3 * 3_600_000}
    served = models()
    served.known["m"] = served.known["m"].model_copy(update=hourly)
    run = host(served, rollouts=rolled_out(m="v1"))
    bare = host(Models(served.known, {}), rollouts=rolled_out(m="v1"))
    stream(bare, (1, 2, 500), lambda hour: 1, lambda hour: 1)
    assert bare.emitted == []
    stream(run, range(1, 100), lambda hour: hour, lambda hour: max(0, hour - 2))
    assert run.emitted == []
    stream(run, range(100, 110), lambda hour: hour, lambda hour: 97)
    stream(run, range(110, 112), lambda hour: hour, lambda hour: hour)
    stream(run, range(112, 200), lambda hour: 111, lambda hour: 111 + (hour > 150))
    stream(run, range(200, 202), lambda hour: hour, lambda hour: hour)
    assert [(alert.kind, alert.state) for alert in run.emitted] == [
        ("labels-stopped", "opened"), ("labels-stopped", "resolved"),
        ("requests-stopped", "opened"), ("requests-stopped", "resolved"),
    ]  # fmt: skip
    assert [alert.at // 3_600_000 for alert in run.emitted] == [100, 110, 114, 200]


# -- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_bounded_and_far_windows_push_no_other_out():
    run = host()
    feed(run, *(window(10**9 + number, as_of=0) for number in range(MOST_WAITING + 100)))
    assert days(run, [180, 100]) == [("performance", "opened", 1)]
    assert len(list(run.store.scan(b"w", b"x"))) <= MOST_WAITING
    run = host()
    days(run, [180] * 300)
    assert len(list(run.store.scan(b"w", b"x"))) == 0
    assert sum(len(value) for _, value in run.store.scan(b"m", b"x")) < 4000


def test_unknown_models_are_passed_over():
    assert feed(host(Models()), window(0, 0), time(0), report(0, "score", True)) == []
