"""Requests that become dead letters: workers count them, and alerting tells of them."""

from collections import Counter
from dataclasses import replace

from incidents import models, time
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from leadline.hosts.health import Health
from leadline.records import WorkerHealth
from stages import Host, records_batch, rolled_out

MINUTE, DAY = 60_000, 86_400_000


def told(table, minute, worker="w1", asked=0, **refused):
    record = WorkerHealth(
        worker, "1", "running", 0, minute * MINUTE, [], [], {}, [], {}, asked={"m": asked}, refused={"m": refused}
    )
    table.apply(replace(records_batch("workers", [record], minute * MINUTE), keys=[worker.encode()]))


def host(table):
    run = Host(lambda store: Alerting(store, models(), Deployments(rolled_out(m="v1")), table), fresh=True)
    run.feed(records_batch("metrics", [time(0)]))
    return run


def passed(run, minute):
    return [(each.state, each.severity) for each in run.pass_time(minute * MINUTE + 5)]


def test_the_share_of_all_workers_opens_one_incident_and_resolves_at_half_of_the_limit():
    table = Table()
    run = host(table)
    assert run.stage.wake_at_ms is None
    told(table, 1, asked=1000, late=0)
    assert run.stage.wake_at_ms == MINUTE
    assert passed(run, 2) == []
    told(table, 2, asked=1000, **{"feature-missing": 40, "too-long": 5})
    told(table, 2, "w2", asked=200, **{"feature-missing": 40})
    assert passed(run, 2) == [], "what is of this minute is not whole"
    assert passed(run, 3) == [("opened", "warning")]
    [opened] = run.emitted
    assert opened.cause == "85 of 1200 requests of ten minutes became dead letters: feature-missing 80, too-long 5"
    assert (opened.kind, opened.model_version, opened.at) == ("pipeline", "v1", 3 * MINUTE)
    for minute, refused in ((3, 40), (4, 20), (5, 45)):
        told(table, minute, asked=1000, late=refused)
        told(table, minute, "w2", asked=0)
    assert [each for minute in (4, 5, 6) for each in passed(run, minute)] == [("resolved", "warning")]
    assert [alert.alert_id for alert in run.emitted[:2]] == [opened.alert_id] * 2
    told(table, 7, asked=1000, late=100)
    told(table, 8, asked=1000, late=900)
    told(table, 9, asked=1000, late=100)
    states = [each for minute in (8, 9, 10) for each in passed(run, minute)]
    assert states == [("opened", "warning"), ("updated", "critical")]
    assert passed(run, 30) == [], "no worker has told anything lately, so nothing is known"


def test_a_few_refused_requests_are_no_incident():
    table = Table()
    run = host(table)
    told(table, 1, asked=10, late=10)
    assert passed(run, 2) == []


def test_a_worker_counts_the_last_ten_minutes(monkeypatch):
    health, now = Health(), [0]
    monkeypatch.setattr("leadline.hosts.health._now_ms", lambda: now[0])
    for minute in range(30):
        now[0] = minute * MINUTE
        health.scored(Counter(m=10), Counter({("m", "late"): 1}))
    assert health.scored_lately() == (Counter(m=100), Counter({("m", "late"): 10}))
    now[0] += 20 * MINUTE
    assert health.scored_lately() == (Counter(), Counter())


def test_requests_that_become_dead_letters_have_not_stopped():
    table = Table()
    run = host(table)
    told(table, 1, asked=100, late=100)
    assert passed(run, 2) == [("opened", "critical")]
    hours = [replace(time(0), revision=at, as_of=at * DAY, last_prediction_at=DAY) for at in range(2, 9)]
    run.feed(records_batch("metrics", hours, 8 * DAY))
    assert [alert.kind for alert in run.emitted] == ["pipeline"]
    told(table, 3, asked=100)
    passed(run, 4)
    run.feed(records_batch("metrics", [replace(hours[-1], revision=9, as_of=9 * DAY)], 9 * DAY))
    assert [alert.kind for alert in run.emitted] == ["pipeline", "pipeline", "requests-stopped"]
