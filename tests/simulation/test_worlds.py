"""Simulated worlds with faults end with the numbers of a batch join; and a fault in the product is found."""

import pytest

from leadline.core.join import label_rules
from leadline.core.scoring import routing
from leadline.state.task import HostedTask
from leadline.testing import simulate

SEEDS, QUICK_SEEDS, EVENTS = 600, 200, 60
FIRST = [pytest.param(n, marks=[] if n < QUICK_SEEDS else pytest.mark.long) for n in range(0, SEEDS, 20)]


@pytest.mark.parametrize("first", FIRST)
def test_nothing_is_wrong(first):
    for seed in range(first, first + 20):
        world, wrong = simulate(seed, EVENTS)
        assert not wrong, f"leadline simulate --seed {seed} --events {EVENTS}"
        assert world.crashes > 0


def test_a_long_world():
    world, wrong = simulate(7, 600)
    assert not wrong
    assert world.crashes > 100
    assert world.moves > 10


def test_the_same_seed_is_the_same_world():
    one, other = simulate(3, 40)[0], simulate(3, 40)[0]
    assert one.driver.topics == other.driver.topics
    assert one.crashes == other.crashes


def found(seeds=20):
    return [line for seed in range(seeds) for line in simulate(seed, EVENTS)[1]]


def test_a_wrong_rule_is_found(monkeypatch):
    def last(usable):
        return max((g for g in usable if g.value == g.value), key=lambda g: g.outcome_time, default=None)

    monkeypatch.setattr(label_rules, "_first", last)
    assert found()


def test_a_lost_run_is_found(monkeypatch):
    """The state believes to be further than it is."""
    apply = HostedTask.apply
    monkeypatch.setattr(HostedTask, "apply", lambda self, topic, offset: apply(self, topic, offset + (offset % 7 == 0)))
    assert found()


def test_who_answers_by_the_newest_rollout_alone_is_found(monkeypatch):
    """And not by the one that held when the request arrived."""
    monkeypatch.setattr(routing, "assignments", lambda rollout, all_=routing.assignments: all_(rollout)[:1])
    assert found()
