"""The guardrail of estimated performance: what is rolled back before any label, what never is, and what labels have to do with it."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.core.reference import Calibration, SegmentReference
from leadline.core.release.rollouts.estimates import MOST_MISSED, estimated, remember_estimate
from leadline.core.release.rollouts.machine import _OF_MODEL
from leadline.core.release.rollouts.table import State
from leadline.core.release.rollouts.under_way import OfModel, UnderWay
from leadline.records import Command, Comparison, Metric, Rollout, Verdict, WindowMetrics
from leadline.settings import ModelSettings
from leadline.testing.driver import Driver
from leadline.topology import step
from leadline.wire.codec import key_of, value_of
from rollouts import DAY, HOUR, MINUTE, PROFILE, START, Stage, settings
from stages import WINDOW, Models, scored_partial, version


def in_canary(**rollout):
    stage = Stage(settings(**{"shadow": 0, "bake": "30d"} | rollout))
    stage.gate("v2")
    stage.wait(11_000)
    assert (stage.rollout.state, stage.rollout.shares) == (State.CANARY, {"v2": 0.1})
    return stage


def estimate_of(stage):
    """The newest check."""
    return next(each for each in stage.of(Verdict)[-1].checks if each.name == "estimated")


# -- in the stage, each record by a new object on the same store ------------------------------------------------------


def test_what_is_expected_to_be_worse_is_rolled_back_before_any_label():
    stage = in_canary()
    stage.measure(right=(0.8, 0.7), windows=2)
    assert (stage.rollout.state, stage.rollout.champion, stage.rollout.shares) == (State.ROLLED_BACK, "v1", {})
    assert not [each for each in stage.emitted if isinstance(each, Comparison)]
    [verdict] = [each for each in stage.of(Verdict) if each.verdict == "roll-back"]
    [bad] = [each for each in verdict.checks if each.outcome == "failed"]
    assert (bad.name, bad.limit) == ("estimated", 0.03)
    assert verdict.reason == bad.reason
    assert "the estimated accuracy of v2 is 0.7" in bad.reason
    assert "the champion's 0.800" in bad.reason


def test_what_becomes_worse_later_is_rolled_back_too():
    stage = in_canary()
    stage.measure(right=(0.8, 0.8), windows=8)
    assert stage.rollout.state == State.CANARY
    stage.measure(right=(0.8, 0.7), windows=12)
    assert stage.rollout.state == State.ROLLED_BACK


def test_what_answers_nobody_has_no_estimate_and_windows_from_before_it_answered_are_not_whole():
    stage = Stage(settings(shadow="5h", bake="30d"))
    stage.gate("v2")
    stage.measure(right=(0.8, 0.1), windows=4)
    assert stage.rollout.state == State.SHADOW
    stage.wait(90 * MINUTE)
    assert stage.rollout.state == State.CANARY
    begun = stage.now // HOUR * HOUR
    stage.give(
        replace(WINDOW, model_version="v2", window_start=begun, predictions=5_000, estimated_accuracy=Metric(0.1))
    )
    stage.wait(11_000)
    assert stage.rollout.state == State.CANARY
    stage.pairs(windows=4)
    check = estimate_of(stage)
    assert (check.outcome, check.value) == ("no-evidence", None)
    assert "no estimate" in check.reason or "too few" in check.reason


def test_segments_and_versions_that_are_not_compared_do_not_count():
    stage = in_canary()
    stage.measure(right=(0.8, 0.1), windows=4, segment="s=a")
    stage.measure(right=(0.8, 0.1), windows=4, others=("v1", "v3"))
    assert stage.rollout.state == State.CANARY


@pytest.mark.parametrize("profile", [None, replace(PROFILE, calibration=None)])
def test_without_a_reference_there_is_no_evidence(profile):
    stage = in_canary()
    stage.models.versions["m", "v2"] = version(stage.models.known["m"], profile, "v2")
    stage.measure(right=(0.8, 0.1), windows=4)
    assert stage.rollout.state == State.CANARY


def test_a_small_reference_says_little():
    """Of 100 rows an accuracy of 0.7 may be one of 0.8."""
    stage, small = in_canary(), replace(PROFILE, calibration=Calibration([1000], [100], [[50.0]]))
    stage.models.versions["m", "v2"] = version(stage.models.known["m"], small, "v2")
    stage.measure(right=(0.8, 0.7), windows=20)
    assert stage.rollout.state == State.CANARY
    stage.measure(right=(0.8, 0.3), windows=20)
    assert stage.rollout.state == State.ROLLED_BACK


@pytest.mark.parametrize(
    ("days", "right", "state"), [(20, 0.7, "canary"), (2, 0.1, "canary"), (20, 0.3, "rolled-back")]
)
def test_a_reference_whose_days_vary_says_as_little_as_its_days_do(days, right, state):
    """20,000 rows of 20 days, right in 0.7 and 0.9 by turns, are no 20,000 observations; two days say nothing."""
    stage = in_canary()
    windows = [[day * DAY, 1_000.0, (700.0, 900.0)[day % 2]] for day in range(days)]
    varied = replace(PROFILE, window=DAY, segments=[SegmentReference("*", 20_000, {}, windows)])
    stage.models.versions["m", "v2"] = version(stage.models.known["m"], varied, "v2")
    stage.measure(right=(0.8, right), windows=12)
    assert stage.rollout.state == state


def test_a_champion_whose_estimates_labels_contradict_is_no_yardstick():
    """It is expected to be right in 0.8, and labels say 0.7; a challenger that knows that is no worse with 0.7."""
    stage = Stage(settings(shadow=0, bake="30d"))
    stage.measure(right=(0.8,), requests=(9_000,), others=("v1",), windows=8, estimated_error=0.1, matched=9_000)
    stage.gate("v2")
    stage.wait(11_000)
    stage.measure(right=(0.8, 0.7), windows=10)
    assert stage.rollout.state == State.CANARY
    stage.pairs()
    assert "labels" in estimate_of(stage).reason
    stage.measure(right=(0.8, 0.5), windows=10)
    assert stage.rollout.state == State.ROLLED_BACK


def test_labels_of_its_own_windows_count_for_a_version():
    stage = in_canary()
    for each in range(3):
        at = {"window_start": START - DAY + each * HOUR, "window_end": START - DAY + (each + 1) * HOUR}
        stage.give(replace(WINDOW, model_version="v2", **at, matched=5_000, estimated_error=-0.1))
    stage.measure(right=(0.8, 0.7), windows=10)
    assert stage.rollout.state == State.CANARY


def test_of_a_regression_it_is_the_share_of_the_champions_error():
    made = settings(shadow=0, bake="30d").model_copy(update={"task": "regression"})
    stage = Stage(made)
    stage.gate("v2")
    stage.wait(11_000)
    for mae in (10.0, 10.2):
        said = {"task": "regression", "estimated_accuracy": None, "estimated_rmse": Metric(12.0)}
        stage.measure(windows=6, estimated_mae=Metric(mae), **said)
        assert stage.rollout.state == State.CANARY
    for _ in range(6):
        start = -(-stage.now // HOUR) * HOUR
        stage.wait(start + HOUR - stage.now)
        for name, count, mae in (("v1", 9_000, 10.0), ("v2", 1_000, 14.0)):
            record = replace(WINDOW, model_version=name, window_start=start, predictions=count, task="regression")
            stage.give(replace(record, estimated_accuracy=None, estimated_mae=Metric(mae), estimated_rmse=Metric(15.0)))
    stage.wait(11_000)
    assert stage.rollout.state == State.ROLLED_BACK
    assert "estimated mae of v2" in stage.of(Verdict)[-1].reason


def test_the_state_of_a_release_that_knew_no_estimates_goes_on():
    stage = in_canary()
    key, value = next((key, value) for key, value in stage.store.scan(b"u", b"v"))
    held = _OF_MODEL.validate_json(value)
    old = _OF_MODEL.dump_python(held, mode="json")
    del old["missed"], old["under_way"]["answers"], old["under_way"]["estimates"]
    stage.store.put(key, _OF_MODEL.dump_json(_OF_MODEL.validate_python(old)))
    stage.measure(right=(0.8, 0.1), windows=2)
    assert stage.rollout.state == State.CANARY, "nobody knows since when it answers"


# -- by chance --------------------------------------------------------------------------------------------------------


def under_way():
    rollout = UnderWay("r", "v2", "v1", "", "canary", "canary", {"v2": 0.1}, 0, 0, answers=0)
    return OfModel(under_way=rollout)


def looks(rng, worse, windows=60, requests=(4_000, 200), days=0.03):
    """Whether it would be rolled back, at a look after each window. Both have good and bad days; scores are spread widely."""
    of, made, profiles = under_way(), ModelSettings(name="m"), {"v1": PROFILE, "v2": PROFILE}
    by_reference = rng.normal(0, np.sqrt(0.2 * 0.8 / 20_000), 2)
    for window in range(windows):
        day = rng.normal(0, days)
        for name, count, less, off in zip(("v1", "v2"), requests, (0.0, worse), by_reference, strict=True):
            count = int(rng.poisson(count)) + 1
            right = np.clip(rng.beta(8, 2, count) + day + off - less, 0, 1).mean()
            at = {"window_start": window * HOUR, "window_end": (window + 1) * HOUR}
            remember_estimate(
                of,
                replace(WINDOW, model_version=name, **at, predictions=count, estimated_accuracy=Metric(float(right))),
            )
        if estimated(of, "v2", profiles, made).outcome == "failed":
            return window + 1
    return None


def test_equal_versions_are_never_rolled_back_and_worse_ones_soon_are():
    """200 rollouts of 60 windows each, looked at after each of them."""
    rng = np.random.default_rng(8)
    assert [looks(rng, 0.0) for _ in range(200)] == [None] * 200
    assert [looks(rng, 0.02) for _ in range(30)] == [None] * 30, "less than the limit"
    found = [looks(rng, 0.1) for _ in range(30)]
    assert None not in found
    assert np.median(found) <= 5


def test_what_is_kept_has_a_most():
    of = under_way()
    for name in (*(f"old{number}" for number in range(20)), "v1", "v2"):
        for window in range(100):
            record = replace(WINDOW, model_version=name, window_start=window * HOUR, estimated_error=0.01)
            remember_estimate(of, record)
    assert len(of.under_way.estimates) == 48
    assert len(of.missed) <= 10
    assert max(map(len, of.missed.values())) == MOST_MISSED


# -- from what two versions say to the rollback, through the stages ---------------------------------------------------


def test_through_the_stages_worse_scores_are_rolled_back_before_any_label():
    made = settings(shadow=0, bake="30d", max_shift=50)
    models = Models({"m": made}, {("m", each): version(made, PROFILE, each) for each in ("v1", "v2")})
    driver, now = Driver(models, [step("performance"), step("rollout")], 1), START
    for kind, name in (("promote", "v1"), ("start", "v2")):
        command = commanded(kind, name, now)
        driver.publish("commands", key_of("commands", command), value_of(command), now)
        driver.settle()
    rng = np.random.default_rng(3)
    for window in range(1, 7):
        now = START + (window + 1) * HOUR
        driver.pass_time(now)
        for name, count, spread in (("v1", 3_000, 0.35), ("v2", 600, 0.02)):
            scores = 0.5 + spread * rng.choice([-1, 1], count)
            labels = (scores > 0.5).astype(int).tolist()
            record = scored_partial(
                scores.tolist(), labels, [0] * count, [False] * count, as_of=now, start=START + window * HOUR
            )
            record = replace(record, model_version=name, window_end=now)
            driver.publish("window-partials", key_of("window-partials", record), value_of(record), now)
        driver.settle()
        driver.pass_time(now + 11_000)
        driver.kill(step("rollout"), 0, disk_too=True)
    windows = [each for each in driver.read("metrics") if isinstance(each, WindowMetrics)]
    assert all(each.estimated_accuracy is not None and not each.matched for each in windows)
    rollouts = [each for each in driver.read("rollouts") if isinstance(each, Rollout)]
    assert rollouts[-1].state == State.ROLLED_BACK
    reasons = [
        each.reason for each in driver.read("verdicts") if isinstance(each, Verdict) and each.verdict == "roll-back"
    ]
    assert len(reasons) == 1
    assert "estimated accuracy of v2" in reasons[0]


def commanded(kind, name, now):
    arguments = {"version": name} | ({"mode": "shadow"} if kind == "start" else {})
    return Command(kind, kind, "m", "ann", "why", arguments, now)
