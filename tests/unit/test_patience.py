"""Errors are told once, and tried again: soon where they pass by themselves, ever later where they do not."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from leadline.hosts.health import Health
from leadline.hosts.patience import CALM_S, KAFKA, LASTING_S, MOST_S, Patience
from leadline.hosts.stateful import StatefulLane
from leadline.kafka.group import Source
from leadline.topology import step


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_what_lasts_is_told_once_and_tried_again_ever_later():
    clock, health = Clock(), Health()
    patience, waits = Patience("join", health, clock), []
    with capture_logs() as logs:
        for _ in range(8):
            waits.append(patience.failed("outcomes/3", "damaged", lasting=True))
            assert patience.must_wait("outcomes/3")
            clock.now += waits[-1]
            assert not patience.must_wait("outcomes/3")
        patience.failed("outcomes/3", "damaged otherwise", lasting=True)
    assert waits == [1, 2, 4, 8, 16, MOST_S, MOST_S, MOST_S]
    assert [line["error"] for line in logs] == ["damaged", "damaged otherwise"]
    assert [(each.what, each.message) for each in health.troubles()] == [("outcomes/3", "damaged otherwise")]
    patience.over("outcomes/3")
    assert health.troubles() == []
    assert patience.failed("outcomes/3", "damaged", lasting=True) == 1


def test_what_should_pass_is_tried_each_second_and_told_when_it_has_not_passed():
    clock, health = Clock(), Health()
    patience = Patience("join", health, clock)
    with capture_logs() as logs:
        while clock.now <= LASTING_S:
            assert health.troubles() == []
            assert patience.failed(KAFKA, "the broker is away", lasting=False) == 1
            clock.now += 1
        patience.failed(KAFKA, "the broker is away", lasting=False)
    assert len(logs) == 1
    assert len(health.troubles()) == 1
    patience.calm(KAFKA)
    assert len(health.troubles()) == 1
    clock.now += CALM_S + 1
    patience.failed(KAFKA, "the broker is away", lasting=False)
    for _ in range(2):
        patience.calm(KAFKA)
        assert len(health.troubles()) == 1
        clock.now += CALM_S / 2 + 1
    patience.calm(KAFKA)
    assert health.troubles() == []


def test_what_others_have_taken_over_is_no_trouble_of_this_worker():
    health = Health()
    patience = Patience("join", health)
    for what in ("outcomes/0", "outcomes/1"):
        patience.failed(what, "damaged", lasting=True)
    patience.keep(["outcomes/1"])
    assert [each.what for each in health.troubles()] == ["outcomes/1"]


@pytest.mark.parametrize("refused", [False, True])
def test_what_is_ahead_waits_for_a_source_unless_a_batch_of_it_was_refused(refused):
    async def is_idle(_):
        return False

    sources = [Source(topic, 0) for topic in step("join").reads]
    ahead = [each for each in sources if each.topic != "shadow-predictions"]
    lane = StatefulLane(step("join"), SimpleNamespace(health=Health(), topic_name=str))
    if refused:
        lane._patience.failed("shadow-predictions/0", "damaged", lasting=True)
    member = SimpleNamespace(
        tasks=SimpleNamespace(open={0: SimpleNamespace(is_empty=False)}),
        sources_of=lambda _: sources,
        is_idle=is_idle,
        reached=dict.fromkeys(ahead, 9),
    )
    wanted = asyncio.run(lane._to_fetch(member))
    assert set(ahead) <= set(wanted) if refused else [each.topic for each in wanted] == ["shadow-predictions"]
