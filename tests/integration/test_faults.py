"""Some faults once each, under backlog; `scripts/faults` has all of them, and as often as you like."""

import pytest
from faults.run import once

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "fault", ["kill", "kill-wiped", "kill-damaged", "kill-all", "join-leave", "zombie", "broker-kill", "poison"]
)
def test_nothing_is_lost_doubled_or_wrong(fault, monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)  # it kills its broker
    row = once(fault, seed=1, events=80_000)
    assert row["exact"], row
    assert row["live"], row
