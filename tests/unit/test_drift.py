"""Drift: reports of windows, and the first null by simulation without and with drift."""

import math

import numpy as np
import pytest
from scipy import stats

from leadline.core.models import Signature
from leadline.core.reference import FeatureProfile, FeatureWindow, ReferenceProfile
from leadline.core.watch.drift import Drift
from leadline.core.watch.two_nulls import VersionNulls
from leadline.core.windows.reference_bins import ReferenceBins, build_profile
from leadline.records import FeatureCounts, WindowProfile
from leadline.settings import DriftLimits, ModelSettings
from stages import Host, Models, records_batch, version

LIMITS = DriftLimits()


def verdicts(live, profile, limits=LIMITS):
    """By feature and finding; ``live``: the counts of each feature in the bins of the profile."""
    judged = VersionNulls.of(profile, limits.method).judge(
        {name: np.array(each) for name, each in live.items()}, limits
    )
    return {(each.nulls.question.feature.name, each.nulls.question.finding): each for each in judged}


def compare(live, reference, limits=LIMITS, kind="score"):
    """The verdict on one distribution; of values without missing ones."""
    edges, names = list(range(len(reference) - 1)), [f"c{i}" for i in range(len(reference) - 1)]
    feature = FeatureProfile("x", kind, [*map(int, reference), 0], edges if kind != "categorical" else [], names)
    found = verdicts({"x": [*live, 0]}, ReferenceProfile(int(sum(reference)), [feature], {}), limits)
    return found["x", "distribution"]


def test_p_is_that_of_the_contingency_table():
    rng = np.random.default_rng(1)
    for _ in range(50):
        live, reference = rng.multinomial(300, [0.2] * 5), rng.multinomial(2000, [0.2] * 5)
        expected = stats.chi2_contingency([live, reference], correction=False)
        found = compare(live, reference)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        quantile = stats.chi2.isf(LIMITS.p_value, 4) * (1 / 300 + 1 / 2000)
        assert found.found.threshold == pytest.approx(max(LIMITS.psi, quantile), rel=1e-12)


def test_psi_with_empty_cells_is_finite():
    p, q = 50.5 / 51, 0.5 / 51
    assert compare([50, 0], [0, 50]).found.statistic == pytest.approx(2 * (p - q) * math.log(p / q))


def test_no_evidence_is_no_drift():
    for live, reference in (([0, 0], [5, 5]), ([5, 5], [0, 0]), ([9, 0], [80, 0]), ([1, 0], [0, 1])):
        found = compare(live, reference)
        assert (found.found.statistic, found.p_value, found.drifted) == (0, 1, False)


def drifted_share(n, shift, p_value, features=1, windows=400, reference_n=10_000, seed=11, **more):
    """Share of windows with any drifted feature, of normal features that moved by ``shift`` standard deviations."""
    rng = np.random.default_rng(seed)
    signature = Signature("s", [f"x{i}" for i in range(features)], [], {})
    profile = build_profile(signature, rng.normal(size=(reference_n, features)), np.zeros(reference_n))
    limits = DriftLimits(p_value=p_value, **more)
    nulls = VersionNulls.of(profile, limits.method)
    bins = {feature.name: ReferenceBins.of(feature) for feature in profile.features}
    drifted = 0
    for _ in range(windows):
        values = dict(zip(bins, [*rng.normal(shift, 1, size=(features, n)), np.zeros(n)], strict=True))
        live = {name: np.bincount(bin_of(values[name]), minlength=bin_of.size) for name, bin_of in bins.items()}
        drifted += any(each.drifted for each in nulls.judge(live, limits))
    return drifted / windows


@pytest.mark.parametrize("n", [50, 100, 200, 500, 1000, 5000])
def test_false_alarms_stay_below_p(n):
    """Within three standard errors of 5 % at most, for one feature and for a window of eight."""
    bound = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert drifted_share(n, 0, 0.05) <= bound
    assert drifted_share(n, 0, 0.05, features=8, windows=100) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert drifted_share(n, 0, LIMITS.p_value) <= 0.005


@pytest.mark.parametrize("method", ["jensen-shannon", "ks", "wasserstein"])
@pytest.mark.parametrize("correction", ["bonferroni", "benjamini-hochberg"])
def test_every_method_keeps_p_and_finds_a_shift(method, correction):
    more = {"method": method, "correction": correction}
    assert drifted_share(200, 0, 0.05, features=4, windows=200, **more) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert drifted_share(1000, 0.3, 0.001, windows=50, **more) > 0.95


def test_power_on_a_shift():
    """A shift of 0.3 standard deviations is a PSI of 0.087: below the default limit of 0.1, so found for certain with a lower one only."""
    assert drifted_share(500, 0.5, 0.001, windows=100) > 0.99
    assert 0.35 < drifted_share(500, 0.3, 0.001, windows=300) < 0.75
    assert drifted_share(1000, 0.3, 0.001, features=10, windows=50, psi=0.03) > 0.99


# -- categories -------------------------------------------------------------------------------------------------------


def category_profile(rows, categories):
    """The profile of a feature with the categories that the rows (their numbers) have, and the place of each category, -1: unseen."""
    known = np.unique(rows)
    place = np.full(categories, -1.0)
    place[known] = np.arange(len(known))
    signature = Signature("s", [], ["c"], {"c": [f"c{number}" for number in known]})
    profile = build_profile(signature, place[rows][:, None], np.zeros(len(rows)))
    return profile, ReferenceBins.of(profile.features[0], signature.categories["c"]), place


@pytest.mark.parametrize(
    ("categories", "rows", "n", "steep"),
    [
        (300, 500, 5000, 0),
        (300, 500, 500, 0),
        (1000, 500, 5000, 0),
        (300, 1800, 5000, 0),
        (60, 400, 5000, 0),
        (100, 1000, 20000, 0),
    ]
    + [(30, 2000, n, 1.5) for n in (50, 200, 1000)]
    + [(60, 60_000, 50_000, 0)],
)
@pytest.mark.parametrize("method", ["psi", "jensen-shannon"])
def test_rare_categories_make_no_false_alarms(categories, rows, n, steep, method):
    """However many there are: which are rare was decided by the reference, and the counts to expect know it."""
    rng, limits = np.random.default_rng(12), DriftLimits(method=method)
    weights = 1 / np.arange(1, categories + 1) ** steep
    weights /= weights.sum()
    drifted = 0
    for _ in range(60):
        profile, bin_of, place = category_profile(rng.choice(categories, rows, p=weights), categories)
        live = np.bincount(bin_of(place[rng.choice(categories, n, p=weights)]), minlength=bin_of.size)
        score = np.array(profile.features[1].counts)
        drifted += any(each.drifted for each in verdicts({"c": live, "score": score}, profile, limits).values())
    assert drifted <= 3


def test_a_category_that_was_never_seen_is_found():
    limits = DriftLimits(psi=0.1, p_value=0.001)
    for live, reference in (([80, 80, 40, 0], [5000, 5000, 0, 0]), ([40, 40, 10], [5000, 5000, 0])):
        assert compare(live, reference, limits, "categorical").drifted
    assert not compare([50, 49, 1], [5000, 5000, 0], limits, "categorical").drifted


COLOURS = FeatureProfile("colour", "categorical", [600, 390, 9, 0, 1], [], ["red", "green\x1b[2J", "rare"])
AGES = FeatureProfile("age", "numeric", [300, 300, 300, 100], [20.0, 40.0], [])
MIXED = ReferenceProfile(1000, [COLOURS, AGES], {})


@pytest.mark.parametrize(
    ("colour", "age", "found", "effect"),
    [
        ([60, 39, 1, 0, 0], [30, 30, 30, 10], set(), None),
        ([60, 39, 1, 0, 0], [18, 18, 18, 46], {("age", "missing")}, "missing 10 % -> 46 %; cohen-h 0.847"),
        ([60, 39, 1, 9, 0], [30, 30, 30, 10], {("colour", "unseen")}, "unseen 0 % -> 8.26 %; cohen-h 0.583"),
        (
            [59, 120, 1, 0, 0],
            [30, 30, 30, 10],
            {("colour", "distribution")},
            r"category 'green\x1b[2J' 39 % -> 66.7 %; psi 0.3",
        ),
        ([60, 39, 1, 0, 0], [5, 10, 75, 10], {("age", "distribution")}, "mean bin up 2 -> 2.78 of 3; psi 1.15"),
        (
            [60, 39, 1, 0, 0],
            [5, 80, 5, 10],
            {("age", "distribution")},
            "values from 20 to 40 33.3 % -> 88.9 %; psi 1.47",
        ),
        ([0, 0, 0, 0, 100], [0, 0, 0, 90], {("age", "missing"), ("colour", "missing")}, None),
    ],
)
def test_what_is_missing_unseen_or_distributed_otherwise_are_findings_of_their_own(colour, age, found, effect):
    answers = feed(host(MIXED), profile(0, 1, features={"colour": colour, "age": age}))
    drifted = [each for each in answers if each.drifted]
    assert {(each.feature, each.finding) for each in drifted} >= found
    assert {each.finding for each in drifted} <= {finding for _, finding in found} | {"distribution"}
    if effect:
        [said] = [each.effect for each in drifted if (each.feature, each.finding) in found]
        assert said.startswith(effect)


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


def profile(source, revision, score=(), x=(), closed=True, as_of=0, name="v1", features=None):
    counts = features or {"x": x, "score": score}
    return WindowProfile(
        model="m",
        model_version=name,
        window_start=0,
        window_end=100,
        source_partition=source,
        revision=revision,
        as_of=as_of,
        closed=closed,
        predictions=max(map(sum, counts.values())),
        features=[FeatureCounts(feature, list(each)) for feature, each in counts.items()],
    )


def host(reference=PROFILE):
    models = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS, reference)})
    return Host(lambda store: Drift(store, models))


def feed(run, *profiles):
    return run.feed(records_batch("window-profiles", profiles))


def test_partials_are_summed_and_the_score_comes_last():
    run = host()
    x, missing, score = feed(
        run, profile(0, 3, [50, 50, 0], [90, 10, 0], as_of=9), profile(1, 4, [50, 50, 0], [90, 10, 0], as_of=7)
    )
    assert [(each.feature, each.finding) for each in (x, missing, score)] == [
        ("x", "distribution"),
        ("x", "missing"),
        ("score", "distribution"),
    ]
    assert (x.n, x.reference_n, x.revision, x.as_of, x.drifted, score.drifted) == (200, 1000, 7, 7, True, False)
    assert run.keys == [
        b'["m","v1",0,"x","distribution"]',
        b'["m","v1",0,"x","missing"]',
        b'["m","v1",0,"score","distribution"]',
    ]
    assert run.routes == [b"m"] * 3


def test_counts_in_other_bins_than_the_references_are_left_out():
    x, _, score = feed(host(), profile(0, 3, [50, 50], [90, 10, 0]), profile(1, 4, [50, 50, 0], [90, 10, 0]))
    assert (x.n, score.n) == (200, 100)


def test_lower_revisions_are_ignored_and_newer_ones_replace():
    run = host()
    feed(run, profile(0, 3, [50, 50, 0], [50, 50, 0]))
    assert feed(run, profile(0, 2, [1, 0, 0], [1, 0, 0])) == []
    assert [emitted.n for emitted in feed(run, profile(0, 3, [55, 55, 0], [55, 55, 0]))] == [110, 110, 110]
    assert [emitted.n for emitted in feed(run, profile(0, 5, [60, 60, 0], [60, 60, 0]))] == [120, 120, 120]


def test_open_windows_and_unknown_versions_are_not_reported():
    run = host()
    assert feed(run, profile(0, 1, [50, 50, 0], [50, 50, 0], closed=False)) == []
    assert feed(run, profile(0, 1, [50, 50, 0], [50, 50, 0], name="v9")) == []
    assert feed(run, profile(1, 1, [50, 50, 0], [50, 50, 0])) == []
    assert len(feed(run, profile(0, 2, [50, 50, 0], [50, 50, 0]))) == 3


def test_a_feature_without_values_has_no_report():
    assert [emitted.feature for emitted in feed(host(), profile(0, 1, [50, 50, 0], [0, 0, 0]))] == ["score"]


def test_a_new_object_on_the_same_store_goes_on():
    steady, woken = host(), Host(lambda store: Drift(store, MODELS), fresh=True)
    rng = np.random.default_rng(4)
    for _ in range(40):
        counts = rng.integers(0, 50, (2, 3)).tolist()
        news = profile(int(rng.integers(3)), int(rng.integers(20)), *counts, closed=bool(rng.integers(4)))
        assert feed(steady, news) == feed(woken, news)


# -- the reference's own windows --------------------------------------------------------------------------------------


def dependent(count, rng, rows=400):
    """Counts in ten bins of windows whose mean moves from one to the next by more than independent rows would."""
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    return [
        np.bincount(np.searchsorted(edges, rng.normal(mean, 1, rows)), minlength=11).tolist()
        for mean in rng.normal(0, 0.4, count)
    ]


def of_windows(rows):
    feature = FeatureProfile("score", "score", np.sum(rows, axis=0).tolist(), list(range(9)), [])
    own = [FeatureWindow(i, sum(row), [row]) for i, row in enumerate(rows)]
    return ReferenceProfile(int(np.sum(rows)), [feature], {}, window=1, windows=own)


@pytest.mark.parametrize("method", ["psi", "jensen-shannon", "ks", "wasserstein"])
def test_windows_as_different_as_the_references_own_are_no_drift(method):
    rng, alone, both = np.random.default_rng(21), 0, 0
    settings = ModelSettings(name="m", window=100, drift={"method": method})
    for _ in range(10):
        rows = dependent(20, rng)
        reference = of_windows(rows)
        few = ReferenceProfile(reference.predictions, reference.features, {}, window=1, windows=reference.windows[:7])
        for live in dependent(10, rng):
            [answer], [first] = (report(settings, each, live) for each in (reference, few))
            both, alone = both + answer.drifted, alone + first.drifted
            assert (answer.own_windows, answer.own_p_value is None) == (20, False)
            assert (first.own_windows, first.own_p_value) == (7, None)
    assert alone > 30
    assert both <= 5
    assert report(settings, reference, [0] * 8 + [10, 390, 0])[0].drifted


def report(settings, reference, live):
    models = Models({"m": settings}, {("m", "v1"): version(settings, reference)})
    return feed(Host(lambda store: Drift(store, models)), profile(0, 1, features={"score": live}))


def test_the_statistic_passes_its_threshold_where_both_nulls_are_passed():
    """So that a reader of the report sees why."""
    rng = np.random.default_rng(22)
    settings = ModelSettings(name="m", window=100)
    reference = of_windows(dependent(12, rng))
    answers = [report(settings, reference, live)[0] for mean in range(4) for live in shifted(mean, rng)]
    for each in answers:
        assert each.drifted == (each.statistic > each.threshold and each.p_value < 0.001 and each.own_p_value < 0.01)
        assert (each.statistic > each.threshold) <= (each.own_p_value < 0.01 * 1.000001)
    assert {each.drifted for each in answers} == {False, True}


def shifted(mean, rng):
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    return [np.bincount(np.searchsorted(edges, rng.normal(mean, 1, n)), minlength=11).tolist() for n in (50, 400, 4000)]


def test_own_windows_are_looked_at_once_for_a_version(monkeypatch):
    made = []
    original = VersionNulls.of.__func__
    monkeypatch.setattr(VersionNulls, "of", classmethod(lambda cls, *args: made.append(args) or original(cls, *args)))
    run = host()
    for revision in range(1, 5):
        assert feed(run, profile(0, revision, [50, 50, 0], [50, 50, 0]))
    assert len(made) == 1
