"""Drift: against scipy, by simulation without and with drift, and how partials become reports."""

import math

import numpy as np
import pytest
from scipy import stats

from leadline.core.models import Signature
from leadline.core.reference import FeatureProfile, ReferenceProfile
from leadline.core.watch.drift import MIN_EXPECTED, Drift, compare, p_value, pool
from leadline.core.windows.reference_bins import ReferenceBins, build_profile
from leadline.records import FeatureCounts, WindowProfile
from leadline.settings import DriftLimits, ModelSettings
from stages import Host, Models, records_batch, version

LIMITS = DriftLimits()


def test_p_is_that_of_the_contingency_table():
    rng = np.random.default_rng(1)
    for _ in range(50):
        live, reference = rng.multinomial(300, [0.2] * 5), rng.multinomial(2000, [0.2] * 5)
        expected = stats.chi2_contingency([live, reference], correction=False)
        found = compare(live, reference, LIMITS)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        quantile = stats.chi2.isf(LIMITS.p_value, 4) * (1 / 300 + 1 / 2000)
        assert found.limit == pytest.approx(max(LIMITS.psi, quantile), rel=1e-12)


def test_psi_with_empty_cells_is_finite():
    live, reference = np.array([50, 0]), np.array([0, 50])
    p, q = 50.5 / 51, 0.5 / 51
    assert compare(live, reference, LIMITS).psi == pytest.approx(2 * (p - q) * math.log(p / q))


def test_bonferroni():
    live, reference = np.array([60, 40]), np.array([500, 500])
    alone, of_ten = compare(live, reference, LIMITS), compare(live, reference, LIMITS, tests=10)
    assert of_ten.p_value == pytest.approx(10 * alone.p_value)
    assert of_ten.limit >= alone.limit


def test_no_evidence_is_no_drift():
    for live, reference in (([0, 0], [5, 5]), ([5, 5], [0, 0]), ([9, 0], [80, 0]), ([1, 0], [0, 1])):
        found = compare(np.array(live), np.array(reference), LIMITS)
        assert (found.psi, found.p_value, found.drifted) == (0, 1, False)


def test_small_cells_are_pooled():
    rng = np.random.default_rng(2)
    for _ in range(200):
        weights = rng.dirichlet([0.2] * 12)
        live, reference = rng.multinomial(40, weights), rng.multinomial(500, weights)
        cells = pool(np.stack([live, reference]))
        assert cells.sum(axis=1).tolist() == [40, 500]
        assert (cells.sum(axis=0)[:-1] * 40 / 540 >= MIN_EXPECTED).all()
        assert cells.any(axis=0).all()


def test_p_of_a_thin_cell_is_exact():
    cells = np.array([[100, 5], [9000, 20]])
    alone = stats.binomtest(5, 25, 105 / 9125, alternative="greater").pvalue
    assert p_value(cells) == pytest.approx(2 * 2 * alone, rel=1e-9)


def drifted_share(n, shift, p_value, features=1, windows=400, reference_n=10_000, seed=11):
    """Share of windows with any drifted feature, of normal features that moved by ``shift`` standard deviations."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(reference_n, features))
    profile = build_profile(
        Signature("s", [f"x{i}" for i in range(features)], [], {}), reference, np.zeros(reference_n)
    )
    limits = DriftLimits(p_value=p_value)
    bins = [(ReferenceBins.of(feature), np.array(feature.counts)) for feature in profile.features[:-1]]
    drifted = 0
    for _ in range(windows):
        live = rng.normal(shift, 1, size=(features, n))
        drifted += any(
            compare(np.bincount(bin_of(x), minlength=bin_of.size), counts, limits, features).drifted
            for x, (bin_of, counts) in zip(live, bins, strict=True)
        )
    return drifted / windows


@pytest.mark.parametrize("n", [50, 100, 200, 500, 1000, 5000])
def test_false_alarms_stay_below_p(n):
    """Within three standard errors of 5 % at most, for one feature and for a window of eight."""
    bound = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert drifted_share(n, 0, 0.05) <= bound
    assert drifted_share(n, 0, 0.05, features=8, windows=100) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert drifted_share(n, 0, LIMITS.p_value) <= 0.005


def test_rare_categories_make_no_false_alarms():
    rng = np.random.default_rng(12)
    weights = 1 / np.arange(1, 31) ** 1.5
    weights /= weights.sum()
    for n in (50, 200, 1000):
        found = [
            compare(rng.multinomial(n, weights), rng.multinomial(2000, weights), DriftLimits(p_value=0.05)).drifted
            for _ in range(400)
        ]
        assert np.mean(found) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_power_on_a_shift():
    """A shift of 0.3 standard deviations is a PSI of 0.087: below the default limit of 0.1, so found for certain with a lower one only."""
    assert drifted_share(500, 0.5, 0.001, windows=100) > 0.99
    assert 0.35 < drifted_share(500, 0.3, 0.001, windows=300) < 0.75
    rng = np.random.default_rng(13)
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    reference = np.full(10, 1000)
    found = [
        compare(
            np.bincount(np.searchsorted(edges, rng.normal(0.3, 1, 1000)), minlength=10),
            reference,
            DriftLimits(psi=0.03),
            tests=10,
        ).drifted
        for _ in range(200)
    ]
    assert np.mean(found) > 0.99


def test_a_category_that_was_never_seen_is_found():
    assert compare(np.array([80, 80, 40, 0]), np.array([5000, 5000, 0, 0]), LIMITS, 10).drifted
    assert compare(np.array([40, 40, 10]), np.array([5000, 5000, 0]), DriftLimits(psi=0.1, p_value=0.001), 10).drifted
    assert not compare(np.array([50, 49, 1]), np.array([5000, 5000, 0]), LIMITS).drifted


# -- the stage --------------------------------------------------------------------------------------------------------

SETTINGS = ModelSettings(name="m", window=100)
PROFILE = ReferenceProfile(
    1000,
    [
        FeatureProfile("score", "score", [500, 500, 0], [0.5], []),
        FeatureProfile("x", "numeric", [500, 500, 0], [1.0], []),
    ],
    {},
)
MODELS = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS, PROFILE)})


def profile(source, revision, score, x, closed=True, as_of=0, name="v1"):
    features = [FeatureCounts("x", x), FeatureCounts("score", score)]
    return WindowProfile(
        model="m",
        model_version=name,
        window_start=0,
        window_end=100,
        source_partition=source,
        revision=revision,
        as_of=as_of,
        closed=closed,
        predictions=sum(score),
        features=features,
    )


def host():
    return Host(lambda store: Drift(store, MODELS))


def feed(run, *profiles):
    return run.feed(records_batch("window-profiles", profiles))


def test_partials_are_summed_and_the_score_comes_last():
    run = host()
    x, score = feed(
        run, profile(0, 3, [50, 50, 0], [90, 10, 0], as_of=9), profile(1, 4, [50, 50, 0], [90, 10, 0], as_of=7)
    )
    assert [x.feature, score.feature] == ["x", "score"]
    assert (x.n, x.reference_n, x.revision, x.as_of, x.drifted, score.drifted) == (200, 1000, 7, 7, True, False)
    assert run.keys == [b'["m","v1",0,"x"]', b'["m","v1",0,"score"]']
    assert run.routes == [b"m", b"m"]


def test_counts_in_other_bins_than_the_references_are_left_out():
    x, score = feed(host(), profile(0, 3, [50, 50], [90, 10, 0]), profile(1, 4, [50, 50, 0], [90, 10, 0]))
    assert (x.n, score.n) == (200, 100)


def test_lower_revisions_are_ignored_and_newer_ones_replace():
    run = host()
    feed(run, profile(0, 3, [50, 50, 0], [50, 50, 0]))
    assert feed(run, profile(0, 2, [1, 0, 0], [1, 0, 0])) == []
    assert [emitted.n for emitted in feed(run, profile(0, 3, [55, 55, 0], [55, 55, 0]))] == [110, 110]
    assert [emitted.n for emitted in feed(run, profile(0, 5, [60, 60, 0], [60, 60, 0]))] == [120, 120]


def test_open_windows_and_unknown_versions_are_not_reported():
    run = host()
    assert feed(run, profile(0, 1, [50, 50, 0], [50, 50, 0], closed=False)) == []
    assert feed(run, profile(0, 1, [50, 50, 0], [50, 50, 0], name="v9")) == []
    assert feed(run, profile(1, 1, [50, 50, 0], [50, 50, 0])) == []
    assert len(feed(run, profile(0, 2, [50, 50, 0], [50, 50, 0]))) == 2


def test_a_feature_without_values_has_no_report():
    assert [emitted.feature for emitted in feed(host(), profile(0, 1, [50, 50, 0], [0, 0, 0]))] == ["score"]


def test_a_new_object_on_the_same_store_goes_on():
    steady, woken = host(), Host(lambda store: Drift(store, MODELS), fresh=True)
    rng = np.random.default_rng(4)
    for _ in range(40):
        counts = rng.integers(0, 50, (2, 3)).tolist()
        news = profile(int(rng.integers(3)), int(rng.integers(20)), *counts, closed=bool(rng.integers(4)))
        assert feed(steady, news) == feed(woken, news)
