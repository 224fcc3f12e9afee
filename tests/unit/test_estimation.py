"""Estimate and nowcast against their definition, row by row; isotonic values against brute force."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from sklearn import metrics as sk

from leadline.core.models import Signature, Version
from leadline.core.performance.estimation import estimated, nowcast
from leadline.core.performance.expectation import Expectation
from leadline.core.performance.parts import unlabelled
from leadline.core.performance.performance import Performance
from leadline.core.reference import Calibration, ReferenceProfile
from leadline.core.statistics.isotonic import isotonic
from leadline.core.windows.aggregates.by_score import SCORE_BINS, score_bin
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.reference_windows import calibration_of
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.settings import ModelSettings
from logs import JoinRun
from logs import Models as OfSettings
from stages import Host, Models, partial, records_batch, scored_partial, version

VALUES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=12
)


@given(VALUES)
def test_isotonic_is_the_greatest_mean_below_of_the_least_mean_above(pairs):
    values, weights = (np.array(each, np.float64) for each in zip(*pairs, strict=True))
    found = isotonic(values, weights)

    def mean(start, stop):
        return np.average(values[start:stop], weights=weights[start:stop])

    expected = [
        max(min(mean(start, stop) for stop in range(i + 1, len(values) + 1)) for start in range(i + 1))
        for i in range(len(values))
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found, isotonic_regression(values, weights=weights).x, atol=1e-12)


def test_an_empty_bin_lies_between_its_neighbours():
    positives = Calibration([10, 14, 20], [4, 4, 8], [[3.0, 1.0, 8.0]])
    shares = Expectation.of(positives, SCORE_BINS).by_bin[0]
    assert shares[[0, 10, 14, 20, 2047]].tolist() == [0.5, 0.5, 0.5, 1.0, 1.0]
    assert shares[17] == pytest.approx(0.75)
    assert all(low <= high for low, high in pairwise(shares.tolist()))
    assert Expectation.of(Calibration([], [], [[]]), SCORE_BINS) is None


def test_the_curve_is_fitted_to_the_scores_and_not_to_their_bins():
    """The first two scores are in one bin. The curve is 0, then a half for all that follow; made of bins it would be a third all over."""
    scores, positive = np.array([0.5, 0.5001, 0.504]), np.array([[False, True, False]])
    found = Expectation.of(calibration_of(scores, positive), SCORE_BINS).by_bin[0]
    assert found[score_bin(scores)].tolist() == [0.25, 0.25, 0.5]


def rows(seed, n=400, threshold=0.5, coverage=0.5):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=n).round(2)
    labels = (scores >= threshold).astype(int)
    outcomes = (rng.uniform(size=n) < scores).astype(float)
    return scores.tolist(), labels.tolist(), outcomes.tolist(), rng.uniform(size=n) < coverage


def expectation(seed=7):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=5000)
    return Expectation.of(calibration_of(scores, (rng.uniform(size=5000) < scores**1.5)[None]), SCORE_BINS)


def by_definition(labels, chances, bins):
    """CBPE: each prediction is positive by its own chance."""
    labels, chances = np.array(labels), np.array(chances)
    tp, fp = chances[labels == 1].sum(), (1 - chances[labels == 1]).sum()
    fn, tn = chances[labels == 0].sum(), (1 - chances[labels == 0]).sum()
    twice = np.concatenate([bins, bins])
    truth = np.repeat([1, 0], len(bins))
    auc = sk.roc_auc_score(truth, twice, sample_weight=np.concatenate([chances, 1 - chances]))
    return {
        "accuracy": (tp + tn) / len(labels),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "auc": auc,
    }


@pytest.mark.parametrize("threshold", [0.5, 0.37])
def test_the_estimate_is_that_of_the_definition(threshold):
    scores, labels, outcomes, known = rows(1, threshold=threshold)
    given_, bins = expectation(), score_bin(np.array(scores))
    found = estimated(WindowCounts.of(scored_partial(scores, labels, outcomes, known)), given_)
    expected = by_definition(labels, given_.by_bin[0][bins], bins)
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(expected, abs=1e-9)
    for metric in found.values():
        assert metric.low < metric.value < metric.high


@pytest.mark.parametrize("threshold", [0.5, 0.37])
def test_the_nowcast_takes_what_is_known_as_it_is(threshold):
    scores, labels, outcomes, known = rows(2, threshold=threshold)
    given_, bins = expectation(), score_bin(np.array(scores))
    found = nowcast(WindowCounts.of(scored_partial(scores, labels, outcomes, known)), given_)
    chances = np.where(known, outcomes, given_.by_bin[0][bins])
    assert {name: metric.value for name, metric in found.items()} == pytest.approx(
        by_definition(labels, chances, bins), abs=1e-9
    )


def test_with_all_outcomes_the_nowcast_is_what_is_realised():
    scores, labels, outcomes, _ = rows(3)
    whole = scored_partial(scores, labels, outcomes, np.ones(400, bool))
    found = nowcast(WindowCounts.of(whole), expectation())
    assert found["accuracy"].value == pytest.approx(sk.accuracy_score(outcomes, labels))
    assert found["f1"].value == pytest.approx(sk.f1_score(outcomes, labels))


def test_with_no_outcome_the_nowcast_is_the_estimate():
    scores, labels, outcomes, _ = rows(4)
    counts = WindowCounts.of(scored_partial(scores, labels, outcomes, np.zeros(400, bool)))
    values = [{name: each.value for name, each in kind(counts, expectation()).items()} for kind in (estimated, nowcast)]
    assert values[0] == pytest.approx(values[1], abs=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_where_a_bin_has_both_classes_the_confusion_still_adds_up(seed):
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.2, 0.5, 0.8], 60)
    labels = (rng.uniform(size=60) < scores).astype(int)
    known = rng.uniform(size=60) < 0.6
    outcomes = rng.integers(0, 2, 60).astype(float)
    counts = WindowCounts.of(scored_partial(scores.tolist(), labels.tolist(), outcomes.tolist(), known))
    rest = unlabelled(counts)
    assert rest.sum() == pytest.approx((~known).sum(), abs=3)
    assert (rest >= 0).all()
    assert (rest <= counts.scores.counts).all()


def test_the_stage_tells_them_and_is_silent_where_it_cannot_know():
    scores, labels, outcomes, known = rows(5)
    some = scored_partial(scores, labels, outcomes, known)
    rng = np.random.default_rng(1)
    calibration = calibration_of(rng.uniform(size=900), (rng.uniform(size=900) < 0.5)[None])
    profile = ReferenceProfile(900, [], {}, calibration=calibration)
    known_models = Models(versions={("m", "v1"): version(ModelSettings(name="m"), profile)})

    def told(models, each):
        return Host(lambda store: Performance(store, models)).feed(records_batch("window-partials", [each]))[-1]

    told_all = told(known_models, some)
    assert told_all.predicted_positive == sum(labels)
    assert 0.4 < told_all.estimated_accuracy.value < 0.6
    assert told_all.nowcast_auc is not None
    assert told_all.estimated_mae is None
    assert told(Models(), some).estimated_accuracy is None
    older = replace(some, prediction_bins=[], prediction_counts=[])
    assert told(known_models, older).estimated_accuracy is None


def test_expected_errors_of_a_regression():
    calibration = Calibration([0, 1, 3], [10, 10, 20], [[5.0, 20.0, 10.0], [4.0, 50.0, 9.0]])
    some = replace(partial([], extra=8), prediction_bins=[0, 1, 2], prediction_counts=[4, 2, 2])
    found = estimated(WindowCounts.of(some), Expectation.of(calibration, SCORE_BINS))
    mean = (4 * 0.5 + 2 * 2.0 + 2 * 1.25) / 8
    assert found["mae"].value == pytest.approx(mean)
    assert found["rmse"].value == pytest.approx(((4 * 0.4 + 2 * 5.0 + 2 * 2.725) / 8) ** 0.5)
    half = replace(some, matched=4, absolute_error_sum=12 * 10**12, squared_error_sum=40 * 10**12, task="regression")
    assert nowcast(WindowCounts.of(half), Expectation.of(calibration, SCORE_BINS))["mae"].value == pytest.approx(
        (12 + 4 * mean) / 8
    )


class Errors(OfSettings):
    """A regression whose errors grow with the score: its version knows the scores and errors of its reference."""

    def version(self, name, version):
        rng = np.random.default_rng(3)
        scores = rng.gamma(2.0, 100.0, 4000)
        rows = ScoredRows(scores, scores + rng.normal(size=4000) * scores / 10, np.zeros(4000, bool))
        signature = Signature.of([], [], {})
        profile = reference_profile(self.settings(name), signature, np.zeros((4000, 0)), rows)
        return Version(self.settings(name), version, signature, profile)


def test_the_errors_of_a_regression_are_expected_before_any_outcome():
    """From the join's counts to the metrics: where scores are higher than in the reference, larger errors are expected."""
    models = Errors(ModelSettings(name="m", task="regression", horizon=1000, window=1000))
    run = JoinRun(models=models)
    scores = np.random.default_rng(4).gamma(2.0, 200.0, 2000)
    run.feed(
        "predictions",
        [{"request_id": f"r{i}", "model_version": "v1", "event_time": 0, "score": float(score), "label_pred": None,
          "segment": None, "arrival_time": 0, "offset": i} for i, score in enumerate(scores)],
    )  # fmt: skip
    window = run.windows["v1", 0, "*"]
    assert sum(window.prediction_counts) == 2000
    emitted = Host(lambda store: Performance(store, models)).feed(records_batch("window-partials", [window]))[-1]
    expected = np.sqrt(2 / np.pi) * scores.mean() / 10
    assert emitted.estimated_mae.value == pytest.approx(expected, rel=0.2)
    assert emitted.estimated_rmse.value > emitted.estimated_mae.value
    assert (emitted.mae, emitted.predicted_positive) == (None, 0)
