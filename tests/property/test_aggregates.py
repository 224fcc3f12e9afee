"""The aggregates of a window against loops over its records; what merges, packs and comes back is the same."""

import math
from collections import Counter
from dataclasses import asdict
from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.windows.aggregates.by_score import EDGES, score_bin
from leadline.core.windows.aggregates.changes import Changes, Expired, Matched, Predicted
from leadline.core.windows.aggregates.sums import UNIT
from leadline.core.windows.counts import WindowCounts

SIZE = 3
WINDOWS, SIGNS = st.integers(0, SIZE - 1), st.sampled_from([1, 1, 1, -1])
SCORES = st.sampled_from([0.0, 1.0, 0.5, *EDGES[::300].tolist()]) | st.floats(0, 1)
MATURE, ASSUMED = st.sampled_from([1, 1, 0, -1]), st.integers(0, 1)
BINARY = st.tuples(WINDOWS, SIGNS, SCORES, st.integers(0, 1), st.integers(0, 1), MATURE, ASSUMED).map(
    lambda row: (*row[:4], float(row[4]), *row[4:])
)
REGRESSION = st.tuples(
    WINDOWS, SIGNS, st.floats(-100, 100), st.just(-1), st.floats(-100, 100), st.just(-1), MATURE, st.just(0)
)
MATCHED = st.lists(BINARY | REGRESSION, max_size=20)
PREDICTED = st.lists(BINARY | REGRESSION, max_size=20).map(lambda rows: [(*row[:4], row[6]) for row in rows])
EXPIRED = st.lists(st.tuples(WINDOWS, SIGNS), max_size=8)
RUNS = st.tuples(PREDICTED, EXPIRED, MATCHED)


def columns(rows, *kinds):
    return [np.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]


def fold(predicted, expired, matched):
    i, f = np.int64, np.float64
    return WindowCounts.fold(
        Changes(
            SIZE,
            Predicted(*columns(predicted, i, i, f, i, i)),
            Expired(*columns(expired, i, i)),
            Matched(*columns(matched, i, i, f, i, f, i, i, i)),
        )
    )


def bin_of(score):
    return sum(score >= edge for edge in EDGES.tolist())


def by_score(rows):
    """(bin, sign, 0 or 1) of each row to the bins that hold anything, and the counts of either kind."""
    counts = {}
    for number, sign, kind in rows:
        counts.setdefault(number, [0, 0])[kind] += sign
    used = sorted(number for number, both in counts.items() if any(both))
    return used, *([counts[number][kind] for number in used] for kind in (0, 1))


def naive(window, predicted, expired, matched):
    """The fields of one window, one record at a time."""
    assumed = sum(row[1] * row[7] for row in matched if row[0] == window)
    matched = [row[1:6] for row in matched if row[0] == window]
    binary = [row for row in matched if row[2] >= 0]
    errors = [(sign, score - outcome) for sign, score, label, outcome, _ in matched if label < 0]

    def cell(label, positive):
        return sum(sign for sign, _, said, _, true in binary if (said, true) == (label, positive))

    def total(pairs):
        return sum(sign * round_to_unit(value) for sign, value in pairs)

    fields = {
        "predictions": sum(row[1] for row in predicted if row[0] == window),
        "matched": sum(row[0] for row in matched),
        "expired": sum(sign for index, sign in expired if index == window),
        "assumed": assumed,
        "mature": None,
        "tp": cell(1, 1), "fp": cell(1, 0), "fn": cell(0, 1), "tn": cell(0, 0),
        "score_sum": total((row[0], row[1]) for row in matched),
        "outcome_sum": total((row[0], row[3]) for row in matched),
        "logloss_sum": total((sign, log_loss(score, true)) for sign, score, _, _, true in binary),
        "brier_sum": total((sign, (score - true) ** 2) for sign, score, _, _, true in binary),
        "error_sum": total(errors),
        "absolute_error_sum": total((sign, abs(error)) for sign, error in errors),
        "squared_error_sum": total((sign, error * error) for sign, error in errors),
    }  # fmt: skip
    own = [row[1:4] for row in predicted if row[0] == window and row[3] >= 0]
    outcomes = by_score((bin_of(score), sign, true) for sign, score, _, _, true in binary)
    predictions = Counter()
    for sign, score, label in own:
        predictions[2048 * label + bin_of(score)] += sign
    fields |= dict(zip(("score_bins", "negatives", "positives"), outcomes, strict=True))
    used = sorted(each for each, count in predictions.items() if count)
    return fields | {"prediction_bins": used, "prediction_counts": [predictions[each] for each in used]}


def round_to_unit(value):
    whole = math.floor(value)
    return whole * UNIT + round((value - whole) * UNIT)


def log_loss(score, true):
    clipped = min(max(score, 1e-15), 1 - 1e-15)
    return float(-np.log(clipped if true else 1 - clipped))


@given(RUNS)
@settings(max_examples=150)
def test_a_fold_is_a_loop_over_the_records(run):
    assert [counts.fields() for counts in fold(*run)] == [naive(window, *run) for window in range(SIZE)]


@given(st.lists(RUNS, min_size=1, max_size=4))
@settings(max_examples=60)
def test_the_merge_of_runs_is_the_fold_of_all(runs):
    whole = fold(*(list(chain(*parts)) for parts in zip(*runs, strict=True)))
    merged = WindowCounts.merge(list(zip(*(fold(*run) for run in runs), strict=True)))
    assert [counts.fields() for counts in merged] == [counts.fields() for counts in whole]


@given(RUNS, MATCHED, EXPIRED)
@settings(max_examples=60)
def test_what_is_taken_back_leaves_nothing(run, more, expired):
    back = [(row[0], -row[1], *row[2:6], -row[6], row[7]) for row in more]
    again = fold(run[0], run[1] + expired + [(window, -sign) for window, sign in expired], run[2] + more + back)
    assert [counts.fields() for counts in again] == [counts.fields() for counts in fold(*run)]


@given(RUNS)
@settings(max_examples=60)
def test_packed_counts_come_back(run):
    for counts in fold(*run):
        assert WindowCounts.unpack(b"???" + counts.pack() + b"!", 3).fields() == counts.fields()


@given(st.lists(SCORES | st.floats(0, 1e-6) | st.floats(1 - 1e-6, 1), min_size=1, max_size=30))
@settings(max_examples=300)
def test_the_bin_of_a_score_is_the_number_of_edges_up_to_it(scores):
    assert score_bin(np.array(scores)).tolist() == [bin_of(score) for score in scores]


def test_scores_at_and_beside_every_edge_have_their_bin():
    scores = np.concatenate([EDGES, np.nextafter(EDGES, 0), np.nextafter(EDGES, 1)])
    assert np.array_equal(score_bin(scores), np.searchsorted(EDGES, scores, side="right"))


@given(RUNS)
@settings(max_examples=150)
def test_the_counts_at_maturity_are_those_of_what_was_there(run):
    """Each change counts as often as it is to count at maturity, in place of its sign."""
    predicted, expired, matched = run
    then = (
        [(row[0], row[4], *row[2:]) for row in predicted],
        expired,
        [(row[0], row[6], *row[2:]) for row in matched],
    )
    for window, counts in enumerate(fold(*run)):
        own, mature = naive(window, *then), counts.mature.at_maturity().counts()
        yes = sum(row[1] for row in then[0] if row[0] == window and row[3] == 1)
        assert {name: getattr(mature, name) for name in asdict(mature)} == {
            name: own.get(name, yes) for name in asdict(mature)
        }
