"""A timeline hands over each entry once, however little is taken at once."""

from collections import Counter
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.columnar import timeline
from leadline.core.columnar.timeline import Timeline
from leadline.state.memory import MemoryStore

ENTRIES = st.lists(st.tuples(st.integers(0, 6), st.binary(min_size=1, max_size=4)), min_size=1, max_size=12)


@given(st.lists(ENTRIES, max_size=5), st.integers(0, 8), st.integers(1, 8), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=1500)
def test_each_entry_that_is_due_is_taken_once(runs, now_ms, most, most_bytes, width_ms):
    """All in one run's number, so that what is left of a block may join another block."""
    line = Timeline(MemoryStore(), b"d")
    taken, filed = Counter(), Counter()
    with patch.object(timeline, "MOST_BYTES", most_bytes):
        for run in runs:
            line.add(np.array([time for time, _ in run]), [key for _, key in run], width_ms, sequence=1)
            filed.update(run)
            times, keys = line.take(now_ms, 1, most)
            taken.update(zip(times.tolist(), keys, strict=True))
        while line.is_due(now_ms):
            times, keys = line.take(now_ms, 1, most)
            assert 1 <= len(keys) <= most
            taken.update(zip(times.tolist(), keys, strict=True))
    assert taken == Counter({entry: count for entry, count in filed.items() if entry[0] < now_ms})
