"""Bad challengers through scoring, shadow, join and rollout: each is rolled back, or never promoted, before it has answered much."""

import pytest
from benchmarks.challengers import BAD, EQUAL, end, settings
from benchmarks.rollout_world import CHALLENGER, RolloutWorld

MOST = {
    "10 points worse": (2_500, 150),
    "slower by 100 ms a batch": (10, 5),
    "NaN on 1 % of the requests": (500, 120),
    "takes ever more memory": (50, 40),
    "10 points worse, and what it lost has late labels": (2_500, 150),
}
"""Requests, and minutes."""


@pytest.mark.parametrize("name", MOST)
def test_a_bad_challenger_is_rolled_back_soon(name):
    ended = end(BAD[name], 0, "canary")
    assert (ended.state, ended.promoted) == ("rolled-back", False)
    requests, minutes = MOST[name]
    assert 0 < ended.answered <= requests
    assert ended.minutes <= minutes


def test_one_that_cannot_be_loaded_answers_nobody_and_holds():
    ended = end(BAD["crashes while it is loaded"], 0, "canary", most_minutes=60)
    assert ended == ("canary", False, 0, 0, float("inf"))


def test_one_that_is_as_good_answers_more_and_more():
    world = RolloutWorld(EQUAL, settings(EQUAL, deadline=None), 0, rate=20)
    for _ in range(24):
        world.pass_time(minutes=5)
    assert [each.shares.get(CHALLENGER) for each in world.rollouts] == [None, 0.01, 0.05, 0.25, 0.5]
    assert 0 < world.answered < 24 * 100 / 2
