"""What `leadline model promote` makes of what workers tell."""

from dataclasses import replace

import pytest

from leadline.cli.approval import check, fields, lines
from leadline.cli.promotion import Asked, NotTakenError, Promotion, _Watch
from leadline.records import Command, CommandAnswer, Rollout, StageHealth, WorkerHealth
from leadline.settings import SettingsError

ROLLOUT = Rollout("m", "v2", 0, "ann", "better")
SCORING = StageHealth("scoring", "running", 0, [0], 0, 0, 0, 0, None, "")


def worker(name, **changes):
    sound = WorkerHealth(name, "0.1.0", "running", 0, 0, [SCORING], [], {}, [], {}, {"m": "v1"})
    return replace(sound, **changes)


def watch(*scoring):
    made = Promotion(ROLLOUT, "v1", asked=True, workers={each.worker_id: "silent" for each in scoring})
    return made, _Watch(made, None, list(scoring))


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ({"answers": {"m": "v2"}}, {"a": ""}),
        ({"unusable": {"m v2": "broken"}}, {"a": "broken"}),
        ({"unusable": {"m": "no settings"}}, {"a": "no settings"}),
        ({"state": "stopped"}, {}),
        ({"stages": []}, {}),
        ({}, {"a": "silent"}),
        ({"answers": {"other": "v2"}, "unusable": {"m v1": "broken"}}, {"a": "silent"}),
    ],
)
def test_a_worker_takes_it_refuses_it_goes_or_says_nothing_of_it(said, becomes):
    made, watched = watch(worker("a"))
    watched.hear(worker("a", **said), 0.0)
    assert made.workers == becomes
    assert bool(watched._waiting) == (becomes == {"a": "silent"})


def test_what_a_worker_refused_before_counts_when_it_says_so_again():
    broken = worker("a", unusable={"m v2": "broken"})
    made, watched = watch(broken)
    watched.hear(broken, 0.0)
    assert watched._waiting == {"a"}
    watched.hear(broken, 0.5)
    assert (watched._waiting, made.workers) == (set(), {"a": "broken"})


def test_who_does_not_answer_with_it_is_named():
    made = Promotion(ROLLOUT, "v1", asked=True, workers={"a": "", "b": "broken"})
    assert list(made.lines()) == [
        "m v2 is champion, instead of v1: better", "  worker a answers with it", "  worker b does not answer with it: broken"
    ]  # fmt: skip
    assert (made.as_fields()["answering"], made.as_fields()["not_answering"]) == (["a"], {"b": "broken"})
    with pytest.raises(NotTakenError, match=r"1 of 2 workers do not answer with it \(b: broken\)"):
        made.check()


@pytest.mark.parametrize(
    ("asked", "unseen", "says"), [(True, "", "no worker scores now"), (True, "no right", "no right"), (False, "", None)]
)
def test_a_rollout_that_nobody_has_to_take_is_none_that_failed(asked, unseen, says):
    made = Promotion(ROLLOUT, None, asked, unseen=unseen)
    made.check()
    assert [says in line for line in list(made.lines())[1:]] == [True] * (says is not None)


COMMAND = Command("c", "promote", "m", "ann", "better", {"version": "v2"}, 0)


def answer(said, reason):
    return CommandAnswer("c", "m", "promote", said, reason, 0)


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (
            Asked(COMMAND, nobody=True),
            0,
            "promote m v2 is left as command c: no worker with the stage rollout works now",
        ),
        (Asked(COMMAND), 0, "promote m v2 is left as command c"),
        (Asked(COMMAND, timed_out=True), 3, ""),
        (Asked(COMMAND, answer("accepted", "v2 waits for 1 person")), 0, "accepted: v2 waits for 1 person"),
        (Asked(COMMAND, answer("refused", "the gate says no")), 1, ""),
        (
            Asked(COMMAND, answer("accepted", ""), Promotion(ROLLOUT, "v1", True, {"a": "broken"})),
            1,
            "m v2 is champion",
        ),
    ],
)
def test_what_came_of_a_command_is_said_and_ends_as_it_did(asked, code, says):
    assert "".join(lines(asked)).startswith(says)
    assert fields(asked)["left"] == asked.nobody
    try:
        check(asked)
        ended = 0
    except SystemExit as error:
        ended = error.code
    except (SettingsError, NotTakenError):
        ended = 1
    assert ended == code
