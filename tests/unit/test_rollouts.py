"""Rollouts: each way of the table, each guardrail, and what persons ask for."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from leadline.core.release.rollouts import looking, table
from leadline.core.release.rollouts.assignments import MOST_EARLIER
from leadline.core.release.rollouts.guardrails import deviation
from leadline.core.release.rollouts.table import TABLE, Event, State
from leadline.core.tables import Table
from leadline.records import Comparison, LiveSetting, LiveSettings, PairPartial, Rollout, Verdict
from leadline.settings import ApprovalSettings
from leadline.topology import Task, step
from rollouts import DAY, GOOD, HOUR, MINUTE, PROFILE, Stage, settings
from stages import records_batch

SHADOW, CANARY, AB, WATCHED = State.SHADOW, State.CANARY, State.AB, State.WATCHED


def begun(**rollout):
    stage = Stage(settings(**rollout))
    stage.gate("v2")
    assert (stage.rollout.state, stage.rollout.shares) == (SHADOW, {"v2": 0.0})
    return stage


def in_canary(**rollout):
    stage = begun(**rollout)
    stage.wait(2 * HOUR + 1)
    assert (stage.rollout.state, stage.rollout.shares) == (CANARY, {"v2": 0.1})
    return stage


def watched(**rollout):
    stage = begun(**rollout)
    assert stage.command("promote", "v2")[0] == "accepted"
    assert (stage.rollout.state, stage.rollout.champion, stage.rollout.shares) == (WATCHED, "v2", {"v1": 0.0})
    return stage


# -- the table and its page -------------------------------------------------------------------------------------------


def test_the_page_has_the_table_and_the_diagram():
    page = (Path(__file__).parents[2] / "docs" / "rollouts.md").read_text("utf-8")
    assert table.as_markdown() in page
    assert f"```mermaid\n{table.as_mermaid()}```" in page


def test_every_state_can_be_come_to_and_no_row_is_behind_one_that_always_holds():
    assert {row.then for row in TABLE} | {State.NONE} == set(State)
    closed = set()
    for row in TABLE:
        for state in row.states:
            assert (state, row.event) not in closed
            closed |= {(state, row.event)} if row.guard is table.ALWAYS else set()
    assert {row.event for row in TABLE} == set(Event)


# -- by time and evidence ---------------------------------------------------------------------------------------------


def test_a_better_version_goes_all_the_way_and_every_record_follows_the_one_before():
    stage = begun()
    stage.pairs(better=20, worse=2, windows=4)
    stage.wait(DAY + HOUR)
    made = stage.of(Rollout)
    ways = [(each.state, each.champion, each.shares) for each in made]
    assert ways == [
        ("", "v1", {}), ("shadow", "v1", {"v2": 0.0}), ("canary", "v1", {"v2": 0.1}), ("canary", "v1", {"v2": 0.5}),
        ("watched", "v2", {"v1": 0.0}), ("settled", "v2", {}),
    ]  # fmt: skip
    assert [each.revision for each in made] == [1, 2, 3, 4, 5, 6]
    assert made[0].effective_at == 0
    for before, each in pairwise(made):
        assert each.effective_at == each.event_time + 3000
        assert [e.champion for e in each.earlier[:1]] == [before.champion]
        assert each.earlier[0].effective_at == before.effective_at
    assert {each.salt for each in made[1:5]} == {made[1].rollout_id} != {""}
    assert (made[-1].rollout_id, made[-1].before, made[-1].challenger) == ("", "v1", "v2")
    verdicts = {each.verdict_id: each for each in stage.of(Verdict)}
    assert verdicts[made[4].cause].verdict == "promote"
    assert {each.cause for each in verdicts.values() if each.at != "gate"} - {"g2"} == {made[1].rollout_id}


def test_a_promotion_waits_for_the_bake_and_steps_of_more_than_half_for_the_proof():
    stage = begun(steps=[0.1, 0.9], bake="12h", shadow=0)
    stage.pairs(better=20, worse=2, windows=4)
    assert (stage.said()[-1], stage.rollout.shares) == ((CANARY, "promote"), {"v2": 0.1})
    stage.wait(12 * HOUR)
    assert stage.rollout.shares == {"v2": 0.9}
    stage.wait(12 * HOUR + MINUTE)
    assert stage.rollout.state == WATCHED
    unproven = begun(steps=[0.9], shadow=0)
    unproven.wait(DAY)
    assert unproven.rollout.state == SHADOW


def test_what_is_no_better_stays_at_its_last_step():
    stage = begun()
    stage.pairs(better=5, worse=5, windows=20)
    assert (stage.rollout.state, stage.rollout.step) == (CANARY, 1)
    assert len(stage.said()) <= 25


def test_without_automatic_and_in_ab_a_person_promotes_what_is_proven():
    stage = begun(automatic=False)
    stage.pairs(better=20, worse=2, windows=5)
    assert stage.rollout.state == CANARY
    assert stage.of(Verdict)[-1].verdict == "promote"
    assert "leadline rollout promote" in stage.of(Verdict)[-1].reason
    assert "before it is proven" not in stage.command("promote", "v2")[1]
    assert stage.rollout.state == WATCHED


def test_what_is_worse_is_rolled_back_and_cools_down():
    stage = begun()
    stage.pairs(worse=20, better=2, windows=4)
    assert stage.said()[-1] == (CANARY, "roll-back")
    [verdict] = [each for each in stage.of(Verdict) if each.verdict == "roll-back"]
    assert "evidence" in verdict.reason
    assert any(check.outcome == "failed" for check in verdict.checks)
    assert (stage.rollout.state, stage.rollout.champion, stage.rollout.shares) == (State.ROLLED_BACK, "v1", {})
    assert stage.rollout.cause == verdict.verdict_id
    stage.gate("v2")
    assert stage.rollout.state == State.ROLLED_BACK, "the stage does not begin it again"
    assert "leadline rollout start m v2" in stage.of(Verdict)[-1].reason
    assert stage.command("start", "v2")[0] == "accepted", "a person may"
    assert stage.rollout.state == SHADOW
    assert "v2" in stage.command("abort")[1]
    stage.wait(8 * DAY)
    stage.gate("v2")
    assert stage.rollout.state == SHADOW


def test_a_late_rollback_goes_to_the_champion_before_and_a_further_one_not_to_the_bad_one():
    stage = begun(watch="30d")
    stage.pairs(better=12, worse=6, both=80, windows=6)
    assert stage.rollout.champion == "v2"
    stage.pairs(worse=14, better=6, both=80, windows=9)
    assert stage.said()[-1] == ("watch", "roll-back")
    assert (stage.rollout.state, stage.rollout.champion, stage.rollout.before) == (State.ROLLED_BACK, "v1", "")
    assert stage.command("roll-back")[0] == "refused"


@pytest.mark.parametrize(("policy", "state"), [("abort", "aborted"), ("hold", "shadow"), ("promote", "watched")])
def test_a_deadline_is_inconclusive_and_then_the_policy_says(policy, state):
    stage = begun(deadline="6h", on_deadline=policy, shadow="1d")
    stage.wait(DAY - HOUR)
    assert stage.rollout.state == state
    told = [each.verdict for each in stage.of(Verdict) if each.at == "shadow"]
    assert (told.count("inconclusive"), "promote" in told) == (1, False)


def test_automatic_promotions_share_one_budget_and_a_persons_begins_it_anew():
    stage = begun(margin=0.02, budget=0.03)
    stage.pairs(better=20, worse=2, windows=4)
    stage.command("abort")
    assert (stage.rollout.state, stage.rollout.champion) == (State.SETTLED, "v2")
    stage.gate("v3", against="v2")
    looked = stage.pairs(better=20, worse=2, windows=4, others=("v2", "v3"))
    assert stage.rollout.champion == "v3"
    limits = [c.reason for each in looked if isinstance(each, Verdict) for c in each.checks if c.name == "budget"]
    assert limits
    assert stage.rollout.state == WATCHED


# -- guardrails -------------------------------------------------------------------------------------------------------

GUARDS = {
    "failed": ("v2", "shadow", 1000, 30, 100, 1.0),
    "slower": ("v2", "shadow", 1000, 0, 100, 11.0),
    "stopped": ("v2", "shadow", 1000, 0, 100, 1.0, "it took more than 2 GiB"),
}


@pytest.mark.parametrize("name", GUARDS)
def test_a_broken_guardrail_rolls_back_at_the_next_look(name):
    stage = begun()
    stage.tell(GOOD, GUARDS[name], told_at=stage.now - 4 * MINUTE)
    stage.wait(MINUTE)
    assert stage.rollout.state == SHADOW, "what was told long ago does not count"
    stage.tell(GOOD, GUARDS[name])
    stage.wait(11_000)
    assert stage.rollout.state == State.ROLLED_BACK
    [verdict] = [each for each in stage.of(Verdict) if each.verdict == "roll-back"]
    [bad] = [check for check in verdict.checks if check.outcome == "failed"]
    assert (bad.name, bad.reason) == (name, verdict.reason)


def test_a_champion_since_its_promotion_is_guarded_too():
    stage = watched()
    stage.tell(("v1", "shadow", 1000, 0, 100, 1.0), ("v2", "champion", 1000, 100, 100, 1.0))
    stage.wait(11_000)
    assert (stage.rollout.state, stage.rollout.champion) == (State.ROLLED_BACK, "v1")


def test_small_batches_are_not_slow_and_few_failures_are_chance():
    stage = begun()
    stage.tell(("v1", "champion", 100_000, 0, 1000, 10.0), ("v2", "challenger", 1000, 4, 1000, 5.0))
    stage.wait(HOUR)
    assert stage.rollout.state == SHADOW


@pytest.mark.parametrize(
    ("champion", "version", "is_broken"),
    [
        ((1000, 100), (1000, 105), False),
        ((100_000, 10_000), (1000, 130), False),
        ((100_000, 10_000), (1000, 160), True),
        ((3, 0), (100, 30), False),
        ((100_000, 0), (1000, 4), False),
        ((100_000, 100_000), (1000, 1000), False),
        ((10, 2**62), (10, 2**62), False),
        ((0, 0), (20, 10), False),
        ((0, 0), (20, 20), True),
    ],
)
def test_requests_that_nobody_can_score_are_no_fault_of_a_version(champion, version, is_broken):
    """What fails is held against it where it is more than of the champion's, and no chance."""
    stage = begun()
    stage.tell(("v1", "champion", *champion, 10, 0.1), ("v2", "shadow", *version, 10, 0.1))
    stage.wait(11_000)
    assert (stage.rollout.state == State.ROLLED_BACK) is is_broken
    if is_broken:
        assert "champion" in stage.of(Verdict)[-1].reason


def test_scores_that_are_apart_are_seen_by_the_pairs():
    stage = begun()
    [compared] = [each for each in stage.pairs() if isinstance(each, Comparison)]
    far = replace(compared.counts, both=200, second_score_sum=0, first_score_sum=200 * 10**12)
    stage.pairs(counts=far, mature=far)
    assert stage.rollout.state == State.ROLLED_BACK
    assert "standard deviations" in stage.of(Verdict)[-1].reason
    assert deviation(PROFILE) == pytest.approx(0.28, abs=0.01)


def test_a_worker_that_cannot_load_it_holds_it_and_says_so_once():
    stage = begun()
    for _ in range(3 * 30):
        stage.tell(GOOD, unusable={"m v2": "no module named boosted"})
        stage.wait(2 * MINUTE)
    assert stage.rollout.state == SHADOW
    told = [each for each in stage.of(Verdict) if "cannot load" in each.reason]
    assert [each.verdict for each in told] == ["hold"]
    stage.tell(GOOD, ("v2", "shadow", 1000, 0, 100, 1.0))
    stage.wait(11_000)
    assert stage.rollout.state == CANARY


def test_what_nobody_scores_with_does_not_leave_shadow():
    stage = begun()
    for _ in range(3 * 30):
        stage.tell(GOOD)
        stage.wait(2 * MINUTE)
    assert stage.rollout.state == SHADOW
    assert "no worker tells that it has scored with v2" in stage.of(Verdict)[-1].reason


# -- persons ----------------------------------------------------------------------------------------------------------


def test_paused_it_stays_and_is_still_guarded():
    stage = in_canary()
    assert stage.command("pause")[0] == "accepted"
    assert stage.command("pause")[0] == "refused"
    stage.wait(DAY)
    assert (stage.rollout.state, stage.rollout.shares, stage.rollout.mode) == (State.PAUSED, {"v2": 0.1}, "canary")
    assert stage.command("resume", "v3")[0] == "refused"
    assert stage.command("resume", "v2")[0] == "accepted"
    stage.wait(HOUR - MINUTE)
    assert stage.rollout.step == 0, "the bake begins anew"
    stage.wait(2 * MINUTE)
    assert stage.rollout.step == 1
    stage.command("pause")
    stage.tell(GOOD, GUARDS["failed"])
    stage.wait(11_000)
    assert stage.rollout.state == State.ROLLED_BACK


@pytest.mark.parametrize("kind", ["abort", "roll-back"])
def test_a_person_takes_it_out_at_once(kind):
    stage = in_canary()
    assert stage.command(kind)[0] == "accepted"
    assert (stage.rollout.champion, stage.rollout.shares, stage.rollout.mode) == ("v1", {}, "none")
    assert stage.rollout.state == {"abort": "aborted", "roll-back": "rolled-back"}[kind]
    assert stage.of(Verdict)[-1].actor == "ann"
    for each in ("pause", "resume", "abort"):
        assert "leadline rollout start" in stage.command(each)[1]


def test_a_persons_promotion_skips_the_evidence_and_says_so():
    stage = in_canary()
    answer, reason = stage.command("promote", "v2")
    assert answer == "accepted"
    assert "before it is proven" in reason
    assert "before it is proven" in stage.rollout.reason
    assert stage.of(Verdict)[-1].actor == "ann"


def test_rolled_back_by_a_person_while_watched_and_without_a_rollout():
    stage = watched()
    assert stage.command("roll-back")[0] == "accepted"
    assert (stage.rollout.champion, stage.rollout.state) == ("v1", State.ROLLED_BACK)
    stage = watched()
    stage.command("abort")
    assert stage.rollout.state == State.SETTLED
    assert stage.command("roll-back")[0] == "accepted"
    assert (stage.rollout.champion, stage.rollout.before, stage.rollout.state) == ("v1", "v2", "")


def test_rejected_by_a_person_or_the_gate_it_is_over():
    stage = in_canary()
    assert stage.command("reject", "v2")[0] == "accepted"
    assert (stage.rollout.state, stage.rollout.shares) == (State.REJECTED, {})
    stage = in_canary()
    stage.gate("v2", "reject")
    assert stage.rollout.state == State.REJECTED
    assert "rejected" in stage.command("start", "v2")[1]


def test_another_version_by_hand_ends_it():
    stage = in_canary()
    stage.show([Rollout("m", "v9", stage.now, "eve", "by hand")])
    stage.wait(11_000)
    assert stage.of(Verdict)[-1].verdict == "inconclusive"
    assert "by hand" in stage.of(Verdict)[-1].reason
    assert stage.rollout.state == CANARY, "nothing is written over it"
    assert stage.command("promote", "v1")[0] == "accepted"
    assert stage.rollout.before == "v9"


def test_ab_has_fixed_shares_until_somebody_ends_it():
    stage = Stage()
    stage.gate("v3", "hold")
    for shares in ("v2=0.3,v2=0.2", "v2=0.6,v1=0.3", "v2=0.6,v9=0.5", "v9=0.1", "v2", "v2=-1", "v2=0.3,v3=0.2"):
        assert stage.command("start", "v2", mode="ab", shares=shares)[0] == "refused", shares
    stage.gate("v3", "promote", against="v0")
    assert stage.command("start", "v2", mode="ab", shares="v2=0.3, v3=0.2")[0] == "accepted"
    stage.pairs(better=20, worse=2, windows=4)
    assert (stage.rollout.state, stage.rollout.shares) == (AB, {"v2": 0.3, "v3": 0.2})
    assert stage.said()[-1] == (AB, "promote")
    assert stage.command("promote", "v3")[0] == "accepted"
    assert (stage.rollout.champion, stage.rollout.shares) == ("v3", {"v1": 0.0})


STARTS = {
    "a first champion": ({}, "v9", "not where the worker looks"),
    "the champion": ({}, "v1", "is the champion"),
    "an odd mode": ({"mode": "odd"}, "v2", "is no mode"),
    "shares without ab": ({"shares": "v2=0.1"}, "v2", "for mode ab"),
    "no version": ({}, "", "names no version"),
}


@pytest.mark.parametrize("what", STARTS)
def test_what_may_not_start_is_refused_with_what_to_do(what):
    arguments, version, said = STARTS[what]
    stage = Stage()
    answer, reason = stage.command("start", version, **arguments)
    assert (answer, said in reason) == ("refused", True), reason


def test_a_candidate_that_the_gate_has_not_passed_or_that_persons_have_to_agree_to_does_not_start():
    stage = Stage()
    stage.gate("v2", "hold")
    assert "the gate says" in stage.command("start", "v2")[1]
    stage = Stage(settings(approval=ApprovalSettings(policy="one")))
    stage.command("approve", "v1", actor="bob")
    stage.gate("v2")
    assert "leadline approve m v2" in stage.command("start", "v2")[1]
    assert stage.command("approve", "v2", actor="bob") == ("accepted", "the rollout of v2 beside v1 begins: shadow")
    assert stage.rollout.actor == "bob"
    stage.command("abort")
    assert "policy is one" in stage.command("start", "v2")[1]


def test_a_canary_may_begin_without_shadow():
    stage = Stage()
    assert stage.command("start", "v2", mode="canary")[0] == "accepted"
    assert (stage.rollout.state, stage.rollout.shares) == (CANARY, {"v2": 0.1})


# -- one at a time ----------------------------------------------------------------------------------------------------


def test_a_second_one_is_refused_and_what_is_approved_meanwhile_waits():
    stage = in_canary()
    assert "leadline rollout abort m" in stage.command("start", "v3")[1]
    stage.gate("v3")
    assert stage.rollout.challenger == "v2"
    assert "v3 is approved and waits" in stage.of(Verdict)[-1].reason
    assert "waits for the end" in stage.command("promote", "v3")[1]
    stage.command("abort")
    assert [(each.state, each.challenger) for each in stage.of(Rollout)[-2:]] == [("aborted", "v2"), ("shadow", "v3")]
    assert stage.rollout.actor == "gate"


def test_what_has_waited_is_over_where_another_version_became_champion():
    stage = in_canary()
    stage.gate("v3")
    stage.command("promote", "v2")
    stage.command("abort")
    assert (stage.rollout.champion, stage.rollout.state) == ("v2", State.SETTLED)
    assert (stage.of(Verdict)[-1].verdict, stage.of(Verdict)[-1].version) == ("inconclusive", "v3")


def test_the_champion_again_leaves_the_rollout_as_it_is():
    stage = in_canary()
    assert stage.command("promote", "v1") == ("accepted", "v1 is champion again")
    again, before = stage.rollout, stage.of(Rollout)[-2]
    assert (again.shares, again.state, again.effective_at) == (before.shares, before.state, before.effective_at)
    stage.wait(HOUR + MINUTE)
    assert stage.rollout.step == 1


def test_the_history_is_bounded_and_comparisons_are_the_champions_first():
    stage = Stage(settings(begin="at-once"))
    for number in range(2 * MOST_EARLIER):
        stage.command("promote", ["v2", "v1"][number % 2])
        stage.wait(1000)
    assert len(stage.rollout.earlier) == MOST_EARLIER
    times = [stage.rollout.effective_at, *(each.effective_at for each in stage.rollout.earlier)]
    assert times == sorted(set(times), reverse=True)
    stage = Stage()
    stage.command("promote", "v3")
    stage.command("promote", "v3")
    stage.command("abort")
    stage.command("start", "v2")
    stage.pairs(better=20, worse=2, others=("v3", "v2"))
    [compared] = stage.of(Comparison)
    assert (compared.champion, compared.challenger, compared.counts.second) == ("v3", "v2", 20)


def test_settings_that_are_changed_while_workers_run_hold():
    stage = Stage()
    live = LiveSettings("m", [LiveSetting("rollout.begin", '"at-once"', "ann", "", "c", 0)], "ann", "", "c", 1, 0)
    tables = {"rollouts": stage.shown, "workers": stage.workers, "model-settings": Table()}
    stage.make = lambda store: step("rollout").processor(Task(0, store, stage.models, tables))
    stage.gate("v2")
    assert stage.rollout.state == SHADOW
    stage.command("abort")
    tables["model-settings"].apply(replace(records_batch("model-settings", [live]), keys=[b"m"]))
    stage.gate("v3")
    assert (stage.rollout.champion, stage.rollout.state) == ("v3", "")


def test_corrections_are_looked_at_every_ten_seconds_at_most(monkeypatch):
    stage, looked = in_canary(), []
    real = looking.look
    monkeypatch.setattr(looking, "look", lambda *said: looked.append(stage.now) or real(*said))
    start = stage.now // HOUR * HOUR
    [compared] = [each for each in stage.pairs() if isinstance(each, Comparison)]
    looked.clear()
    for number in range(2, 50):
        stage.now += 1000
        pair = PairPartial(
            "m", "v1", "v2", "*", start, start + HOUR, 0, 1.0, stage.now, stage.now, "mature", "binary",
            replace(compared.counts, both=50 + number), compared.counts,
        )  # fmt: skip
        stage.give(pair)
    assert 4 <= len(looked) <= 5
