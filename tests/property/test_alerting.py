"""Alerts open and resolve in pairs, say no more than they must, and depend on the log alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.performance.metrics import METRICS
from leadline.core.reference import ReferenceProfile
from leadline.core.watch.alerting import Alerting
from leadline.records import DriftReport, Metric, WindowMetrics
from leadline.settings import AlertLimits, ModelSettings
from stages import Host, Models, records_batch, version

STARTS = st.integers(-3, 8)
VERDICTS = st.sampled_from([True, True, False, False, None])
METRICS_LOG = st.lists(st.tuples(STARTS, VERDICTS, st.integers(1, 4)), max_size=40)


def models_with(open_after, resolve_after):
    limits = AlertLimits(reference=0.8, margin=0, open_after=open_after, resolve_after=resolve_after)
    known = ModelSettings(name="m", window=100, alerts=limits)
    return Models({"m": known}, {("m", "v1"): version(known, ReferenceProfile(1, [], {}))})


def window(start, bad, revision):
    named = dict.fromkeys(METRICS) | {"accuracy": Metric(0.5, 0.1, 0.7 if bad else 0.9)}
    counts = dict.fromkeys("predictions matched pending expired tp fp fn tn".split(), 9)
    coverage = None if bad is None else 1.0
    return WindowMetrics(
        model="m",
        model_version="v1",
        segment="*",
        window_start=start,
        window_end=start + 1,
        revision=revision,
        as_of=start + 1,
        state="mature",
        task="binary",
        **counts,
        coverage=coverage,
        **named,
    )


def reports(start, bad, revision):
    return [
        DriftReport(
            model="m",
            model_version="v1",
            window_start=start,
            window_end=start + 1,
            feature=name,
            kind=kind,
            method="psi+chi2",
            statistic=0.3,
            threshold=0.1,
            p_value=0.0,
            drifted=bool(bad),
            n=9,
            reference_n=9,
            revision=revision,
            as_of=0,
        )
        for name, kind in (("x", "numeric"), ("score", "score"))
    ]


def naive(log, open_after, resolve_after):
    """(state, newest judged window), one record at a time, from a plain reading of the rule."""
    held, judged_once, emitted, is_open = {}, set(), [], False
    for start, bad, revision in log:
        if start in held and revision < held[start][0]:
            continue
        held[start] = revision, bad
        news = bad is not None and start not in judged_once
        judged_once |= {start} if bad is not None else set()
        row = [held[each][1] for each in sorted(held) if held[each][1] is not None]
        newest = max((each for each in held if held[each][1] is not None), default=None)
        if not is_open and len(row) >= open_after and all(row[-open_after:]):
            is_open = True
            emitted.append(("opened", newest))
        elif is_open and len(row) >= resolve_after and not any(row[-resolve_after:]):
            is_open = False
            emitted.append(("resolved", newest))
        elif is_open and news:
            emitted.append(("updated", newest))
    return emitted


def check_pairs(alerts):
    """Each alert opens, is updated, resolves; the revision rises; one at a time."""
    current = None
    for before, alert in zip([None, *alerts], alerts, strict=False):
        assert before is None or alert.revision == before.revision + 1
        assert (alert.state == "opened") == (current is None)
        assert current in (None, alert.alert_id)
        current = None if alert.state == "resolved" else alert.alert_id


@given(METRICS_LOG, st.integers(1, 3), st.integers(1, 3), st.data())
@settings(max_examples=300)
def test_performance_alerts_follow_the_rule_however_the_log_is_cut(log, open_after, resolve_after, data):
    models = models_with(open_after, resolve_after)
    whole = Host(lambda store: Alerting(store, models))
    woken = Host(lambda store: Alerting(store, models), fresh=True)
    records = [window(*entry) for entry in log]
    whole.feed(records_batch("metrics", records))
    while records:
        size = data.draw(st.integers(1, 6))
        woken.feed(records_batch("metrics", records[:size]))
        records = records[size:]
    assert whole.emitted == woken.emitted
    assert [(alert.state, alert.window_start) for alert in whole.emitted] == naive(log, open_after, resolve_after)
    check_pairs(whole.emitted)


@given(st.lists(st.tuples(STARTS, st.booleans()), max_size=30), st.integers(1, 3), st.data())
@settings(max_examples=200)
def test_drift_alerts_follow_the_same_rule(entries, after, data):
    log = [(start, bad, revision) for revision, (start, bad) in enumerate(entries, 1)]
    models = models_with(after, after)
    run = Host(lambda store: Alerting(store, models), fresh=True)
    records = [report for entry in log for report in reports(*entry)]
    while records:
        size = data.draw(st.integers(1, 6))
        run.feed(records_batch("drift", records[:size]))
        records = records[size:]
    assert [(alert.state, alert.window_start) for alert in run.emitted] == naive(log, after, after)
    check_pairs(run.emitted)


@given(METRICS_LOG)
def test_a_record_that_comes_again_emits_nothing(log):
    models = models_with(2, 2)
    once, twice = (Host(lambda store: Alerting(store, models)) for _ in range(2))
    once.feed(records_batch("metrics", [window(*entry) for entry in log]))
    twice.feed(records_batch("metrics", [window(*entry) for entry in log for _ in range(2)]))
    assert twice.emitted == once.emitted
