"""The first bytes of the keys in each store."""

import pytest

from leadline.core import store_keys
from leadline.settings import ModelSettings
from logs import JoinRun

STORES = [value for name, value in vars(store_keys).items() if name.endswith("Keys")]


def prefixes(store):
    return [value for name, value in vars(store).items() if name.isupper()]


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_each_kind_of_entry_has_a_byte_of_its_own(store):
    found = prefixes(store)
    assert found
    assert all(len(prefix) == 1 for prefix in found)
    assert len(set(found)) == len(found)
    assert b"\0" not in found  # the task's own entries


def test_the_join_keeps_nothing_that_the_table_does_not_know():
    run = JoinRun(ModelSettings(name="m", horizon=100, window=100, grace=50))
    record = {"request_id": "r1", "event_time": 5, "arrival_time": 5, "offset": 0, "segment": "eu"}
    run.feed("predictions", [record | {"model_version": "v1", "score": 0.5, "label_pred": 1}])
    run.feed("outcomes", [{"request_id": "r2", "outcome": 1.0, "outcome_time": 6, "arrival_time": 6, "offset": 0}])
    kept = {key[:1] for kind in range(256) for key, _ in run.store.scan(bytes([kind]), bytes([kind]) + b"\xff" * 99)}
    assert kept <= set(prefixes(store_keys.JoinKeys))
    assert len(kept) == 9
