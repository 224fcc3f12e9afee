"""The judge of the faults that change who answers: it sees each request that another version answered, or two, or none."""

import asyncio
from types import SimpleNamespace

import pytest
from faults import ledger, logs
from faults.broken import fails

from leadline.records import Assignment
from leadline.testing.naive_routing import answers

ASSIGNED = [Assignment("v1", 500, {"v3": 0.5}, "salt", 1.0, "r"), Assignment("v1", 0, {}, "", 1.0, "")]
BAD = next(each / 100 for each in range(10_000) if fails(each / 100))


def request(number):
    amount = BAD if number % 10 == 0 else 0.0
    return {
        "request_id": f"r{number}", "user_id": "", "arrival_time": 10 * number, "features": {"amount": amount},
        "position": (0, number),
    }  # fmt: skip


def prediction(asked, version, role):
    return {
        "request_id": asked["request_id"],
        "scored_at": asked["arrival_time"],
        "model_version": version,
        "role": role,
    }


def judged(monkeypatch, requests, predictions):
    async def rows(*_):
        return requests

    monkeypatch.setattr(logs, "rows", rows)
    world = SimpleNamespace(assigned=ASSIGNED, versions=SimpleNamespace(broken={"v3"}), bootstrap="", prefix="")
    return asyncio.run(ledger._routes(world, predictions))


@pytest.mark.parametrize("wrong", ["nothing", "another", "two", "none"])
def test_it_sees_who_answered(monkeypatch, wrong):
    requests = [request(number) for number in range(100)]
    who = [answers(ASSIGNED, each["request_id"], each["arrival_time"], {"v1", "v3"}) for each in requests]
    assert {version for version, _ in who[50:]} == {"v1", "v3"}
    broken = {number for number in range(100) if who[number][0] == "v3" and number % 10 == 0}
    assert broken
    rows = [prediction(each, *who[number]) for number, each in enumerate(requests) if number not in broken]
    swapped = prediction(requests[7], "v3", "challenger")
    rows += [swapped] if wrong in ("another", "two") else []
    rows = [row for row in rows if row is swapped or row["request_id"] != "r7" or wrong not in ("another", "none")]
    by_broken, found = judged(monkeypatch, requests, rows)
    assert set(by_broken.values()) == {f"r{number}" for number in broken}
    assert [text.split()[0] for text in found] == ([] if wrong == "nothing" else ["r7"])
