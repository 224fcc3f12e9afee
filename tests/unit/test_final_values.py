"""Intervals of the final value against a plain reckoning over all that was told; what withholds them; what is kept."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from leadline.core.performance.estimation import narrowed
from leadline.core.performance.final_values import KEPT
from leadline.core.performance.performance import Performance
from leadline.core.reference import ReferenceProfile
from leadline.core.statistics.final_value import Z, learned, unlike
from leadline.core.statistics.intervals import wilson
from leadline.core.store_keys import PerformanceKeys
from leadline.core.windows.reference_windows import calibration_of
from leadline.settings import ModelSettings
from stages import Host, Models, records_batch, scored_partial, version

HORIZON, WINDOW, ROWS = 1600, 100, 120
STEP = HORIZON // 16


def models():
    rng = np.random.default_rng(1)
    scores = rng.uniform(size=4000)
    calibration = calibration_of(scores, (rng.uniform(size=4000) < scores)[None])
    settings = ModelSettings(name="m", horizon=HORIZON, window=WINDOW)
    return Models(
        {"m": settings}, {("m", "v1"): version(settings, ReferenceProfile(4000, [], {}, calibration=calibration))}
    )


MODELS = models()


def make(store):
    return Performance(store, MODELS)


class World:
    """Windows one after another; of each the partials with more and more labels, positives later than negatives."""

    def __init__(self, seed=1, labels=lambda rng, n: rng.integers(1, HORIZON - STEP, n)):
        self.rng, self.labels, self.now = np.random.default_rng(seed), labels, 0

    def partials(self, index, ages, mature=True):
        rng, start = self.rng, index * WINDOW
        scores = rng.uniform(size=ROWS)
        outcomes = (rng.uniform(size=ROWS) < scores).astype(float)
        due = self.labels(rng, ROWS) * (1 + outcomes) // 2
        said = (scores >= 0.5).astype(int).tolist()
        for revision, each in enumerate([*ages, *([HORIZON + 1] if mature else [])], 1):
            state = "mature" if each > HORIZON else "provisional"
            known = due <= each
            made = {"start": start, "as_of": start + WINDOW + each, "revision": revision, "state": state}
            yield scored_partial(scores.tolist(), said, outcomes.tolist(), known, **made)


def final(told, name):
    [found] = [each for each in told.finals if each.metric == name]
    return found


def feed(host, *partials):
    return [host.feed(records_batch("window-partials", [each]))[-1] for each in partials]


def standard_error(told):
    left = (told.pending + 1) / (told.predictions + 1)
    own = narrowed(wilson(told.tp + told.tn, told.matched), left)
    return (own.high - own.low) / (2 * Z)


@pytest.mark.parametrize("windows", [10, 30])
@pytest.mark.parametrize("fresh", [False, True])
def test_the_interval_is_that_of_a_plain_reckoning(windows, fresh):
    host, world, ages = Host(make, fresh=fresh), World(), [50, 890, 1330]
    errors = []
    for index in range(windows):
        *early, mature = feed(host, *world.partials(index, ages))
        held = early[1]  # it is the newest at the grid's age 9
        errors.append((mature.accuracy.value - held.accuracy.value) / standard_error(held))
    [told] = feed(host, *world.partials(windows, [9 * STEP + 10], mature=False))
    found, mean, sd = final(told, "accuracy"), np.mean(errors), np.std(errors, ddof=1)
    half = stats.t.ppf(0.975, windows - 1) * sd * math.sqrt(1 + 1 / windows)
    if windows >= 19:
        apart = sorted(abs(each - mean) * windows / (windows - 1) for each in errors)
        half = max(half, apart[math.ceil(0.95 * (windows + 1)) - 1])
    half, se = max(half, Z), standard_error(told)
    assert (found.windows, found.basis, found.why) == (windows, "conformal" if windows >= 19 else "t", "")
    assert found.low == pytest.approx(max(0, told.accuracy.value + se * (mean - half)), abs=1e-5)
    assert found.high == pytest.approx(min(1, told.accuracy.value + se * (mean + half)), abs=1e-5)


def test_nowcast_and_estimate_have_the_same_interval_in_their_metric():
    host, world = Host(make), World(2)
    for index in range(12):
        last = feed(host, *world.partials(index, [400]))[-1]
    [told] = feed(host, *world.partials(12, [450], mature=False))
    for name in ("nowcast_accuracy", "estimated_f1", "estimated_auc"):
        metric, found = getattr(told, name), final(told, name)
        assert (metric.low, metric.high) == (found.low, found.high)
        assert metric.low < metric.high
    assert last.estimated_error is not None
    assert told.estimated_error is None


def test_the_error_of_the_estimate_is_told_when_labels_have_landed():
    host, world = Host(make), World(3)
    begun, mature = feed(host, *world.partials(0, [-20]))
    assert mature.estimated_error == pytest.approx(begun.estimated_accuracy.value - mature.accuracy.value, abs=1e-6)
    assert {each.metric for each in mature.finals} & {"accuracy", "f1", "auc"} == set()


def test_why_there_is_none_is_said():
    host, world = Host(make), World(4)
    for index in range(7):
        feed(host, *world.partials(index, [400]))
    running, over = feed(host, *world.partials(7, [-50, 400], mature=False))
    assert final(running, "nowcast_accuracy").why == "the window is not over"
    assert final(over, "accuracy").why == "7 mature windows before it, of 8"
    assert (over.nowcast_accuracy.low, over.nowcast_accuracy.high) == (None, None)


def test_few_outcomes_have_no_interval():
    host, world = Host(make), World(5, lambda rng, n: rng.integers(1, 6 * HORIZON, n))
    for index in range(20):
        feed(host, *world.partials(index, [390]))
    [told] = feed(host, *world.partials(20, [410], mature=False))
    assert 0 < told.matched < 10
    assert final(told, "accuracy").why == "fewer than 10 outcomes"
    assert final(told, "estimated_accuracy").why == ""


def test_windows_of_a_version_that_is_counted_otherwise_from_now_on_are_passed_over():
    host, world = Host(make), World(5)
    for index in range(12):
        feed(host, *world.partials(index, [400]))
    [other] = feed(host, *[replace(each, task="regression") for each in world.partials(12, [400], mature=False)])
    assert final(other, "mae").windows == 0
    assert final(feed(host, *world.partials(13, [400], mature=False))[0], "accuracy").windows == 12


def test_another_share_of_labels_withholds_the_interval():
    host, world = Host(make), World(5)
    for index in range(12):
        feed(host, *world.partials(index, [400]))
    world.labels = lambda rng, n: np.full(n, 1)
    [told] = feed(host, *world.partials(12, [450], mature=False))
    assert final(told, "accuracy").why == "the share of labels is not like theirs"


def test_intervals_that_held_too_seldom_are_withheld_until_they_hold_again():
    host, world = Host(make), World(6)
    for index in range(12):
        feed(host, *world.partials(index, [400]))
    worse = World(6)
    answers = []
    for index in range(12, 60):
        flip = index % 2 == 0
        worse.rng = np.random.default_rng(index)
        early, mature = list(worse.partials(index, [400]))
        if flip:  # what comes late is wrong
            mature = change(mature)
        answers.append(final(feed(host, early, mature)[0], "accuracy"))
    assert any(each.why == "the last ones held too seldom" for each in answers)
    assert answers[-1].hits is not None


def change(partial):
    return replace(partial, tp=0, tn=0, fp=partial.fp + partial.tp, fn=partial.fn + partial.tn)


def test_a_window_learns_from_those_before_it_alone():
    """So a mature window is told the same whether later ones have come or not."""
    world = World(7)
    logs = [list(world.partials(index, [400])) for index in range(14)]
    one, two = Host(make), Host(make)
    alone = [feed(one, *log)[-1] for log in logs[:12]][-1]
    for log in [*logs[:11], *logs[12:]]:
        feed(two, *log)
    assert feed(two, *logs[11])[-1] == alone


def test_old_windows_are_forgotten():
    host, world = Host(make, fresh=True), World(8)
    for index in range(KEPT + 10):
        feed(host, *world.partials(index, [400]))
    traces = list(host.store.scan(PerformanceKeys.TRACE, PerformanceKeys.TRACE + b"\xff"))
    assert len(traces) == KEPT
    [*_, forgotten] = World(8).partials(0, [400])
    feed(host, replace(forgotten, revision=9))
    assert len(list(host.store.scan(PerformanceKeys.TRACE, PerformanceKeys.TRACE + b"\xff"))) <= KEPT


def test_a_late_correction_restates_the_window_and_not_what_was_learned():
    world = World(9)
    logs = [list(world.partials(index, [400])) for index in range(10)]
    one, two = Host(make), Host(make)
    for log in logs[:9]:
        feed(one, *log)
        feed(two, *log)
    corrected = feed(two, replace(change(logs[3][-1]), revision=9))[-1]
    assert corrected.accuracy.value < 0.5
    assert feed(one, *logs[9]) == feed(two, *logs[9])


def test_errors_of_one_number_that_is_not_always_there():
    rows = np.array([[0.5, np.nan], [-0.5, 1.0]] * 6)
    found = learned(rows)
    assert found.windows.tolist() == [12, 6]
    assert found.middle.tolist() == [0.0, 1.0]
    assert not unlike(0.5, np.array([0.5] * 8), np.array([0.5] * 8))
