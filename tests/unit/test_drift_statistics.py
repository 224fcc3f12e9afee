"""The statistics under drift, each against a plain or public form of it."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from leadline.core.statistics.chi_square import MIN_EXPECTED, p_value, pool
from leadline.core.statistics.distances import BY_NAME, COHEN_H, Distance
from leadline.core.statistics.own_windows import own_windows
from leadline.core.statistics.rare import Rare
from leadline.core.statistics.several import benjamini_hochberg, bonferroni

PLACES = np.arange(7)
ORACLES = {
    "psi": lambda p, q: sum((a - b) * np.log(a / b) for a, b in zip(p, q, strict=True)),
    "jensen-shannon": distance.jensenshannon,
    "ks": lambda p, q: max(abs(sum(p[: i + 1]) - sum(q[: i + 1])) for i in PLACES),
    "wasserstein": lambda p, q: stats.wasserstein_distance(PLACES, PLACES, p, q),
}


@pytest.mark.parametrize("name", ORACLES)
def test_distances(name):
    """Of many samples at once; cells may be empty, but for PSI."""
    rng, chosen = np.random.default_rng(1), BY_NAME[name]
    p, q = rng.dirichlet([0.5] * 7, (2, 20))
    if name != "psi":
        p[:, 2], q[:5, 3] = 0, 0
        p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    assert chosen.between(p, q) == pytest.approx([ORACLES[name](a, b) for a, b in zip(p, q, strict=True)], abs=1e-9)


@pytest.mark.parametrize("chosen", [*BY_NAME.values(), COHEN_H], ids=lambda each: each.name)
@pytest.mark.parametrize("n", [200, 2000])
def test_noise_is_about_the_distance_of_independent_rows(chosen: Distance, n):
    """For the Kolmogorov-Smirnov distance, a bound from below: that of its most variable cell."""
    rng = np.random.default_rng(2)
    q = np.array([0.7, 0.3]) if chosen is COHEN_H else np.full(10, 0.1)
    live, reference = rng.multinomial(n, q, 4000), rng.multinomial(5000, q, 4000)
    found = (chosen.of(live, reference) ** chosen.power).mean() / (chosen.noise(q) * (1 / n + 1 / 5000))
    assert 0.85 < found < (2.2 if chosen.name == "ks" else 1.3)


def test_a_sample_of_any_size_is_as_far_as_its_shares():
    reference, most = np.array([100, 100, 100, 100]), 50
    far = [BY_NAME["psi"].of(np.array([size, 0, 0, 0]), reference, most) for size in (50, 500, 50_000)]
    assert far == pytest.approx([far[0]] * 3)


def test_several_p_values():
    rng = np.random.default_rng(3)
    for size in (1, 2, 20):
        p = rng.random(size) ** 3
        assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))
        assert bonferroni(p) == pytest.approx(np.minimum(p * size, 1))
    assert benjamini_hochberg(np.zeros(0)).tolist() == []


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


@pytest.mark.parametrize("least", [1, 4, 10])
def test_what_is_rare_is_expected_as_often_as_it_comes(least):
    rng, weights = np.random.default_rng(4), np.full(200, 1 / 200)
    errors, plain, variances = [], [], []
    for _ in range(400):
        counts = rng.multinomial(1000, weights)
        seen = counts[counts > 0]
        rare = Rare.of(seen, 0, least)
        truth = weights[counts < least].sum()
        errors.append(rare.expected[-1] / 1000 - truth)
        plain.append(seen[rare.are].sum() / 1000 - truth)
        variances.append(rare.expected[-1] / rare.worth / 1000**2)
    assert abs(np.mean(errors)) < max(0.01, abs(np.mean(plain)) / 5)
    assert least < 10 or abs(np.mean(errors)) < abs(np.mean(plain)) / 3
    assert np.var(errors) / np.mean(variances) < 1.5
    assert least == 10 or np.var(errors) / np.mean(variances) > 0.5


def own(rows, reach):
    """The own windows by a loop, at a reach."""
    rows, found = np.array(rows), []
    for i in range(len(rows)):
        rest = sum(row for j, row in enumerate(rows) if abs(j - i) > reach)
        found.append(BY_NAME["psi"].of(rows[i], rest, np.median(rows.sum(axis=1))))
    return found


def test_own_windows_are_compared_with_the_rest_without_their_neighbours():
    rng = np.random.default_rng(1)
    free = rng.multinomial(300, [0.25] * 4, 12)
    assert own_windows(free, free.sum(axis=0), BY_NAME["psi"]).distances == pytest.approx(own(free, 0))
    slow = np.array([rng.multinomial(300, [0.25 + d, 0.25, 0.25, 0.25 - d]) for d in np.linspace(0.0, 0.2, 16)])
    assert own_windows(slow, slow.sum(axis=0), BY_NAME["psi"]).distances == pytest.approx(own(slow, 2))


def test_a_window_that_the_reference_cuts_is_left_out():
    rows = np.array([[40, 10], *[[500, 500]] * 9])
    assert own_windows(rows, rows.sum(axis=0), BY_NAME["psi"]).total == 9
    assert own_windows(rows[:0], rows.sum(axis=0), BY_NAME["psi"]).total == 0
    assert own_windows(rows, np.zeros(2, np.int64), BY_NAME["psi"]).total == 0


@pytest.mark.parametrize("chosen", BY_NAME.values(), ids=lambda each: each.name)
def test_a_value_that_never_changed_and_does(chosen):
    rows = np.tile([0, 300, 0], (9, 1))
    null = own_windows(rows, rows.sum(axis=0), chosen)

    def p_value(live):
        far = float(chosen.of(np.array(live), rows.sum(axis=0), null.n)) ** chosen.power
        return null.p_value(far, float(chosen.by_chance(rows.sum(axis=0), 300, 2700)))

    assert p_value([0, 300, 0]) > 0.01
    assert p_value([0, 200, 100]) < 1e-5


@pytest.mark.parametrize("k", [8, 31])
@pytest.mark.parametrize("size", [100, 400, 4000])
def test_the_null_holds_for_windows_of_another_size(k, size):
    rng, low = np.random.default_rng(6), []
    q = np.full(10, 0.1)

    def window(n):
        return rng.multinomial(n, rng.dirichlet(q * 100))

    for _ in range(400):
        rows = np.array([window(400) for _ in range(k)])
        reference, live = rows.sum(axis=0), window(size)
        null = own_windows(rows, reference, BY_NAME["psi"])
        noise = 9 * (1 / size + 1 / reference.sum())
        low.append(null.p_value(float(BY_NAME["psi"].of(live, reference, null.n)), noise) < 0.05)
    assert np.mean(low) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
