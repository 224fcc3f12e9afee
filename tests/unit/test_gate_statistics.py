"""The statistics of the gate against exact oracles, and what chance alone does to it."""

from itertools import product

import numpy as np
import pytest
from benchmarks.gate import Pairs, drawn, verdict_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp
from sklearn import metrics

from leadline.core.release.gate import comparisons
from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.lead import Lead
from leadline.core.release.merits import gains, measured
from leadline.core.release.soundness import calibration_error, order_check
from leadline.core.statistics.whole_days import day_sums, least_days, sign_flips, student
from leadline.core.texts import Texts
from leadline.settings import ModelSettings

RNG = np.random.default_rng(3)
INTS = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


@given(INTS)
def test_sign_flips_are_those_of_all_signs(sums):
    totals = [
        sum(sign * each for sign, each in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=len(sums))
    ]
    expected = sum(total >= sum(sums) for total in totals) / len(totals)
    assert sign_flips(np.array(sums, float), 0.05, RNG) == expected


@given(st.lists(st.floats(-1, 1).map(lambda each: each / 3), min_size=2, max_size=12))
def test_sums_that_are_equal_but_for_rounding_are_equal(sums):
    """The total itself is one of those that are reached, in whatever order it was added."""
    assert sign_flips(np.array(sums), 0.05, RNG) >= 2.0 ** -len(sums)


def test_drawn_signs_are_near_all_signs_and_never_promise_more():
    sums = RNG.normal(0.4, 1, 18)
    signs = np.array(list(product((1, -1), repeat=18)), np.int8)
    exact = float((signs @ sums >= sums.sum() - 1e-9).mean())
    found = sign_flips(sums, 0.05, np.random.default_rng(1))
    assert found == pytest.approx(exact, abs=4 * (exact / 9_999) ** 0.5)
    assert sign_flips(np.full(40, 1.0), 0.05, np.random.default_rng(1)) == 1 / 10_000


@given(st.lists(st.floats(-9, 9), min_size=3, max_size=30).filter(lambda each: np.std(each) > 1e-6))
def test_student_is_that_of_scipy(sums):
    assert student(np.array(sums)) == pytest.approx(float(ttest_1samp(sums, 0, alternative="greater").pvalue), abs=1e-9)


def test_so_many_days_are_just_enough():
    for level in (0.05, 0.05 / 20, 0.001):
        days = least_days(level)
        assert sign_flips(np.ones(days), level, RNG) <= level < sign_flips(np.ones(days - 1), level, RNG)


def scored(rows=4000):
    truth = RNG.integers(0, 2, rows).astype(float)
    return truth, *(Answers(np.round(truth + RNG.normal(size=rows), 1), None) for _ in range(2))


ORACLES = {
    "auc": lambda truth, scores: metrics.roc_auc_score(truth, scores),
    "rmse": lambda truth, scores: -metrics.root_mean_squared_error(truth, scores),
    "mae": lambda truth, scores: -metrics.mean_absolute_error(truth, scores),
}


@pytest.mark.parametrize("metric", ORACLES)
def test_gains_add_up_to_the_difference_of_the_metric(metric):
    truth, champion, challenger = scored()
    before, after = (ORACLES[metric](truth, each.scores) for each in (champion, challenger))
    assert gains(metric, champion, challenger, truth).mean() == pytest.approx(after - before, abs=1e-12)
    assert measured(metric, champion, truth) == pytest.approx(abs(before))


def test_probabilities_are_measured_as_scikit_learn_does():
    truth = RNG.integers(0, 2, 500).astype(float)
    answers = Answers(RNG.uniform(size=500), None)
    assert measured("log_loss", answers, truth) == pytest.approx(metrics.log_loss(truth, answers.scores))
    assert measured("brier", answers, truth) == pytest.approx(metrics.brier_score_loss(truth, answers.scores))


@pytest.mark.parametrize("metric", ["auc", "rmse"])
def test_the_spread_of_gains_is_that_of_the_metric(metric):
    """Of metrics that are no sums over rows: the t test rests on it. Against the bootstrap of whole days."""
    truth, champion, challenger = scored()
    days = np.arange(len(truth)) % 50
    lead = Lead.of(metric, HeldOut(truth, days, {}), champion, challenger, 0.0)
    error = lead.sums.std(ddof=1) * np.sqrt(50) / len(truth)
    rows = [np.flatnonzero(days == day) for day in range(50)]
    again = []
    for _ in range(400):
        some = np.concatenate([rows[day] for day in RNG.integers(0, 50, 50)])
        before, after = (ORACLES[metric](truth[some], each.scores[some]) for each in (champion, challenger))
        again.append(after - before)
    assert np.std(again) == pytest.approx(error, rel=0.15)


@pytest.mark.parametrize("days", [1, 5, 30])
def test_scores_of_a_coin_are_seldom_said_to_run_the_wrong_way_and_turned_ones_always(days):
    failed = turned = 0
    for _ in range(400):
        truth = (RNG.uniform(size=300) < 0.05).astype(float)
        truth[:3] = 1, 0, 1
        rows = HeldOut(truth, np.arange(300) % days, {})
        for better in (0.0, -2.0):
            found = order_check(0.05, rows, Answers(RNG.normal(size=300) + better * truth, None), 100)
            failed += (not better) * (found.outcome == "failed")
            turned += bool(better) * (found.outcome == "failed")
    assert failed <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)
    assert turned > 380


def test_calibration_has_equal_counts_and_keeps_equal_scores_together():
    scores, truth = RNG.uniform(size=2000), RNG.integers(0, 2, 2000).astype(float)
    order = np.argsort(scores)
    parts = np.array_split(order, 10)
    expected = sum(abs((scores[each] - truth[each]).sum()) for each in parts) / 2000
    assert calibration_error(scores, truth) == pytest.approx(expected, abs=1e-9)
    same, mixed = np.full(100, 0.5), np.repeat([0.0, 1.0], 50)
    assert calibration_error(same, mixed) == calibration_error(same, RNG.permutation(mixed)) == 0


def test_a_row_that_only_the_champion_scores_fails():
    truth = np.zeros(200)
    champion, challenger = Answers(truth, truth.astype(int)), Answers(np.r_[np.nan, truth[1:]], truth.astype(int))
    rows = HeldOut(truth, np.arange(200) // 10, {})
    found = {each.name: each for each in comparisons(ModelSettings(name="m"), rows, champion, challenger, 1, RNG)}
    assert (found["scored"].outcome, found["scored"].value) == ("failed", 1.0)
    assert "1 of 200 rows that the champion scores get no score" in found["scored"].reason


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_errors_that_are_no_finite_number_are_no_evidence(metric):
    truth = np.full(200, 1e300)
    settings = ModelSettings.model_validate(
        {"name": "m", "task": "regression", "gate": {"metric": metric, "margin": 0.5}}
    )
    huge = Answers(np.r_[np.full(100, -1.7e308), np.full(100, 1.7e308)], None)
    rows = HeldOut(truth, np.arange(200) // 10, {})
    found = {each.name: each.outcome for each in comparisons(settings, rows, huge, huge, 1, RNG)}
    assert found["not-worse"] == "no-evidence"


def test_many_segments_are_listed_in_part_and_the_worst_of_them_decide():
    truth, codes = np.zeros(30_000), np.arange(30_000) % 300
    right, wrong = truth.astype(int), (codes == 7).astype(int)
    rows = HeldOut(truth, np.arange(30_000) // 3000, {"s": Texts([str(each) for each in range(300)], codes)})
    checks = list(comparisons(ModelSettings(name="m"), rows, Answers(truth, right), Answers(truth, wrong), 1, RNG))
    segments = [each for each in checks if each.name == "not-worse" and each.segment != "*"]
    assert (len(segments), segments[0].segment, segments[0].outcome) == (101, "s=7", "failed")
    assert (segments[-1].segment, segments[-1].outcome) == ("200 more", "passed")


# -- what chance alone does: drawn counts with day effects; the bench has more of it -----------------------------------


def test_equal_challengers_pass_as_better_at_most_as_often_as_alpha():
    rng = np.random.default_rng(11)
    cell = Pairs(days=12, rows=500, phi=4.7)
    pairs = [drawn(cell, rng) for _ in range(400)]
    passed = sum(verdict_of(each, {}, 1, rng) == "promote" for each in pairs)
    assert passed <= binom.ppf(0.9999, 400, 0.05)
    plain = sum(_plain_sign_test(*each) <= 0.05 for each in pairs)
    assert plain > binom.ppf(0.9999, 400, 0.05)  # rows taken as independent: this is what days are for


def _plain_sign_test(rows, champion, challenger):
    differ = (champion.labels != challenger.labels).sum()
    return float(binom.sf((challenger.labels < champion.labels).sum() - 1, differ, 0.5))


def test_the_best_of_twenty_passes_at_most_as_often_as_alpha():
    rng = np.random.default_rng(12)
    cell = Pairs(days=14, rows=200, phi=4.7)
    passed = {1: 0, 20: 0}
    for _ in range(60):
        twenty = [drawn(cell, rng) for _ in range(20)]
        for candidates in passed:
            passed[candidates] += any(verdict_of(each, {}, candidates, rng) == "promote" for each in twenty)
    assert passed[20] <= binom.ppf(0.9999, 60, 0.05)
    assert passed[1] > 20  # uncorrected


def test_one_that_is_worse_in_one_segment_gets_through_at_most_as_often_as_alpha():
    rng = np.random.default_rng(13)
    cell = Pairs(days=14, rows=1000, phi=2.0, segment=100, worse=0.05)
    verdicts = [verdict_of(drawn(cell, rng), {"margin": 0.03}, 1, rng) for _ in range(200)]
    assert verdicts.count("promote") <= binom.ppf(0.9999, 200, 0.05)


def test_days_are_the_unit():
    days = np.array([0, 0, 1, 5])
    assert day_sums(np.array([1.0, 2.0, 3.0, -4.0]), days).tolist() == [3.0, 3.0, -4.0]
