"""The judge of trainings under faults is able to find something."""

import pytest
from faults.trainers import two_at_once

from leadline.records import Training

ORDERS = {
    "one after the other": ("r0 started 1, r0 succeeded 1, r1 started 1", 0),
    "a next attempt": ("r0 started 1, r0 progress 1, r0 started 2, r0 failed 2", 0),
    "the end once more": ("r0 started 1, r0 succeeded 1, r0 succeeded 1", 0),
    "two requests": ("r0 started 1, r1 started 1, r0 succeeded 1", 1),
    "an attempt twice": ("r0 started 1, r0 started 1", 1),
    "an attempt of before": ("r0 started 2, r0 started 1, r1 started 1", 2),
}


@pytest.mark.parametrize("order", ORDERS)
def test_two_trainings_at_once_are_found(order):
    said, wrong = ORDERS[order]
    told = [each.split() for each in said.split(", ")]
    records = [Training(name, "m", state, int(attempt), {}, "", "", "t", 0) for name, state, attempt in told]
    assert len(two_at_once(records)) == wrong
