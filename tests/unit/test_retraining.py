"""When training is asked for, and when it is not."""

from dataclasses import replace

import pytest

from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.retraining import Retraining
from leadline.records import Alert
from leadline.settings import ModelSettings
from stages import Host, Models, records_batch, roll_out, rolled_out

DAY = 86_400_000
SETTINGS = ModelSettings(name="m", retrain_cooldown="7d")
EVIDENCE = {
    "metric": "accuracy", "value": "0.7", "interval": "0.68 to 0.72", "reference": "0.8", "limit": "0.78", "coverage": "0.9",
    "matched": "900", "windows": "Monday, Tuesday",
}  # fmt: skip
OPENED = Alert(
    alert_id="a1",
    kind="performance",
    severity="critical",
    state="opened",
    model="m",
    model_version="v1",
    segment="*",
    window_start=0,
    window_end=DAY,
    revision=1,
    evidence=EVIDENCE,
    runbook="",
)


def host(models=None, fresh=False, rollouts=None):
    models, deployments = models or Models({"m": SETTINGS}), Deployments(rollouts or Table())
    return Host(lambda store: Retraining(store, models, deployments), fresh)


def feed(run, *alerts, arrival_ms=0):
    return [emitted.alert_id for emitted in run.feed(records_batch("alerts", alerts, arrival_ms))]


def alert(alert_id, day, **changed):
    return replace(OPENED, alert_id=alert_id, window_end=day * DAY, **changed)


def test_a_request_names_its_cause():
    run = host()
    (emitted,) = run.feed(records_batch("alerts", [OPENED]))
    assert (emitted.model, emitted.model_version, emitted.event_time, emitted.alert_id) == ("m", "v1", DAY, "a1")
    assert (
        emitted.cause
        == "accuracy 0.7 (0.68 to 0.72) is worse than its limit 0.78 (reference 0.8) in the windows of Monday, Tuesday"
    )
    assert emitted.evidence == EVIDENCE
    assert run.keys == [b"m"]
    assert host().feed(records_batch("alerts", [OPENED]))[0].retrain_id == emitted.retrain_id


@pytest.mark.parametrize(
    "changed",
    [
        *(
            {"kind": kind}
            for kind in ("data-drift", "prediction-drift", "estimated-performance", "labels-biased", "pipeline")
        ),
        *({"state": state} for state in ("resolved", "withdrawn")),
        {"segment": "a=b"},
        {"early": True},
        {"model": "other"},
    ],
)
def test_nothing_else_asks_for_training(changed):
    assert feed(host(), replace(OPENED, **changed)) == []


def test_an_incident_that_spreads_to_all_asks_then():
    run = host()
    assert feed(run, alert("a1", 1, segment="a=b"), alert("a1", 2, state="updated", kind="concept-drift")) == ["a1"]
    assert feed(run, alert("a1", 30, state="updated")) == []


def test_only_the_version_that_answers_is_trained_again():
    rollouts = rolled_out(m="v1")
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    run = host(rollouts=rollouts)
    assert feed(run, alert("a1", 1), arrival_ms=30) == []
    assert feed(run, alert("a2", 1, model_version="v2"), arrival_ms=30) == ["a2"]


def test_single_flight_until_resolved():
    run = host()
    assert feed(run, alert("a1", 1), alert("a2", 30, model_version="v2")) == ["a1"]
    assert feed(run, alert("a9", 31, state="resolved"), alert("a3", 32)) == []
    assert feed(run, alert("a1", 33, state="resolved"), alert("a4", 34)) == ["a4"]
    assert feed(run, alert("a4", 35, state="withdrawn"), alert("a5", 50)) == ["a5"]


def test_cooldown_of_event_time():
    run = host()
    feed(run, alert("a1", 1), alert("a1", 2, state="resolved"))
    assert feed(run, alert("a2", 7)) == []
    assert feed(run, alert("a3", 8)) == ["a3"]


def test_an_alert_that_opens_again_asks_once():
    run = host()
    feed(run, alert("a1", 1), alert("a1", 2, state="resolved"))
    assert feed(run, alert("a1", 60)) == []


def test_a_replay_asks_for_nothing_more():
    run = host()
    log = [alert("a1", 1), alert("a1", 2, state="resolved"), alert("a2", 9)]
    assert feed(run, *log) == ["a1", "a2"]
    assert feed(run, *log[-1:]) == []
    assert feed(run, *log[-2:]) == []


def test_done_when_another_version_answers():
    rollouts = rolled_out(m="v1")
    run = host(rollouts=rollouts)
    assert feed(run, alert("a1", 1), alert("a2", 20), arrival_ms=10) == ["a1"]
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    assert feed(run, alert("a3", 21, model_version="v2"), arrival_ms=21) == ["a3"]


def test_a_rollout_is_not_known_to_an_alert_that_arrived_before_it():
    """However late the alert is read. At the same time, either may have been first: the alert is."""
    rollouts = rolled_out(m="v1")
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    for arrival_ms, asked in ((19, []), (20, []), (21, ["a2"])):
        run = host(rollouts=rollouts)
        feed(run, alert("a1", 1), arrival_ms=10)
        assert feed(run, alert("a2", 20, model_version="v2"), arrival_ms=arrival_ms) == asked


def test_it_makes_no_difference_whether_the_version_can_be_loaded_here():
    rollouts = rolled_out(m="v1")
    roll_out(rollouts, "m", "not-here", arrival_ms=20)
    run = host(rollouts=rollouts)
    assert feed(run, alert("a1", 1), arrival_ms=10) == ["a1"]
    assert feed(run, alert("a2", 20, model_version="not-here"), arrival_ms=30) == ["a2"]


def test_models_do_not_wait_for_each_other():
    models = Models({"m": SETTINGS, "n": SETTINGS})
    steady, woken = host(models), host(models, fresh=True)
    for emitted in (alert("a1", 1), alert("b1", 1, model="n"), alert("a1", 1, state="resolved"), alert("a2", 20)):
        assert feed(steady, emitted) == feed(woken, emitted)
    assert [request.alert_id for request in steady.emitted] == ["a1", "b1", "a2"]
