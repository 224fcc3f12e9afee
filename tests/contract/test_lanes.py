"""Both lanes keep one contract, and a step that its lane cannot host is refused before any client is made."""

from dataclasses import replace

import pytest

from leadline.hosts.contract import Installation, Lane, Need, UnsupportedStepError, needs
from leadline.hosts.scoring import ScoringLane
from leadline.hosts.stateful import StatefulLane
from leadline.hosts.worker import lane_of, new_lane, worker
from leadline.lookups.features import FeatureView
from leadline.settings import load_settings
from leadline.topology import STEPS, Step
from stages import Models

STATEFUL = Step("s", ("outcomes",), ("predictions",), lambda task: task)
STATELESS = replace(STATEFUL, stateful=False)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_stage_has_a_lane_that_supports_all_it_needs(step):
    assert needs(step) <= lane_of(step).supports


@pytest.mark.parametrize("step", [STATEFUL, STATELESS])
async def test_a_lane_is_made_without_a_client_and_ends_at_once_when_it_was_stopped(step):
    settings = load_settings()
    lane = new_lane(step, Installation(settings, "127.0.0.1:1", Models()), FeatureView(settings, Models()))
    assert isinstance(lane, Lane)
    assert lane.step is step
    lane.stop()
    await lane.run()


@pytest.mark.parametrize(
    ("step", "lane", "says"),
    [
        (replace(STATEFUL, lookups=True), StatefulLane, "looks features up"),
        (replace(STATELESS, reads=("outcomes", "predictions")), ScoringLane, "reads several topics"),
        (replace(STATELESS, gathers=True), ScoringLane, "gathers all partitions"),
        (replace(STATELESS, raw=True), ScoringLane, "reads records as they are in the log"),
        (replace(STATELESS, writes=("metrics",)), ScoringLane, "writes to partitions other than those of the keys"),
        (replace(STATELESS, gathers=True, writes=("metrics",)), ScoringLane, "gathers all partitions and writes to"),
    ],
)  # fmt: skip
def test_what_a_lane_does_not_support_is_refused_when_the_worker_starts(step, lane, says):
    with pytest.raises(UnsupportedStepError, match=f"{lane.__name__} cannot host the step s, which {says}"):
        worker([step], load_settings(), "127.0.0.1:1")  # where no broker is: it was not asked


def test_each_need_is_asked_by_some_step():
    """Else a lane could support what no step can say."""
    step = Step(
        "s",
        ("a", "b"),
        ("metrics",),
        lambda task: task,
        stateful=True,
        lookups=True,
        tables=("t",),
        gathers=True,
        raw=True,
    )
    assert needs(step) == frozenset(Need)
    assert needs(STATELESS) == frozenset()
