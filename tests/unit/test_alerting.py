"""Alerts: when they open, tell more and resolve."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import fastavro
import numpy as np
import pytest

from leadline.core.join.join import Join
from leadline.core.models import Signature
from leadline.core.performance.metrics import METRICS
from leadline.core.performance.performance import Performance
from leadline.core.reference import ReferenceProfile
from leadline.core.scoring.routing import Deployments
from leadline.core.watch.alerting import MOST_FEATURES, MOST_WINDOWS, SPARE_WINDOWS, Alerting
from leadline.core.watch.drift import Drift
from leadline.core.watch.retraining import Retraining
from leadline.core.windows.reference_bins import build_profile
from leadline.records import DriftReport, Metric, WindowMetrics
from leadline.settings import AlertLimits, ModelSettings
from stages import Host, Models, partial, predictions_batch, records_batch, rolled_out, version

SCHEMAS = Path(__file__).parents[2] / "schemas"


def models(profile=None, **limits):
    limits = {"reference": 0.8, "margin": 0.05, **limits}
    settings = ModelSettings(name="m", window=100, alerts=AlertLimits(**limits), runbook="see the wiki")
    return Models({"m": settings}, {("m", "v1"): version(settings, profile)} if profile else {})


def window(number, high=0.9, coverage=0.9, revision=1, segment="*", metric="accuracy", low=0.1, over=True):
    named = dict.fromkeys(METRICS) | {metric: None if high is None else Metric((low + high) / 2, low, high)}
    counts = dict.fromkeys("predictions matched pending expired tp fp fn tn".split(), 9)
    return WindowMetrics(
        model="m",
        model_version="v1",
        segment=segment,
        window_start=number * 100,
        window_end=number * 100 + 100,
        revision=revision,
        as_of=number * 100 + (100 if over else 99),
        state="mature",
        task="binary",
        **counts,
        coverage=coverage,
        **named,
    )


def report(number, feature, drifted, revision=1):
    kind = "score" if feature == "score" else "numeric"
    return DriftReport(
        model="m",
        model_version="v1",
        window_start=number * 100,
        window_end=number * 100 + 100,
        feature=feature,
        kind=kind,
        method="psi+chi2",
        statistic=0.3,
        threshold=0.1,
        p_value=1e-9,
        drifted=drifted,
        n=500,
        reference_n=1000,
        revision=revision,
        as_of=0,
    )


def host(served=None, fresh=False):
    return Host(lambda store: Alerting(store, served or models()), fresh)


def feed(run, *records):
    return [(alert.state, alert.window_start // 100) for alert in run.feed(records_batch("metrics", records))]


def test_opens_after_two_bad_and_resolves_after_two_good():
    run = host()
    #                0     1     2       3       4     5     6       7
    highs = [0.9, 0.7, 0.9, 0.7, 0.74, 0.7, 0.9, 0.76, 0.9]
    states = [emitted for number, high in enumerate(highs) for emitted in feed(run, window(number, high))]
    assert states == [("opened", 4), ("updated", 5), ("updated", 6), ("resolved", 7)]
    opened, *_, resolved = run.emitted
    assert {alert.alert_id for alert in run.emitted} == {opened.alert_id}
    assert [alert.revision for alert in run.emitted] == [1, 2, 3, 4]
    assert (opened.severity, opened.kind, opened.segment, opened.runbook) == (
        "critical",
        "performance",
        "*",
        "see the wiki",
    )
    assert opened.evidence == {
        "metric": "accuracy", "value": "0.42", "interval": "0.1 to 0.74", "reference": "0.8", "limit": "0.75", "coverage": "0.9",
        "matched": "9", "windows": "1970-01-01T00:00:00.300Z, 1970-01-01T00:00:00.400Z",
    }  # fmt: skip
    assert resolved.window_end == 800
    assert run.keys[0] == opened.alert_id.encode()
    assert run.routes[0] == b"m"


def test_windows_without_labels_are_passed_over():
    run = host()
    emitted = feed(
        run,
        window(0, 0.7),
        window(1, 0.7, coverage=0.4),
        window(2, 0.7, coverage=None),
        window(3, None),
        window(4, 0.7),
    )
    assert emitted == [("opened", 4)]
    assert feed(run, window(5, 0.9), window(6, 0.9, coverage=0.1)) == [("updated", 5)]


def test_a_window_is_judged_when_it_is_over():
    run = host()
    assert feed(run, window(0, 0.7), window(1, 0.7, over=False)) == []
    assert feed(run, window(1, 0.7, revision=2)) == [("opened", 1)]


def test_a_restated_window_tells_only_when_the_state_changes():
    run = host()
    feed(run, window(0, 0.7), window(1, 0.7))
    assert feed(run, window(1, 0.72, revision=2), window(0, 0.71, revision=2)) == []
    assert feed(run, window(0, 0.9, revision=1), window(1, 0.9, revision=1)) == []
    assert feed(run, window(0, 0.9, revision=3), window(1, 0.9, revision=3)) == [("resolved", 1)]


def test_order_of_arrival_does_not_matter_for_the_row():
    assert feed(host(), window(5, 0.7), window(3, 0.9), window(4, 0.7)) == [("opened", 5)]
    assert feed(host(), window(5, 0.7), window(3, 0.7), window(4, 0.9)) == [("opened", 5), ("updated", 5)]


def test_segments_are_their_own_subjects_and_warn():
    run = host()
    emitted = feed(run, window(0, 0.7), window(0, 0.7, segment="a=b"), window(1, 0.9), window(1, 0.7, segment="a=b"))
    assert emitted == [("opened", 1)]
    assert (run.emitted[0].severity, run.emitted[0].segment) == ("warning", "a=b")


def test_an_interval_that_reaches_the_limit_is_good():
    assert feed(host(models(reference=0.5, margin=0.25)), window(0, 0.25), window(1, 0.25)) == []
    errors = (window(number, 2.0, metric="mae", low=0.75) for number in range(2))
    assert feed(host(models(metric="mae", reference=0.5, margin=0.25)), *errors) == []


@pytest.mark.parametrize(("low", "bad"), [(0.84, False), (0.86, True)])
def test_less_is_better_for_errors(low, bad):
    run = host(models(metric="mae"))
    emitted = feed(run, *(window(number, 2.0, metric="mae", low=low) for number in range(2)))
    assert emitted == ([("opened", 1)] if bad else [])


def test_the_reference_is_that_of_the_version_where_none_is_set():
    bad = window(0, 0.7), window(1, 0.7)
    assert feed(host(models(reference=None)), *bad) == []
    assert feed(host(models(ReferenceProfile(1, [], {"auc": 0.9}), reference=None)), *bad) == []
    assert feed(host(models(ReferenceProfile(1, [], {"accuracy": 0.8}), reference=None)), *bad) == [("opened", 1)]
    assert feed(host(models(ReferenceProfile(1, [], {"accuracy": 0.7}), reference=None)), *bad) == []


def test_one_drift_alert_for_all_features_of_a_window():
    run = host()
    first = report(0, "x", True), report(0, "y", False), report(0, "score", False)
    assert feed(run, *first) == []
    assert feed(run, report(1, "x", False), report(1, "y", True)) == []
    assert feed(run, report(1, "score", True)) == [("opened", 1)]
    (alert,) = run.emitted
    assert (alert.kind, alert.severity) == ("drift", "warning")
    assert alert.evidence["numeric y"] == alert.evidence["score"] == "psi 0.3 above 0.1, p 1e-09, n 500"
    assert set(alert.evidence) == {"numeric y", "score", "windows"}


def test_half_a_restatement_changes_nothing():
    run = host()
    feed(run, report(0, "x", True), report(0, "score", False), report(1, "x", True), report(1, "score", False))
    feed(run, report(2, "x", False), report(2, "score", False))
    assert [alert.state for alert in run.emitted] == ["opened", "updated"]
    assert feed(run, report(1, "x", False, revision=2)) == []
    assert feed(run, report(1, "score", False, revision=1)) == []
    assert feed(run, report(1, "score", False, revision=2)) == [("resolved", 2)]


def remembered(run):
    ((_, value),) = run.store.scan(b"a", b"b")
    return sorted(start // 100 for start, *_ in json.loads(value)[0])


def test_windows_are_forgotten_by_time_but_those_that_decide():
    """Horizon and grace are three windows long. Whatever is older is ignored; two windows that are far apart still open an alert."""
    served = models()
    served.known["m"] = served.known["m"].model_copy(update={"horizon": 200, "grace": 100})
    run = host(served)
    feed(run, *(window(number, 0.9) for number in range(1000, 1100)))
    assert remembered(run) == list(range(1099 - 3 - SPARE_WINDOWS, 1100))
    assert feed(run, *(window(number, 0.7, over=False) for number in range(500, 600))) == []
    assert feed(run, *(window(number, 0.7) for number in (5000, 9000))) == [("opened", 9000)]
    assert remembered(run) == [1099, 5000, 9000]


def test_windows_that_are_not_over_push_no_other_out():
    """Some events are of the year 9000."""
    run = host()
    feed(run, *(window(10**9 + number, 0.9, over=False) for number in range(2 * MOST_WINDOWS)))
    assert feed(run, window(0, 0.7), window(1, 0.7)) == [("opened", 1)]


def test_memory_is_bounded():
    run = host()
    feed(run, *(window(number, 0.9) for number in range(3 * MOST_WINDOWS)))
    assert remembered(run) == list(range(2 * MOST_WINDOWS, 3 * MOST_WINDOWS))
    run = host()
    feed(run, *(report(0, f"f{n}", True) for n in range(2000)), report(0, "score", True))
    feed(run, *(report(1, f"f{n}", True) for n in range(2000)), report(1, "score", True))
    [alert] = run.emitted
    assert alert.evidence["further"] == str(2000 - MOST_FEATURES)
    assert len(alert.evidence) == MOST_FEATURES + 3


def test_unknown_models_are_passed_over():
    assert feed(host(Models()), window(0, 0.1), window(1, 0.1), report(0, "score", True)) == []


def test_from_scores_and_partials_to_alerts_and_one_retrain_request():
    """Inputs and quality change from window 3 on: a drift alert, a performance alert, one request."""
    rng = np.random.default_rng(21)
    signature = Signature("s", ["x"], [], {})
    profile = build_profile(signature, rng.normal(size=(5000, 1)), rng.uniform(size=5000), {"accuracy": 0.9})
    served = models(profile, reference=None)
    served.versions["m", "v1"] = version(served.known["m"], profile, signature=signature)
    join = Host(lambda store: Join(0, store, served), True, "window-profiles")
    stages = [
        Host(lambda store, make=make: make(store), fresh=True)
        for make in (
            lambda store: Drift(store, served), lambda store: Performance(store, served),
            lambda store: Alerting(store, served), lambda store: Retraining(store, served, Deployments(rolled_out(m="v1"))),
        )
    ]  # fmt: skip
    drift, performance, alerting, retraining = stages
    for number in range(6):
        moved = number >= 3
        closed = join.feed(predictions(number * 100, rng.normal(2 * moved, 1, 400), rng.uniform(size=400)))
        alerting.feed(records_batch("drift", drift.feed(records_batch("window-profiles", closed))))
        right = [(0.9, float(rng.uniform() < (0.6 if moved else 0.9)), 1) for _ in range(400)]
        emitted = performance.feed(
            records_batch("window-partials", [partial(right, start=number * 100, as_of=number * 100 + 100)])
        )
        alerting.feed(records_batch("metrics", emitted))
    assert [(alert.kind, alert.state, alert.window_start) for alert in alerting.emitted] == [
        ("performance", "opened", 400), ("drift", "opened", 400), ("performance", "updated", 500),
    ]  # fmt: skip
    requests = retraining.feed(records_batch("alerts", alerting.emitted))
    assert [request.alert_id for request in requests] == [alerting.emitted[0].alert_id]
    assert requests[0].cause.startswith("accuracy 0.")
    for stage in (join, *stages):
        for record in stage.emitted:
            assert fastavro.validate(asdict(record), schema(record))


def predictions(start, values, scores):
    """A window's predictions; arrival is at the window's start, so that it closes with the next one."""
    features = [[value] for value in values.tolist()]
    rows = zip(range(start * len(values), (start + 1) * len(values)), scores.tolist(), features, strict=True)
    return predictions_batch([(name, "v1", start, *row) for name, *row in rows], start)


def schema(record):
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(record).__name__).lower()
    return json.loads((SCHEMAS / f"{name}.avsc").read_text("utf-8"))
