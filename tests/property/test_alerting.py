"""Confirmed incidents depend on the counts at maturity alone: not on how a log is cut, in what order windows come, or what comes twice."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from incidents import counts, models, reference, report, time, window
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from stages import Host, records_batch

SEGMENTS = {"weak": 0.6, "strong": 0.95}
SERVED = models(reference(**SEGMENTS))
GOOD = {"*": 180, "weak": 120, "strong": 190}
WORSE = st.sampled_from([0, 0, 0, 0, 2, 8, 30, 80])
DAY = st.fixed_dictionaries(dict.fromkeys(GOOD, WORSE))
STREAM = st.lists(st.tuples(DAY, st.integers(0, 150)), min_size=1, max_size=10)


def records(stream):
    """The windows of each day, as they are when they are not over, and at maturity."""
    days = []
    for number, (worse, missing) in enumerate(stream):
        rights = {
            segment: counts(max(0, GOOD[segment] - by - missing), missing=missing) for segment, by in worse.items()
        }
        early = [window(number, segment=segment) for segment in rights]
        days.append((early, [window(number, right, segment=segment) for segment, right in rights.items()]))
    return days


def live(days):
    """Windows come one after the other, each mature long after its end."""
    log = []
    for number, (early, _) in enumerate(days):
        log += early
        if number >= 3:
            log += [*days[number - 3][1], time(number - 3)]
    for number in range(max(0, len(days) - 3), len(days)):
        log += [*days[number][1], time(number)]
    return log


def at_once(days, random):
    """All is mature when it is first seen, in any order; then time is told."""
    log = [each for _, mature in days for each in mature]
    random.shuffle(log)
    return [*log, time(len(days) - 1)]


def told(log, random, most):
    run, log = Host(lambda store: Alerting(store, SERVED, Deployments(Table())), fresh=True), list(log)
    while log:
        size = random.randint(1, most)
        run.feed(records_batch("metrics", log[:size]))
        log = log[size:]
    check(run.emitted)
    return run.emitted


def check(alerts):
    """An incident opens once, its revision rises, and it is over once; one of performance at a time."""
    seen = {}
    for alert in alerts:
        before = seen.get(alert.alert_id)
        assert (alert.state == "opened") == (before is None)
        assert alert.revision == (before.revision + 1 if before else 1)
        assert before is None or before.state not in ("resolved", "withdrawn")
        seen[alert.alert_id] = alert
    open_ones = [alert for alert in seen.values() if alert.state in ("opened", "updated")]
    assert len([alert for alert in open_ones if alert.kind in ("performance", "concept-drift")]) <= 1


@given(STREAM, st.integers(0, 2**32).map(Random))
@settings(max_examples=30)
def test_the_same_incidents_live_and_at_once_however_the_log_is_cut(stream, random):
    days = records(stream)
    one = told(live(days), random, 1)
    assert told(live(days), random, 9) == one
    assert told(at_once(days, random), random, 9) == one
    assert told([each for each in live(days) for _ in range(2)], random, 9) == one


@given(STREAM, st.integers(0, 2**32).map(Random))
@settings(max_examples=30)
def test_a_correction_opens_nothing_and_reaches_no_evidence(stream, random):
    """However bad the windows become afterwards."""
    days = records(stream)
    log = live(days)
    worse = [
        replace(each, revision=9, tp=0, fp=each.matched, fn=0, tn=0)
        for _, mature in days
        for each in mature
        if each.matched
    ]
    opened = [alert.alert_id for alert in told(log, random, 9) if alert.state == "opened"]
    with_corrections = told([*log, *worse], random, 9)
    assert [alert.alert_id for alert in with_corrections if alert.state == "opened"] == opened


DRIFTS = st.lists(st.tuples(st.integers(-3, 8), st.sets(st.sampled_from(["x", "y", "score"]))), max_size=12)


@given(DRIFTS, st.integers(0, 2**32).map(Random))
@settings(max_examples=30)
def test_drift_opens_and_resolves_however_the_log_is_cut(entries, random):
    log = [
        report(start, name, name in drifted, revision=revision)
        for revision, (start, drifted) in enumerate(entries, 1)
        for name in ("x", "y", "score")
    ]
    assert told(log, random, 1) == told(log, random, 9)
