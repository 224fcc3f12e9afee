"""A rollout as it is told: who asked, what each look said, each step, how it ended; and what the log does not hold any more."""

import json
from dataclasses import replace
from random import Random

import pytest

from commands import run
from leadline.cli import rollout, rollout_status, rollout_story
from leadline.core.release.story import Heard, ahead, story, summary
from leadline.records import ABORT, PAUSE, ROLL_BACK, START, Command, VersionHealth, WorkerHealth
from leadline.settings import RolloutSettings
from rollouts_told import (
    ALERTS,
    BACK,
    CANARY,
    CHANGES,
    COMMANDS,
    COMPARED,
    EVERYTHING,
    HOUR,
    ID,
    PAUSED,
    STARTED,
    VERDICTS,
    at,
    compared,
    verdict,
)


def heard(*records):
    found = Heard("m")
    for each in records:
        found.add(each)
    return found


def kinds(found):
    return [(each.kind, each.at // HOUR) for each in found.told]


def test_a_rollout_is_told_from_its_gate_to_its_end():
    found = story(heard(*EVERYTHING), ID)
    assert (found.champion, found.challenger, found.state, found.began, found.ended) == (
        "v1",
        "v2",
        "rolled-back",
        HOUR,
        40 * HOUR,
    )
    assert kinds(found) == [
        ("verdict", 0), ("command", 1), ("change", 1), ("verdict", 25), ("change", 25), ("command", 26), ("change", 26), ("command", 27),
        ("verdict", 28), ("verdict", 29), ("verdict", 40), ("change", 40), ("incident", 40),
    ]  # fmt: skip
    text = [each.text for each in found.told]
    assert text[1] == "ann asked to start v2 (mode shadow): try it. It was accepted."
    assert text[2] == "In shadow: v2 scores 25 % of the requests beside v1, and answers nobody. (by ann: try it)"
    assert text[4] == "Canary, step 1: v2 answers 1 % of the requests, v1 the rest. (by rollout: as the policy says)"
    assert text[7] == "eve asked to start v3: mine first. It was refused: v2 is under way: abort it first."
    assert (
        text[9] == "4 looks until 1970-01-02T08:00:00Z said the same at canary: hold, the last one: look 6 says hold."
    )
    assert text[11] == "Rolled back: v2 answers nobody any more, v1 answers all requests. (by rollout: worse)"
    assert found.missing == []


def test_a_reason_is_told_once():
    begins = replace(
        verdict(8, 1, "hold", "shadow"), checks=[], reason="the rollout begins (shadow): try it", actor="ann"
    )
    worse = replace(verdict(9, 40, "roll-back"), reason="worse")
    found = story(heard(*EVERYTHING, begins, worse), ID)
    assert [each.text for each in found.told if "try it" in each.text] == [
        "ann asked to start v2 (mode shadow): try it. It was accepted.",
        "In shadow: v2 scores 25 % of the requests beside v1, and answers nobody. (by ann: try it)",
    ]
    assert "Rolled back: v2 answers nobody any more, v1 answers all requests." in [each.text for each in found.told]


def test_the_pairs_are_those_of_windows_that_were_due_at_their_highest_revision():
    found = story(heard(*EVERYTHING, compared(0, 31, 10, revision=2), compared(0, 99, 10, revision=1)), ID)
    assert (found.tally.better, found.tally.same, found.tally.worse, found.tally.pairs) == (30, 190, 51, 271)
    assert (found.tally.unlike, found.tally.waiting) == (4, 99)
    assert list(summary(found))[2] == (
        "Of 271 requests that both scored, v2 alone was right in 30, v1 alone in 51; in 190 they did not differ."
    )


def test_the_order_in_which_topics_are_read_changes_nothing():
    shuffled = list(COMMANDS)
    Random(1).shuffle(shuffled)
    other = heard(*ALERTS, *COMPARED, *shuffled, *reversed(CHANGES), *VERDICTS, *CHANGES)
    assert story(other, ID) == story(heard(*EVERYTHING), ID)


def test_what_was_compacted_away_is_told_by_what_is_left_and_said_to_be_missing():
    assert heard(BACK).ids() == [ID]
    found = story(heard(BACK, *VERDICTS), ID)
    assert [each.text for each in found.told if each.kind == "change"] == [
        "v1 answers all requests; v2 answers nobody, and scores beside it. Why is not in the log any more.",
        "v2 answers 1 % of the requests, v1 the rest. Why is not in the log any more.",
        "Rolled back: v2 answers nobody any more, v1 answers all requests. (by rollout: worse)",
    ]
    assert found.began == HOUR
    assert found.missing == ["how it began, before 1970-01-02T16:00:00Z, is not in the log"]
    found = story(heard(STARTED, BACK), ID)
    assert found.missing == [
        "2 changes between 1970-01-01T01:00:00Z and 1970-01-02T16:00:00Z are not in the log",
        "the verdict or command c-1, of which a change came, is not in the log",
        "the verdict or command v-7, of which a change came, is not in the log",
    ]


def test_a_second_rollout_is_another_story():
    second = at("shadow", 6, 50, rollout_id="r-2", challenger="v3", shares={"v3": 0.0})
    later = [
        second,
        replace(verdict(8, 51, "hold", "shadow"), version="v3", cause="r-2"),
        Command("c-9", PAUSE, "m", "ann", "wait", {}, 51 * HOUR),
    ]
    known = heard(*EVERYTHING, *later)
    assert known.ids() == [ID, "r-2"]
    assert story(known, ID) == story(heard(*EVERYTHING), ID)
    assert kinds(story(known, "r-2")) == [("change", 50), ("command", 51), ("verdict", 51)]
    assert story(known, "r-3") is None


@pytest.mark.parametrize("command_kind", [START, PAUSE, ABORT, ROLL_BACK])
def test_a_command_that_nobody_answered_is_told(command_kind):
    asked = Command("c-8", command_kind, "m", "ann", "now", {"version": "v2"}, 30 * HOUR)
    assert f"ann asked to {command_kind} v2: now. Nobody has answered." in str(story(heard(*EVERYTHING, asked), ID))


@pytest.mark.parametrize(
    ("rollout", "waits", "then"),
    [
        (STARTED, "the end of the time in shadow at 1970-01-02T01:00:00Z, with good guardrails", "v2 answers 1 %"),
        (CANARY, "the end of this step at 1970-01-02T02:00:00Z, and nothing that speaks against it", "v2 answers 5 %"),
        (at("canary", 3, 1, step=3), "and the verdict promote", "v2 is champion, once it is proven"),
        (PAUSED, "leadline rollout resume", "it goes on where it was"),
        (at("watched", 9, 1), "the labels of its first windows", "back to v0"),
        (at("ab", 9, 1), "a person", "nothing by itself"),
        (BACK, "nothing", "no rollout is under way"),
    ],
)
def test_what_is_ahead(rollout, waits, then):
    found = ahead(rollout, RolloutSettings())
    assert waits in found.waits_for
    assert then in found.then


def test_a_change_may_claim_any_time():
    assert ahead(at("shadow", 1, 0, event_time=2**63 - 1), RolloutSettings()).waits_for.startswith(
        "the end of the time in shadow at 2922"
    )


# -- the commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch, tmp_path):
    """What the topics say; ``told(...)`` tells it."""
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")

    def tell(*records, workers=()):
        async def one(*_):
            return heard(*records)

        async def all_(*_):
            return {"m": heard(*records)}, list(workers)

        async def none(*_):
            return {}

        for module in (rollout_story, rollout_status):
            monkeypatch.setattr(module, "broker", lambda: (type("S", (), {"prefix": "p"}), "b"))
        monkeypatch.setattr(rollout_story, "heard", one)
        monkeypatch.setattr(rollout_status, "standing", all_)
        monkeypatch.setattr(rollout_status, "live_settings", none)

    return tell


HEALTH = WorkerHealth(
    "w1", "0.2.0", "running", 0, 0, [], [], {"m v2": "its file is broken"}, [], {},
    scored=[VersionHealth("m", "v2", "challenger", 2000, 3, 20, 0.8), VersionHealth("m", "v1", "shadow", 0, 0, 0, 0, "too slow")],
)  # fmt: skip


def test_a_story_is_readable_at_80_columns(told, capsys):
    told(*EVERYTHING)
    assert run(["rollout", "story", "m"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith(
        "m: rollout r-1 of v2 beside v1\nIt began 1970-01-01T01:00:00Z and ended 1970-01-02T16:00:00Z: rolled-back.\n"
    )
    assert run(["rollout", "story", "m", ID, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["better"], found["worse"], len(found["events"])) == ("rolled-back", 30, 50, 13)
    assert found["events"][2]["record"]["shares"] == {"v2": 0.0}
    assert run(["rollout", "story", "m", "r-9"]) == 1
    assert "m had no rollout r-9: the newest are r-1" in capsys.readouterr().err


def test_a_status_says_how_far_it_is_and_what_it_waits_for(told, capsys):
    told(*[each for each in EVERYTHING if each not in (BACK, VERDICTS[-1])], workers=[HEALTH])
    assert run(["rollout", "status"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    flat = " ".join(out.split())
    for part in (
        "m: paused canary, step 1, of v2, rollout r-1", "v2 answers 1 % of the requests, v1 the rest. So since 1970-01-02T02:00:00Z",
        "pairs of v2: 270: 30 better, 190 same, 50 worse; 4 differ and lack a label; of 99 the labels are not due",
        "last verdict, 1970-01-02T08:00:00Z: hold: look 6 says hold.", "promote of *: no-evidence (0.7, the limit is 20): too little",
        "waits for: a person: `leadline rollout resume`", "2,000 requests in ten minutes, 3 without a score, 0.4 ms each",
        "v1 as shadow on worker w1: stopped: too slow", "worker and version w1 v2: it cannot be used: its file is broken",
    ):  # fmt: skip
        assert part in flat, out
    assert run(["rollout", "status", "m", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["pairs"], found["verdict"], found["under_way"]) == ("paused", 270, "hold", True)
    two = at("ab", 3, 1, mode="ab", shares={"v2": 0.3, "v3": 0.2})
    told(two, *COMPARED, replace(COMPARED[0], challenger="v3"))
    assert run(["rollout", "status", "m", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], {name: each["pairs"] for name, each in found["versions"].items()}) == (
        270,
        {"v2": 270, "v3": 135},
    )


def test_a_status_where_none_is_under_way(told, capsys):
    told(*EVERYTHING)
    assert run(["rollout", "status"]) == 0
    assert "m: v1 answers, and no rollout is under way; its last rollout ended: rolled-back" in " ".join(
        capsys.readouterr().out.split()
    )
    told(CHANGES[0])
    assert run(["rollout", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["under_way"] is False
    assert run(["rollout", "story", "m"]) == 1
    assert run(["rollout", "status", "other"]) == 1


def test_promote_promotes_nothing_of_a_rollout_that_is_over(monkeypatch, capsys):
    """Its version is named in the newest record still, and would begin again."""

    async def newest(*_):
        return {"m": BACK}

    monkeypatch.setattr(rollout, "broker", lambda: (type("S", (), {"prefix": "p"}), "b"))
    monkeypatch.setattr(rollout, "rollouts", newest)
    assert run(["rollout", "promote", "m", "--reason", "r"]) == 1
    assert "no rollout of m is under way: name the version" in capsys.readouterr().err
