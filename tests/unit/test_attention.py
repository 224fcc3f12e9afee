"""Commands about incidents: who looks at one, and what nobody wants to hear of for a while."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents import SIZE, models, reference, time, window
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.silences import MOST_SILENCES
from leadline.records import Alert, Command, CommandAnswer
from stages import Host, records_batch

SERVED = models(reference(weak=0.6))
DAY_MS = 86_400_000


def host(fresh=True):
    return Host(lambda store: Alerting(store, SERVED, Deployments(Table())), fresh)


def tell(run, at, *records):
    """Feed records that arrive at a time; what was told of incidents and answered."""
    return run.feed(records_batch("commands", records, at))


def acknowledge(alert_id, number=1, actor="ada"):
    return Command(f"a{number}", "acknowledge", "m", actor, "I look", {"alert_id": alert_id}, 0)


def silence(for_, number=1, kind="performance", segment="", model="m"):
    said = {"kind": kind, "for": for_} | ({"segment": segment} if segment else {})
    return Command(f"s{number}", "silence", model, "ada", "known", said, 0)


def bad(number):
    return window(number, 100), window(number, 60, segment="weak", tp=0), time(number)


def good(number):
    return window(number, 190), window(number, 130, segment="weak"), time(number)


def attention(alert):
    return alert.state, alert.acknowledged_by, alert.acknowledged_at, alert.silenced_until


def opened(run, at=0):
    """An incident of performance."""
    told = tell(run, at, *bad(0))
    assert [each.state for each in told] == ["opened"]
    return told[0]


def test_who_looks_at_an_incident_is_told_from_then_on():
    run = host()
    incident = opened(run)
    updated, answer = tell(run, 50, acknowledge(incident.alert_id))
    assert updated == replace(incident, state="updated", revision=2, at=50, acknowledged_by="ada", acknowledged_at=50)
    assert (answer.answer, answer.reason) == ("accepted", "performance of m v1 is acknowledged")
    resolved = [each for number in range(1, 9) for each in tell(run, 60, *good(number))]
    assert [(*attention(each), each.revision) for each in resolved] == [("resolved", "ada", 50, None, 3)]
    [answer] = tell(run, 70, acknowledge(incident.alert_id, 2))
    assert (answer.answer, answer.reason.partition(" is open")[0]) == (
        "refused",
        f"no incident '{incident.alert_id}' of 'm'",
    )


def test_a_command_that_comes_again_gets_its_answer_and_does_nothing():
    run = host()
    incident = opened(run)
    first = tell(run, 50, acknowledge(incident.alert_id))
    assert tell(run, 60, acknowledge(incident.alert_id, actor="bob")) == first[1:]
    assert tell(run, 70, silence("1d"))[1:] == tell(run, 80, silence("3d"))


def test_a_silence_says_until_when_and_ends_by_itself():
    run = host()
    incident = opened(run)
    updated, answer = tell(run, 1000, silence("2d"))
    until = 1000 + 2 * DAY_MS
    assert (updated.alert_id, *attention(updated)) == (incident.alert_id, "updated", "", None, until)
    assert answer.reason == "performance is silenced until 1970-01-03T00:00:01Z"
    resolved = [each for number in range(1, 9) for each in tell(run, 2000, *good(number))]
    assert [attention(each) for each in resolved] == [("resolved", "", None, until)]
    again = [each for number in range(9, 12) for each in tell(run, until - 1, *bad(number))]
    assert [attention(each) for each in again] == [("opened", "", None, until)]
    told = tell(run, until, time(11, revision=99))
    assert [(each.alert_id, *attention(each)) for each in told] == [(again[0].alert_id, "updated", "", None, None)]


def test_a_silence_can_be_ended_and_is_of_its_kind_and_segment_alone():
    run = host()
    tell(run, 10, silence("1d", 1, kind="calibration"), silence("1d", 2, segment="weak"))
    incident = opened(run, 20)
    assert incident.silenced_until is None
    assert attention(tell(run, 30, silence("1d", 3))[0])[3] == 30 + DAY_MS
    told, answer = tell(run, 40, silence("0s", 4))
    assert (attention(told), answer.reason) == (("updated", "", None, None), "performance is told of again")


def test_what_comes_before_a_silence_is_not_silenced():
    run = host()
    tell(run, 1000, silence("1d"))
    assert opened(run, 999).silenced_until is None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (silence("1d", kind="noise"), "'noise' is no kind of incident: choose from calibration, concept-drift"),
        (silence("soon"), "for: 'soon' is not a duration"),
        (silence("366d"), "a silence is for 365d at most"),
        (silence("0s"), "performance is not silenced"),
        (silence("1d", model="n"), "no model is called 'n' where the worker looks for models"),
        (acknowledge("i1"), "no incident 'i1' of 'm' is open"),
        (replace(acknowledge("i1"), arguments={}), "no incident '' of 'm' is open"),
    ],
)
def test_what_cannot_be_is_refused(command, said):
    [answer] = tell(host(), 0, command)
    assert (answer.answer, answer.reason[: len(said)]) == ("refused", said)


def test_commands_of_other_kinds_are_left_to_the_stages_that_own_them():
    assert tell(host(), 0, replace(silence("1d"), kind="configure"), replace(silence("1d"), kind="promote")) == []


def test_silences_of_a_model_are_so_many_and_no_more():
    run = host()
    many = [silence("1d", number, segment=f"s{number}") for number in range(MOST_SILENCES + 1)]
    assert [each.answer for each in tell(run, 0, *many)] == ["accepted"] * MOST_SILENCES + ["refused"]
    assert [each.answer for each in tell(run, DAY_MS, time(0), replace(many[-1], command_id="later"))] == ["accepted"]


COMMANDS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.builds(
            lambda for_, kind, segment: silence(for_, kind=kind, segment=segment),
            st.sampled_from(["0s", "150ms", "1d"]),
            st.sampled_from(["performance", "calibration"]),
            st.sampled_from(["", "weak"]),
        ),
    ),
    max_size=8,
)


@given(st.lists(st.booleans(), min_size=1, max_size=12), COMMANDS, st.integers(0, 2**32).map(Random))
@settings(max_examples=40)
def test_commands_change_nothing_in_what_is_found_however_the_log_is_cut(days, commands, random):
    log = []
    for number, is_bad in enumerate(days):
        asked = [replace(each, command_id=f"c{at}") for at, (day, each) in enumerate(commands) if day == number]
        log += [(number * SIZE, each) for each in [*(bad if is_bad else good)(number), *asked]]
    one, cut = run_of(log, random, 1), run_of(log, random, 9)
    assert one == cut
    without = run_of([(at, each) for at, each in log if not isinstance(each, Command)], random, 9)
    assert [found(each) for each in one if isinstance(each, Alert) and each.state != "updated"] == [
        found(each) for each in without if each.state != "updated"
    ]
    check(one)


def run_of(log, random, most):
    run, log = host(), list(log)
    while log:
        size = random.randint(1, most)
        times = [at for at, _ in log[:size]]
        batch = records_batch("metrics", [each for _, each in log[:size]])
        batch.arrival_ms[:] = times
        run.feed(batch)
        log = log[size:]
    return sorted(run.emitted, key=lambda each: isinstance(each, CommandAnswer))


def found(alert):
    return alert.alert_id, alert.state, alert.window_start, alert.cause, alert.at


def check(emitted):
    """Revisions rise by one."""
    revisions = {}
    for alert in (each for each in emitted if isinstance(each, Alert)):
        assert alert.revision == revisions.get(alert.alert_id, 0) + 1
        revisions[alert.alert_id] = alert.revision
    assert all(isinstance(each, Alert | CommandAnswer) for each in emitted)
