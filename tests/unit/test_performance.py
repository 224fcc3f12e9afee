"""Live metrics against scikit-learn, brute force, and what is known of the intervals."""

import math

import numpy as np
import pytest
from benchmarks import coverage
from scipy import stats
from sklearn import metrics as sk

from leadline.core.performance.binary import auc, f1
from leadline.core.performance.metrics import METRICS
from leadline.core.performance.performance import Performance
from leadline.core.statistics.intervals import wilson
from leadline.records import JoinCounts, MaturedWindow, Metric
from stages import Host, Models, partial, records_batch


def emit(*partials):
    return Host(lambda store: Performance(store, Models())).feed(records_batch("window-partials", partials))[-1]


def pairs_of(seed, n):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=n) ** 2
    outcomes = (rng.uniform(size=n) < scores).astype(float)
    return [(float(s), float(y), int(s >= 0.4)) for s, y in zip(scores, outcomes, strict=True)]


def test_values_are_those_of_scikit_learn():
    pairs = pairs_of(1, 3000)
    scores, truth, labels = map(np.array, zip(*pairs, strict=True))
    emitted = emit(partial(pairs[:1000], 0), partial(pairs[1000:], 3))
    assert emitted.accuracy.value == pytest.approx(sk.accuracy_score(truth, labels), abs=1e-12)
    assert emitted.precision.value == pytest.approx(sk.precision_score(truth, labels), abs=1e-12)
    assert emitted.recall.value == pytest.approx(sk.recall_score(truth, labels), abs=1e-12)
    assert emitted.f1.value == pytest.approx(sk.f1_score(truth, labels), abs=1e-12)
    assert emitted.logloss.value == pytest.approx(sk.log_loss(truth, scores), abs=1e-11)
    assert emitted.brier.value == pytest.approx(sk.brier_score_loss(truth, scores), abs=1e-11)
    assert abs(emitted.auc.value - sk.roc_auc_score(truth, scores)) <= emitted.auc_error < 0.01
    assert emitted.outcome_rate.value == pytest.approx(truth.mean(), abs=1e-12)
    assert emitted.mean_score.value == pytest.approx(scores.mean(), abs=1e-11)


def _mean_and_sem(values):
    return np.mean(values), stats.sem(values)


def test_regression_values_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    truth, scores = rng.normal(size=500) * 50, rng.normal(size=500) * 50
    emitted = emit(
        partial([(s, y, None) for s, y in zip(scores.tolist(), truth.tolist(), strict=True)], task="regression")
    )
    assert emitted.mae.value == pytest.approx(sk.mean_absolute_error(truth, scores), abs=1e-10)
    assert emitted.rmse.value == pytest.approx(sk.root_mean_squared_error(truth, scores), abs=1e-10)
    assert emitted.bias.value == pytest.approx((scores - truth).mean(), abs=1e-10)
    errors = np.abs(scores - truth)
    low, high = stats.t.interval(0.95, 500, *_mean_and_sem([*errors, 8 * errors.mean()]))
    assert (emitted.mae.low, emitted.mae.high) == pytest.approx((low, high), rel=1e-9)
    half = stats.t.ppf(0.975, 499) * stats.sem(scores - truth)
    assert half < emitted.bias.high - emitted.bias.value < 1.1 * half
    assert emitted.rmse.low < emitted.rmse.value < emitted.rmse.high
    assert emitted.accuracy is emitted.auc is emitted.auc_error is emitted.logloss is None


def test_wilson_is_scipys():
    for successes, trials in ((0, 1), (1, 1), (3, 7), (900, 1000), (1, 100_000)):
        expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
        found = wilson(successes, trials)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert found.low <= found.value <= found.high


def test_spread_of_losses_comes_close_to_that_of_the_scores():
    pairs = pairs_of(3, 2000)
    scores, truth, _ = map(np.array, zip(*pairs, strict=True))
    emitted = emit(partial(pairs))
    losses = -np.log(np.where(truth == 1, scores, 1 - scores))
    for metric, values in (
        (emitted.logloss, losses),
        (emitted.brier, (scores - truth) ** 2),
        (emitted.mean_score, scores),
    ):
        half = stats.t.ppf(0.975, 1999) * stats.sem(values)
        assert 0.99 * half < (metric.high - metric.low) / 2 < 1.1 * half


def test_undefined_is_none():
    nothing = emit(partial([], extra=3))
    assert all(getattr(nothing, name) is None for name in METRICS)
    assert (nothing.coverage, nothing.pending) == (0.0, 3)
    assert emit(partial([])).coverage is None
    negatives = emit(partial([(0.1, 0.0, 0)] * 3))
    assert negatives.accuracy.value == 1
    assert negatives.precision is negatives.recall is negatives.f1 is negatives.auc is negatives.auc_error is None
    missed = emit(partial([(0.1, 1.0, 0)] * 3))
    assert (missed.f1.value, missed.recall.value, missed.precision) == (0, 0, None)


def test_one_pair_has_no_spread():
    emitted = emit(partial([(0.7, 1.0, 1)]))
    assert (emitted.logloss.low, emitted.logloss.high) == (None, None)
    assert emitted.accuracy.low < 0.5


@pytest.mark.parametrize("size", [20, 200])
@pytest.mark.parametrize(
    "world", ["accuracy 0.99", "equal scores, 0.99 right", "t errors, 3 degrees", "lognormal errors"]
)
def test_intervals_hold_where_errors_are_rare_or_heavy(world, size):
    task, draw = coverage.WORLDS[world]
    for name, held in coverage.of_world(task, draw, size, 400).items():
        assert held.windows > 0
        assert not held.published or held.hits / held.published > 0.9, name


def test_the_interval_of_equal_losses_has_a_width():
    emitted = emit(partial([(0.9, 1.0, 1)] * 20))
    for metric in (emitted.logloss, emitted.brier, emitted.mean_score):
        assert metric.low < metric.value < metric.high
    perfect = emit(partial([(2.0, 2.0, None)] * 20, task="regression"))
    assert (perfect.mae, perfect.rmse) == (Metric(0.0), Metric(0.0))


def test_rmse_has_an_interval_only_where_errors_are_many_and_light():
    rng = np.random.default_rng(5)

    def rmse(errors):
        return emit(partial([(each, 0.0, None) for each in errors.tolist()], task="regression")).rmse

    assert rmse(rng.normal(size=800)).low is not None
    assert rmse(rng.normal(size=300)).low is None
    assert rmse(rng.laplace(size=800)).low is None


def test_f1_interval_covers():
    rng = np.random.default_rng(5)
    cells = rng.multinomial(120, [0.3, 0.1, 0.15, 0.45], size=2000)
    true = 2 * 0.3 / (2 * 0.3 + 0.1 + 0.15)
    intervals = [f1(tp, fp, fn) for tp, fp, fn, _ in cells.tolist()]
    assert np.mean([found.low <= true <= found.high for found in intervals]) > 0.93


@pytest.mark.parametrize(("size", "shift"), [(20, 1.0), (20, 2.5), (300, 1.0)])
def test_auc_interval_covers(size, shift):
    rng = np.random.default_rng(6)
    true, within = stats.norm.cdf(shift / math.sqrt(2)), 0
    for _ in range(500):
        edges = np.linspace(-6, 9, 400)
        positives = np.bincount(np.searchsorted(edges, rng.normal(shift, 1, size)), minlength=401)
        negatives = np.bincount(np.searchsorted(edges, rng.normal(0, 1, 2 * size)), minlength=401)
        found, _ = auc(positives, negatives)
        within += found.low <= true <= found.high
    assert within / 500 > 0.93


def test_a_perfect_auc_of_few_is_not_certain():
    found, error = auc(np.array([0, 3]), np.array([3, 0]))
    assert (found.value, error, found.high) == (1.0, 0.0, 1.0)
    assert found.low < 0.7


def test_the_auc_interval_is_widened_by_what_the_bins_hide():
    found, error = auc(np.array([500]), np.array([500]))
    assert (found.value, error, found.low, found.high) == (0.5, 0.5, 0.0, 1.0)
    sharp, blurred = auc(np.array([50, 0, 50]), np.array([50, 0, 50])), auc(np.array([50, 50]), np.array([50, 50]))
    assert sharp == blurred
    assert blurred[0].low < 0.5 - blurred[1] == 0.25


def test_lower_revisions_are_ignored_and_equal_ones_replace():
    host = Host(lambda store: Performance(store, Models()))
    host.feed(records_batch("window-partials", [partial([(0.9, 1.0, 1)], revision=5)]))
    assert host.feed(records_batch("window-partials", [partial([], revision=4, extra=9)])) == []
    assert host.feed(records_batch("window-partials", [partial([], revision=5, extra=2)]))[0].predictions == 2


def test_one_record_a_window_with_key_and_route():
    host = Host(lambda store: Performance(store, Models()))
    partials = [
        partial([], 0, 1, extra=1),
        partial([], 1, 4, extra=2, as_of=-7),
        partial([], 0, 2, extra=5),
        partial([], segment="a=ü"),
    ]
    whole, segment = host.feed(records_batch("window-partials", partials))
    assert (whole.predictions, whole.revision, whole.as_of) == (7, 6, -7)
    assert host.keys == [b'["m","v1","*",0]', b'["m","v1","a=\\u00fc",0]']
    assert host.routes == [b"m", b"m"]
    assert segment.segment == "a=ü"


def test_a_window_is_as_far_as_its_slowest_partition_and_never_goes_back():
    host = Host(lambda store: Performance(store, Models()))
    states = []
    for source, revision, state in (
        (0, 1, "mature"),
        (1, 1, "provisional"),
        (0, 2, "sealed"),
        (1, 2, "sealed"),
        (2, 1, "mature"),
    ):
        states += [
            emitted.state
            for emitted in host.feed(records_batch("window-partials", [partial([], source, revision, state=state)]))
        ]
    assert states == ["mature", "mature", "mature", "sealed", "sealed"]


def test_join_counts_are_summed():
    def counts(source, revision, value, model="m"):
        return JoinCounts(model, source, revision, 10 * source, *[value] * 16)

    host = Host(lambda store: Performance(store, Models()))
    host.feed(records_batch("window-partials", [counts(1, 1, 3), counts(2, 7, 10), counts(1, 2, 4)]))
    assert host.feed(records_batch("window-partials", [counts(2, 6, 99)])) == []
    host.feed(records_batch("window-partials", [counts(0, 1, 1, "")]))
    assert host.emitted == [JoinCounts("m", -1, 9, 10, *[14] * 16), JoinCounts("", -1, 1, 0, *[1] * 16)]
    assert host.keys == [b'["counts","m"]', b'["counts",""]']


def test_windows_that_have_become_mature_are_summed_over_the_partitions_and_told_of_once():
    def counts(source, revision, *matured):
        return JoinCounts(
            "m", source, revision, 10, *[0] * 16, matured=[MaturedWindow("v1", *each) for each in matured]
        )

    host = Host(lambda store: Performance(store, Models(), 2), fresh=True)
    host.feed(records_batch("window-partials", [counts(0, 1, (0, 3), (100, 2)), counts(1, 1, (0, 4))]))
    host.feed(records_batch("window-partials", [counts(0, 1, (0, 3), (100, 2)), counts(1, 2)]))
    host.feed(records_batch("window-partials", [counts(0, 2, (200, 1))]))
    told = [[(each.window_start, each.predictions) for each in total.matured] for total in host.emitted]
    assert told == [[(0, 7), (100, 2)], [], [(200, 1)]]


def test_scores_that_are_no_probabilities_have_no_numbers_that_need_one():
    """One partition that counts so is enough; what needs no probability is there."""
    rows = [(0.9, 1.0, 1), (0.2, 0.0, 0), (0.7, 0.0, 1)]
    window = emit(partial(rows, task="binary"), partial(rows, task="decision", source=1))
    assert (window.task, window.logloss, window.brier, window.mean_score) == ("decision", None, None, None)
    assert (window.accuracy.value, window.auc.value) == pytest.approx((2 / 3, 1.0))
