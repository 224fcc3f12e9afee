"""Profiles: equal to a loop over the log, whatever the runs, the repeats and the restarts."""

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.join.join import Join
from leadline.core.models import Signature
from leadline.core.windows.reference_bins import build_profile
from leadline.settings import ModelSettings
from stages import Host, Models, predictions_batch, version

SETTINGS = ModelSettings(name="m", window=100, horizon=200, grace="never")
SIGNATURE = Signature("s", ["age"], ["colour"], {"colour": ["green", "red", "rare"]})
_MATRIX = np.array([[10.0, 0], [20, 1], [30, 1], [30, 0]])
PROFILES = {
    name: build_profile(SIGNATURE, _MATRIX * scale, np.array([0.2, 0.4, 0.6, 0.8]))
    for name, scale in (("v1", 1), ("v2", [2, 1]))
}
MODELS = Models(
    {"m": SETTINGS}, {("m", name): version(SETTINGS, profile, name, SIGNATURE) for name, profile in PROFILES.items()}
)

VALUES = st.sampled_from([10.0, 20.0, 30.0, 60.0, math.nan]) | st.floats(0, 70)
FEATURES = st.tuples(VALUES, st.sampled_from([-1.0, 0.0, 1.0, 2.0, math.nan])).map(list) | st.just([])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["v1", "v2", "none"]),
        st.integers(-250, 250),
        st.floats(0, 1),
        FEATURES,
        st.integers(-250, 400),
        st.integers(0, 20),
    ),
    max_size=25,
)


def batch(rows):
    return predictions_batch([(name, *row) for *row, _, name in rows], [row[4] for row in rows])


def bin_of(feature, value):
    """Bin of one value, one value at a time."""
    if math.isnan(value):
        return len(feature.counts) - 1
    if feature.kind == "categorical":
        names = SIGNATURE.categories[feature.name]
        name = names[int(value)] if value >= 0 else None
        return feature.categories.index(name) if name in feature.categories else len(feature.categories)
    return sum(value >= edge for edge in feature.edges)


def naive(rows):
    """(version, window start) to predictions and (feature, bin) counts."""
    windows, seen = {}, set()
    for name, event_time, score, features, _, request in rows:
        if name == "none" or (name, request) in seen:
            continue
        seen.add((name, request))
        counted = windows.setdefault((name, event_time // 100 * 100), Counter())
        counted["predictions"] += 1
        values = dict(zip(SIGNATURE.names, features, strict=False)) | {"score": score}
        for feature in PROFILES[name].features:
            if feature.name in values:
                counted[feature.name, bin_of(feature, values[feature.name])] += 1
    return windows


@given(ROWS, st.data())
@settings(max_examples=200)
def test_equals_a_loop_over_the_log(rows, data):
    hosts = [Host(lambda store: Join(0, store, MODELS), fresh, "window-profiles") for fresh in (False, True)]
    log = rows
    while log:
        size = data.draw(st.integers(1, 8))
        run, log = log[:size], log[size:]
        steady, woken = (host.feed(batch(run)) for host in hosts)
        assert steady == woken
        now_ms = data.draw(st.integers(-300, 500))
        steady, woken = (host.pass_time(now_ms, "predictions") for host in hosts)
        assert steady == woken
        assert hosts[0].stage.wake_at_ms == hosts[1].stage.wake_at_ms
    for host in hosts:
        host.pass_time(1000, "predictions")
    emitted = {(record.model_version, record.window_start): record for record in hosts[0].emitted}
    assert all(record.closed for record in hosts[0].emitted)
    found = {
        window: Counter({"predictions": record.predictions})
        + Counter({(f.name, i): count for f in record.features for i, count in enumerate(f.counts)})
        for window, record in emitted.items()
    }
    assert found == naive(rows)
    assert all(sum(1 for _ in host.store.scan(b"e", b"f")) == 0 for host in hosts)
