"""The evidence of a rollout against a loop over single pairs, however its counts are split, ordered and repeated."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from leadline.core.release.evidence import Columns, Pairs, Terms, look
from leadline.core.release.evidence.bets import NOT_WORSE, STAKES, WORSE, log_floors, winnings
from leadline.core.release.evidence.counted import cells, due
from leadline.core.windows.loss_grid import GRID, ONE, neighbours
from leadline.records import Comparison, PairCounts, PairPartial
from leadline.settings import ModelSettings
from leadline.state.memory import MemoryStore

HOUR = 3_600_000
SETTINGS = ModelSettings.model_validate(
    {
        "name": "m",
        "window": HOUR,
        "horizon": HOUR,
        "grace": 0,
        "rollout": {"margin": 0.03, "budget": 0.03, "min_pairs": 1},
    }
)
NUMBERS = st.integers(0, 40)
COUNTS = st.builds(PairCounts, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 3), NUMBERS, NUMBERS)
WINDOWS = st.lists(st.tuples(COUNTS, st.sampled_from([1.0, 0.5, 0.1])), min_size=3, max_size=9)


def partial(counts, window, sample=1.0, partition=0, revision=0, segment="*", **changes):
    return PairPartial(
        "m", "v1", "v2", segment, window * HOUR, (window + 1) * HOUR, partition, sample, revision, 0, "mature",
        **{"task": "binary", "counts": counts, "mature": counts} | changes,
    )  # fmt: skip


def looked(partials, champion="v1", now=1_000, settings_=SETTINGS):
    pairs = Pairs(MemoryStore(), b"p")
    challenger = "v2" if champion == "v1" else "v1"
    for each in partials:
        pairs.take(each, champion, challenger, "r")
    return look(pairs.of("m", champion, challenger), Terms.of(settings_, 0, now * HOUR))


def known_pairs(c):
    return c.both + c.first + c.second + c.neither + c.alike


def naive(windows, margin):
    """Both kinds of evidence, pair by pair."""
    rate = min(sample for _, sample in windows)
    known = [[1] * c.second + [-1] * c.first + [0] * (c.both + c.neither + c.alike) for c, _ in windows]
    weights = [len(each) * (rate / sample) ** 2 for each, (_, sample) in zip(known, windows, strict=True)]
    phi, phi_of_steps = (
        sum(w * max(1.0, 1 + (len(each) - 1) * naive_rho(known, steps)) for w, each in zip(weights, known, strict=True))
        / sum(weights)
        for steps in (False, True)
    )
    power, rollback = 1 / phi, 1 / min(phi, phi_of_steps)
    fors, againsts = [1.0] * len(STAKES), []
    for (counts, sample), differences in zip(windows, known, strict=True):
        win = [1.0] * len(STAKES)
        for i, stake in enumerate(STAKES * rate / sample):
            for d in differences + [-1] * counts.unlike:
                fors[i] *= (1 + stake * (d + margin) / (1 + margin)) ** power
            for d in differences + [1] * counts.unlike:
                win[i] *= (1 - stake * (d + margin) / (1 + margin)) ** rollback
        againsts.append(win)
    m = [0.0] * len(STAKES)
    for floor, win in zip(np.exp(log_floors(len(windows))), againsts, strict=True):
        m = [max(before, floor) * won for before, won in zip(m, win, strict=True)]
    return sum(fors) / len(STAKES), sum(m) / len(STAKES)


def naive_rho(known, steps):
    known = [each for each in known if each]
    every = [d for window in known for d in window]
    k, total = len(known), len(every)
    mean = sum(every) / total
    variance = sum(d * d for d in every) / total - mean**2
    size = (total - sum(len(each) ** 2 for each in known) / total) / (k - 1)
    if variance <= 1e-12 or size <= 1:
        return 0.0
    means, freedom = [(len(each), sum(each) / len(each)) for each in known], k - 1
    apart = [n * (each - mean) ** 2 for n, each in means]
    if steps:
        apart = [(b - a) ** 2 / (1 / n + 1 / m) for (n, a), (m, b) in pairwise(means)]
        freedom = 2 * (k - 1) ** 2 / (3 * k - 4)
    phi = sum(apart) / (k - 1) / variance
    return min(1.0, max(0.0, (phi * freedom / chi2.ppf(0.05, freedom) - 1) / (size - 1)))


@given(WINDOWS)
@settings(max_examples=60, deadline=None)
def test_evidence_is_the_product_over_single_pairs(windows):
    found = looked([partial(counts, i, sample) for i, (counts, sample) in enumerate(windows)])
    if found.verdict != "no-labels" and sum(known_pairs(c) > 0 for c, _ in windows) >= 3:
        assert (found.promote, found.roll_back) == pytest.approx(naive(windows, 0.03), rel=1e-6)


@given(WINDOWS, st.data())
@settings(max_examples=60, deadline=None)
def test_partitions_order_and_repeats_change_nothing(windows, data):
    whole, parts = [], []
    for i, (counts, sample) in enumerate(windows):
        other = data.draw(COUNTS)
        together = PairCounts(*(a + b for a, b in zip(_numbers(counts), _numbers(other), strict=True)))
        whole.append(partial(together, i, sample))
        old = partial(data.draw(COUNTS), i, sample, revision=3, mature=None)
        parts += [old, partial(counts, i, sample, revision=4), partial(other, i, sample, partition=1, revision=4)]
    shuffled = [*parts, *data.draw(st.permutations(parts))]
    assert looked(shuffled) == looked(whole)


def _numbers(counts):
    return [value for value in (getattr(counts, name) for name in PairCounts.__slots__) if not isinstance(value, list)]


@given(WINDOWS)
@settings(max_examples=30, deadline=None)
def test_whoever_is_champion_the_other_one_is_better_by_what_it_is_worse(windows):
    swapped = [
        (
            replace(
                c,
                first=c.second,
                second=c.first,
                first_score_sum=c.second_score_sum,
                second_score_sum=c.first_score_sum,
            ),
            s,
        )
        for c, s in windows
    ]
    one = looked([partial(counts, i, sample) for i, (counts, sample) in enumerate(windows)])
    other = looked([partial(counts, i, sample) for i, (counts, sample) in enumerate(swapped)], champion="v2")
    assert one[2:9] == other[2:9]


def tallies(differences):
    """Of losses, as the join counts them: rounded down and up."""
    below, *parts = neighbours(np.array(differences, float))
    return [
        (np.bincount(below, ONE - part, len(GRID)) + np.bincount(below + 1, part, len(GRID))).astype(int)
        for part in parts
    ]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_losses_on_the_grid_never_claim_more_than_the_losses_themselves(differences, swapped):
    """Neither for a promotion nor for a rollback, whoever is champion."""
    lower, upper = (each.tolist() for each in tallies(np.array(differences)))
    names = ("v2", "v1") if swapped else ("v1", "v2")
    taken = Pairs(MemoryStore(), b"p").take(
        partial(PairCounts(len(differences), 0, 0, 0, 0, 0, 0, 0, lower, upper), 0, task="regression"), *names, "r"
    )
    exact = np.array(differences) * (-1 if swapped else 1)
    for side, tally in ((NOT_WORSE, taken.counts.lower), (WORSE, taken.counts.upper)):
        won = winnings(np.array([tally]) / ONE, GRID, np.ones(1), 0.03, side)
        assert (won[0] <= np.log1p(STAKES[:, None] * side * (exact + 0.03) / 1.03).sum(axis=1) + 1e-9).all()


def test_regression_goes_by_its_losses():
    """The challenger's are smaller by 0.2 of the bound, and the other way round."""
    rng = np.random.default_rng(1)
    of = SETTINGS.model_copy(update={"task": "regression"})
    partials = []
    for window in range(6):
        lower, upper = (each.tolist() for each in tallies(rng.normal(0.2, 0.2, 100)))
        partials.append(partial(PairCounts(100, 0, 0, 0, 0, 0, 0, 0, lower, upper), window, task="regression"))
    verdicts = [looked(partials, champion=each, settings_=of).verdict for each in ("v1", "v2")]
    assert verdicts == ["promote", "roll-back"]


def test_losses_without_a_bound_may_be_anything():
    of = SETTINGS.model_copy(update={"task": "regression"})
    found = looked(
        [partial(PairCounts(100, 0, 0, 0, 5, 0, 0, 0), i, task="regression") for i in range(6)], settings_=of
    )
    assert (found.verdict, found.promote < 1) == ("hold", True)
    assert "no label or no bound" in next(each.reason for each in found.checks if each.name == "missing-labels")


# -- columns ----------------------------------------------------------------------------------------------------------


def naive_cells(comparisons, terms, protected, most):
    """By segment, of each window that is due: its block, its weight, and its counts when due and now; comparison by comparison."""
    begin = terms.since // terms.window * terms.window
    block = {id(each): (each.window_start - begin) // terms.block for each in comparisons}
    inside = [each for each in comparisons if block[id(each)] >= 0]
    open_blocks = [
        at for each in inside
        if terms.now <= begin + ((at := block[id(each)]) + 1) * terms.block + terms.mature_after or each.mature is None
    ]  # fmt: skip
    due = [each for each in inside if block[id(each)] < min(open_blocks, default=float("inf"))]
    ranks = sorted({block[id(each)] for each in due})
    rate, by_segment = min((each.sample for each in due), default=1.0), {}
    for each in sorted(due, key=lambda each: (each.window_start, each.sample)):
        row = ranks.index(block[id(each)]), rate / each.sample, *naive_tallies(each.mature), *naive_tallies(each.counts)
        by_segment.setdefault(each.segment, []).append(row)
    known = {segment: sum(sum(row[2]) for row in rows) for segment, rows in by_segment.items()}
    first = sorted({"*", *protected} & by_segment.keys())
    others = sorted(by_segment.keys() - {*first}, key=lambda each: (-known[each], each))
    return {segment: by_segment[segment] for segment in [*first, *others[:most]]}


def naive_tallies(counts):
    if not counts.lower:
        row = [counts.first, counts.both + counts.neither + counts.alike, counts.second]
        return row, row, counts.unlike
    lower, upper = ([point / ONE for point in points] for points in (counts.lower, counts.upper))
    missing = counts.both - sum(lower)
    lower[len(GRID) // 2] += counts.alike
    upper[len(GRID) // 2] += counts.alike
    return lower, upper, counts.unlike + missing


def losses(numbers):
    """Counts of a regression with so many pairs of each of three differences."""
    points = [0] * len(GRID)
    points[3], points[16], points[30] = (number * ONE for number in numbers)
    return PairCounts(sum(numbers), 0, 0, 0, numbers[0], numbers[1], 0, 0, points, points[::-1])


LOSSES = st.tuples(NUMBERS, NUMBERS, st.integers(1, 9)).map(losses)


def compared(counts):
    return st.builds(
        Comparison, st.just("m"), st.just("r"), st.just("v1"), st.just("v2"), st.sampled_from(["*", "a", "b", "c", "d"]),
        st.integers(-3, 9).map(lambda window: window * HOUR), st.just(0), st.sampled_from([1.0, 0.5]), st.just(1), st.just(0),
        st.just("regression" if counts is LOSSES else "binary"), counts, st.one_of(counts, counts, counts, st.none()),
    )  # fmt: skip


@given(
    st.sampled_from([COUNTS, LOSSES]).flatmap(lambda each: st.lists(compared(each), max_size=60)), st.integers(1, 11)
)
@settings(max_examples=150, deadline=None)
def test_columns_are_what_is_made_of_one_comparison_after_the_other(comparisons, now):
    settings_ = SETTINGS.model_copy(update={"alerts": SETTINGS.alerts.model_copy(update={"cycle": 2 * HOUR})})
    terms = Terms.of(settings_, HOUR // 2, now * HOUR + 1)
    columns, newest = Columns(), {}
    for each in comparisons:
        columns.put(each)
        newest[each.segment, each.window_start, each.sample] = each
    expected = naive_cells(list(newest.values()), terms, ["b"], 2)
    found = {of.segment: of for of in cells(due(columns, terms), ["b"], 2)}
    assert list(found) == list(expected)
    for segment, of in found.items():
        rows = zip(of.block, of.weights, *of.frozen, *of.restated, strict=True)
        for row, told in zip(rows, expected[segment], strict=True):
            assert [np.asarray(each).tolist() for each in row] == [pytest.approx(each) for each in told]


@given(WINDOWS, st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_kept_from_look_to_look_is_what_the_store_says(windows, data):
    store = MemoryStore()
    kept = Pairs(store, b"p")
    for i, (counts, sample) in enumerate(windows):
        segment = data.draw(st.sampled_from(["*", "a"]))
        for revision in range(data.draw(st.integers(1, 3))):
            partition = data.draw(st.integers(0, 1))
            kept.take(partial(counts, i, sample, partition, revision, segment=segment), "v2", "v1", "r")
            found, new = (each.of("m", "v2", "v1") for each in (kept, Pairs(store, b"p")))
            assert sorted(map(repr, named(found))) == sorted(map(repr, named(new)))
    kept.forget("m")
    assert len(kept.of("m", "v2", "v1").rows) == 0


def named(columns):
    """The rows with the names of their segments."""
    return [(columns.segments[row["segment"]], *row.tolist()[1:]) for row in columns.rows]
