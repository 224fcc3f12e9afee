"""Some faults once each, under backlog; `scripts/faults` has all of them, and as often as you like."""

import json

import pytest
from faults.run import once

pytestmark = pytest.mark.integration


ONCE = "kill kill-wiped kill-damaged join-leave zombie broker-kill cut poison redis-kill rollout"


@pytest.mark.parametrize("fault", ONCE.split())
def test_nothing_is_lost_doubled_or_wrong(fault, monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)  # it kills its broker
    monkeypatch.setattr("faults.run._HEAL_S", 120.0)  # how fast it goes on is for `scripts/faults` to say
    monkeypatch.setattr("faults.run.SECONDS", 9.0)
    monkeypatch.setenv("LEADLINE_RUN_RECORDS", "200")  # few events, and still a backlog of several runs
    row = once(fault, seed=1, events=9_000)
    assert row["exact"], json.dumps(row)
    assert row["live"], json.dumps(row)
