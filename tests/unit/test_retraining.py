"""When training is asked for, and when it is not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.retraining import table
from leadline.core.watch.retraining.machine import Machine
from leadline.core.watch.retraining.of_model import OfModel, Spoiling, UnderWay
from leadline.core.watch.retraining.retraining import Retraining
from leadline.core.watch.retraining.table import TABLE, Case, Event, State
from leadline.core.watch.retraining.triggers import Trigger
from leadline.records import RETRAIN, Alert, Command, CommandAnswer, JoinCounts, RetrainRequest, Training, Verdict
from leadline.settings import ModelSettings
from stages import Host, Models, records_batch, roll_out, rolled_out

DAY = 86_400_000
SETTINGS = ModelSettings(name="m", retrain_cooldown="7d", window="1d", horizon="1d")
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


COUNTS = JoinCounts("m", -1, 1, 0, *[0] * 16)


def with_training(**changed):
    """Models whose settings of the training are changed."""
    return Models({"m": SETTINGS.model_copy(update={"training": SETTINGS.training.model_copy(update=changed)})})


def host(models=None, fresh=False, rollouts=None):
    models, deployments = models or Models({"m": SETTINGS}), Deployments(rollouts or Table())
    return Host(lambda store: Retraining(store, models, deployments), fresh)


def feed(run, *alerts, arrival_ms=0):
    found = run.feed(records_batch("alerts", alerts, arrival_ms))
    return [emitted.alert_id for emitted in found if isinstance(emitted, RetrainRequest)]


def told(run, state, retrain_id=None, arrival_ms=0):
    """A trainer tells of the newest request."""
    retrain_id = retrain_id or [each.retrain_id for each in run.emitted if isinstance(each, RetrainRequest)][-1]
    training = Training(retrain_id, "m", state, 1, {"0": 5}, "", "", "t1", 0)
    assert run.feed(records_batch("trainings", [training], arrival_ms)) == []


def time(run, day, labels=0, arrival_ms=0):
    """The join has come so far; what is asked for then."""
    counts = replace(COUNTS, as_of=day * DAY, outcomes_used=labels, revision=day + 1)
    return run.feed(records_batch("metrics", [counts], arrival_ms))


def ask(run, command_id="c1", arrival_ms=0, model="m", **arguments):
    """A person asks; what is written."""
    command = Command(command_id, RETRAIN, model, "ada", "we sell elsewhere now", arguments, 0)
    return run.feed(records_batch("commands", [command], arrival_ms))


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


def test_one_at_a_time_until_a_trainer_tells_its_end():
    for end in ("succeeded", "failed", "cancelled"):
        run = host()
        assert feed(run, alert("a1", 1)) == ["a1"]
        told(run, "started")
        told(run, "progress")
        assert feed(run, alert("a2", 30)) == ["a2"]  # silent for 29 days: the same request once more
        assert [each.retrain_id for each in run.emitted] == [run.emitted[0].retrain_id] * 2
        told(run, "started")
        assert feed(run, alert("a1", 30, state="resolved"), alert("a3", 30)) == []
        told(run, end)
        assert feed(run, alert("a4", 60)) == ["a4"]


def test_what_a_trainer_tells_of_another_request_changes_nothing():
    run = host()
    feed(run, alert("a1", 1))
    told(run, "succeeded", "of-old")
    assert feed(run, alert("a2", 1)) == []


def test_cooldown_of_event_time():
    run = host()
    feed(run, alert("a1", 1))
    told(run, "succeeded")
    assert feed(run, alert("a2", 7)) == []
    assert feed(run, alert("a2", 8, state="updated")) == ["a2"]


def test_an_incident_that_waits_asks_when_it_may():
    """It is told of once; that the cooldown is over is told by time alone."""
    run = host()
    feed(run, alert("a1", 1))
    told(run, "failed")
    feed(run, alert("a2", 3), alert("a3", 3), alert("a3", 4, state="withdrawn"))
    assert time(run, 7) == []
    (request,) = time(run, 8)
    assert (request.alert_id, request.event_time, request.trigger) == ("a2", 8 * DAY, "alert")
    told(run, "succeeded")
    assert time(run, 90) == []


def test_an_alert_that_opens_again_asks_once():
    run = host()
    feed(run, alert("a1", 1), alert("a1", 2, state="resolved"))
    told(run, "succeeded")
    assert feed(run, alert("a1", 60)) == []


def test_a_replay_asks_for_nothing_more():
    run = host()
    log = [alert("a1", 1), alert("a1", 2, state="resolved"), alert("a2", 9)]
    assert feed(run, *log) == ["a1", "a2"]
    assert feed(run, *log[-1:]) == []
    assert feed(run, *log[-2:]) == []


def test_early_incidents_ask_where_the_settings_name_them():
    early = alert("a1", 1, kind="data-drift", early=True)
    assert feed(host(), early) == []
    assert feed(host(with_training(on=["data-drift"])), early) == ["a1"]
    assert feed(host(with_training(on=["data-drift"])), alert("a1", 1)) == []


def test_the_schedule_counts_from_the_champion_and_from_the_last_training():
    rollouts = rolled_out(m="v1")
    run = host(with_training(schedule=30 * DAY), rollouts=rollouts)
    assert [time(run, day, arrival_ms=1) for day in (1, 2, 30)] == [[]] * 3
    (request,) = time(run, 31, arrival_ms=1)
    assert (request.trigger, request.model_version, request.alert_id) == ("schedule", "v1", "")
    assert time(run, 90, arrival_ms=1)[0].retrain_id == request.retrain_id
    told(run, "succeeded", arrival_ms=1)
    assert time(run, 119, arrival_ms=1) == []
    (request,) = time(run, 120, arrival_ms=1)
    told(run, "succeeded", arrival_ms=1)
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    assert time(run, 140, arrival_ms=30) == []
    assert time(run, 169, arrival_ms=30) == []
    assert time(run, 170, arrival_ms=30)[0].model_version == "v2"


def test_no_version_answers_so_the_schedule_asks_for_nothing():
    assert time(host(with_training(schedule=DAY, new_labels=1)), 60, labels=100) == []


def test_new_labels_are_counted_without_those_that_were_taken_back():
    run = host(with_training(new_labels=100), rollouts=rolled_out(m="v1"))
    said = [(1, 1000), (2, 1099), (3, 1050), (4, 1099)]
    assert [time(run, *each, arrival_ms=1) for each in said] == [[]] * 4
    (request,) = time(run, 5, 1100, arrival_ms=1)
    assert (request.trigger, request.evidence) == ("labels", {"new_labels": "100"})
    told(run, "failed", arrival_ms=1)
    assert time(run, 30, 1199, arrival_ms=1) == []
    assert time(run, 31, 1200, arrival_ms=1) != []


def test_counts_of_an_older_revision_are_passed_over():
    run = host(with_training(new_labels=100), rollouts=rolled_out(m="v1"))
    time(run, 5, 1000, arrival_ms=1)
    time(run, 4, 900, arrival_ms=1)
    assert time(run, 6, 1099, arrival_ms=1) == []


SPOILT = alert("p1", 1, kind="pipeline", cause="x has missing values")


@pytest.mark.parametrize("kind", ["pipeline", "labels-biased", "labels-stopped", "requests-stopped"])
def test_do_not_retrain_mend_the_pipeline(kind):
    run = host(with_training(schedule=DAY), rollouts=rolled_out(m="v1"))
    time(run, 1, arrival_ms=1)
    opened = replace(SPOILT, kind=kind)
    (hold,) = run.feed(records_batch("alerts", [opened, replace(opened, state="updated")], 1))
    assert isinstance(hold, Verdict)
    assert (hold.at, hold.verdict, hold.version, hold.cause) == ("retraining", "hold", "v1", "p1")
    assert hold.reason == f"do not retrain: mend the pipeline: {kind} p1: x has missing values"
    assert hold.checks[0].outcome == "failed"
    assert run.feed(records_batch("alerts", [alert("a1", 2)], 1)) == [], "the cause is the same, and is told"
    assert [time(run, day, arrival_ms=1) for day in (3, 4, 5)] == [[], [], []], "the schedule asks"
    hold, answer = ask(run, arrival_ms=1)
    assert (hold.verdict, hold.actor, answer.answer, answer.reason) == ("hold", "ada", "refused", hold.reason)
    feed(run, replace(opened, state="resolved", window_end=6 * DAY), arrival_ms=1)
    assert "over since" in ask(run, "c2", arrival_ms=1)[-1].reason
    assert time(run, 7, arrival_ms=1) == []  # its windows, and their labels, come for a window and a horizon more
    (request,) = time(run, 8, arrival_ms=1)
    assert request.alert_id == "a1"


def test_an_incident_of_another_version_forbids_nothing():
    rollouts = rolled_out(m="v1")
    run = host(rollouts=rollouts)
    run.feed(records_batch("alerts", [SPOILT, alert("a1", 2)], 1))
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    assert feed(run, alert("a2", 3, model_version="v2"), arrival_ms=30) == ["a2"]


def test_a_person_asks_and_is_answered():
    run = host(rollouts=rolled_out(m="v1"))
    request, answer = ask(run, arrival_ms=5)
    assert (request.trigger, request.actor, request.command_id) == ("person", "ada", "c1")
    assert (request.cause, request.model_version, request.event_time) == ("we sell elsewhere now", "v1", 5)
    assert answer == CommandAnswer("c1", "m", RETRAIN, "accepted", f"asked for as {request.retrain_id}", 5)
    assert ask(run, arrival_ms=7) == [answer]
    assert ask(run, "c2", arrival_ms=7)[0].reason == f"{request.retrain_id} is under way"
    assert ask(run, "c2", arrival_ms=7, force="true")[0].reason == f"{request.retrain_id} is under way"
    told(run, "succeeded", arrival_ms=8)
    assert "cooldown ends at 1970-01-08" in ask(run, "c3", arrival_ms=9)[0].reason
    request, answer = ask(run, "c4", arrival_ms=9, force="true")
    assert answer.reason == f"asked for as {request.retrain_id}"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"model": "gone"}, "no model is called 'gone'"),
        ({"what": "1"}, "no arguments"),
        ({"force": "1"}, "no arguments"),
    ],
)
def test_a_person_is_refused(asked, reason):
    [answer] = ask(host(rollouts=rolled_out(m="v1")), arrival_ms=5, **asked)
    assert (answer.answer, reason in answer.reason) == ("refused", True)


def test_nobody_answers_so_there_is_nothing_to_train_again():
    assert "no version of 'm' answers" in ask(host(), arrival_ms=5)[0].reason


def test_the_budget_is_for_everybody():
    run = host(with_training(budget=2), rollouts=rolled_out(m="v1"))
    time(run, 1, arrival_ms=1)
    for number in range(2):
        assert ask(run, f"c{number}", arrival_ms=1, force="true")[-1].answer == "accepted"
        told(run, "failed", arrival_ms=1)
    assert "training.budget is 2" in ask(run, "c8", arrival_ms=1, force="true")[0].reason
    assert feed(run, alert("a1", 30), arrival_ms=1) == []
    assert feed(run, alert("a1", 32, state="updated"), arrival_ms=1) == ["a1"]


def test_a_time_that_nobody_knew_does_not_hold_up_what_comes():
    """A command before any count is as of its arrival, which may be years after the records of a replay."""
    run = host(rollouts=rolled_out(m="v1"))
    ask(run, arrival_ms=20_000 * DAY)
    told(run, "succeeded", arrival_ms=20_000 * DAY)
    assert time(run, 10, arrival_ms=20_000 * DAY) == []
    assert feed(run, alert("a1", 17), arrival_ms=20_000 * DAY) == ["a1"]


def test_done_when_another_version_answers():
    rollouts = rolled_out(m="v1")
    run = host(rollouts=rollouts)
    assert feed(run, alert("a1", 1), alert("a2", 2), arrival_ms=10) == ["a1"]
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    assert feed(run, alert("a3", 21, model_version="v2"), arrival_ms=21) == ["a3"]


def test_a_training_that_has_begun_goes_on_when_another_version_answers():
    rollouts = rolled_out(m="v1")
    run = host(rollouts=rollouts)
    feed(run, alert("a1", 21), arrival_ms=10)
    told(run, "started", arrival_ms=10)
    roll_out(rollouts, "m", "v2", arrival_ms=20)
    assert feed(run, alert("a3", 21, model_version="v2"), arrival_ms=21) == []
    told(run, "succeeded", arrival_ms=22)
    assert [each.alert_id for each in time(run, 28, arrival_ms=22)] == ["a3"]


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


# -- the table ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_table():
    page = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text()
    assert table.as_markdown() in page


def test_every_event_of_every_state_has_at_most_one_row_without_a_guard_and_it_is_the_last():
    for state, event in {(row.state, row.event) for row in TABLE}:
        guards = [row.guard for row in TABLE if (row.state, row.event) == (state, event)]
        assert table.ALWAYS not in guards[:-1]


@pytest.mark.parametrize("state", State)
def test_a_state_is_told_by_what_is_under_way(state):
    under_way = {
        State.IDLE: None, State.ASKED: UnderWay("r", "v", 0), State.TRAINING: UnderWay("r", "v", 0, begun=True),
    }  # fmt: skip
    assert table.state_of(OfModel(under_way=under_way[state])) == state


def test_the_state_is_bounded_whatever_comes():
    """Incidents, refusals and requests without end, with as much text as a record takes."""
    models = with_training(budget=1000, on=["performance"])
    run = host(models, rollouts=rolled_out(m="v1"))
    sizes = []
    for number in range(300):
        fat = {"cause": "x" * 100_000, "evidence": {"y": "z" * 100_000}}
        spoilt = [replace(SPOILT, alert_id=f"p{number}-{each}", **fat) for each in range(2)]
        asking = [alert(f"a{number}-{each}", 1, **fat) for each in range(2)]
        run.feed(records_batch("alerts", [*asking, *spoilt], 1))
        ask(run, f"c{number}", arrival_ms=1, force="true")
        told(run, "failed", arrival_ms=1)
        sizes.append(sum(len(value) for key, value in run.store.scan(b"m", b"n")))
    assert max(sizes) < 100_000
    assert sizes[-1] - sizes[-100] < 2_000
    held = json.loads(run.store.get(b"mm"))
    assert len(held["asked"]) == 300


def test_each_row_leads_where_it_says():
    """By the machine itself: every row is reached, and the state is then the one of the table."""
    reached = set()
    for row in TABLE:
        of = OfModel(clock=100 * DAY, arrival_ms=1, champion="v1", champion_since=0)
        if row.state is not State.IDLE:
            of.under_way = UnderWay("r", "v1", 100 * DAY, begun=row.state is State.TRAINING)
        machine_of(row, of)
        reached.add((row.state, row.event, row.guard.words))
        assert table.state_of(of) == row.then
    assert len(reached) == len(TABLE)


def machine_of(row, of):
    """Bring about the guard and the event of a row."""
    settings = SETTINGS.model_copy(update={"training": SETTINGS.training.model_copy(update={"budget": 1})})
    if row.guard in (table.LOST, table.SILENCE) and of.under_way:
        of.under_way.heard_at = 0
    if row.guard is table.SPOILT:
        of.spoiling["p"] = Spoiling("pipeline", "v1", "x")
    if row.guard is table.COOLING:
        of.asked_at = of.clock
    if row.guard is table.SPENT:
        of.asked = [of.clock]
    machine = Machine("m", of, settings)
    assert (
        table.row_for(row.event, Case(of, settings, Trigger("person", "v1", "why"))) == row or row.event is Event.SPOILT
    )
    match row.event:
        case Event.TRIGGER:
            assert machine.trigger(Trigger("person", "v1", "why"))[0] == row
        case Event.SPOILT:
            machine.alert(SPOILT)
        case Event.TOLD:
            machine.training(Training("r", "m", "progress", 1, {}, "", "", "t", 0))
        case Event.ENDED:
            machine.training(Training("r", "m", "failed", 1, {}, "", "", "t", 0))
        case Event.REPLACED:
            machine.know_champion("v2")
