"""Sums of partials: the same whatever the order, the repeats, the runs, the restarts and the number of partitions."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.performance.binary import auc
from leadline.core.performance.performance import Performance
from leadline.core.windows.keys import STATES
from stages import Host, Models, partial, records_batch

SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 1.0]) | st.floats(0, 1)
PAIRS = st.lists(
    st.tuples(SCORES, st.sampled_from([0.0, 1.0]), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=30
)


def make(store):
    return Performance(store, Models())


def cut(random, items):
    """The items in runs of up to five."""
    while items:
        size = random.randint(1, 5)
        yield items[:size]
        items = items[size:]


def histories(pairs, random):
    """Growing partials of each source partition: revision 1, 2, … each holding all up to it."""
    partials = []
    for source in sorted({pair[3] for pair in pairs}):
        own = [pair[:3] for pair in pairs if pair[3] == source]
        stops = sorted({random.randint(0, len(own)) for _ in range(3)} | {len(own)})
        states = sorted(random.choice(STATES) for _ in stops)
        states.sort(key=STATES.index)
        partials += [
            partial(own[:stop], source, revision, state=state)
            for revision, (stop, state) in enumerate(zip(stops, states, strict=True))
        ]
    return partials


@given(PAIRS, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_order_repeats_and_restarts_end_in_the_same_sum(pairs, random):
    partials = histories(pairs, random)
    log = [random.choice(partials) for _ in range(5)] + random.sample(partials, len(partials))
    steady, woken = Host(make), Host(make, fresh=True)
    for run in cut(random, log):
        assert steady.feed(records_batch("window-partials", run)) == woken.feed(records_batch("window-partials", run))
    whole = Host(make).feed(records_batch("window-partials", [partial([pair[:3] for pair in pairs])]))[0]
    last = steady.emitted[-1]
    revisions = [record.revision for record in steady.emitted]
    states = [STATES.index(record.state) for record in steady.emitted]
    assert revisions == sorted(revisions)
    assert states == sorted(states)
    assert replace(last, revision=1, state=whole.state) == whole


@given(PAIRS)
@settings(max_examples=300)
def test_auc_is_within_its_bound_of_brute_force(pairs):
    emitted = Host(make).feed(records_batch("window-partials", [partial([pair[:3] for pair in pairs])]))[0]
    positives, negatives = [p[0] for p in pairs if p[1]], [p[0] for p in pairs if not p[1]]
    if not (positives and negatives):
        assert emitted.auc is emitted.auc_error is None
        return
    wins = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    exact = wins / (len(positives) * len(negatives))
    assert abs(emitted.auc.value - exact) <= emitted.auc_error + 1e-12
    assert emitted.auc.low <= emitted.auc.value <= emitted.auc.high


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_auc_of_bins_is_brute_force_with_ties_as_one_half(bins):
    positives, negatives = (np.array(column) for column in zip(*bins, strict=True))
    pairs = int(positives.sum()) * int(negatives.sum())
    wins = sum(
        p * n * ((i > j) + (i == j) / 2)
        for i, p in enumerate(positives.tolist())
        for j, n in enumerate(negatives.tolist())
    )
    found = auc(positives, negatives)
    assert found is None if not pairs else abs(found[0].value - wins / pairs) < 1e-12
