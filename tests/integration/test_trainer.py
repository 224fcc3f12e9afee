"""The trainer on a real broker: each request ends, once, whatever happens to trainers and trainings."""

import asyncio
import os
import subprocess
import sys
import uuid
from dataclasses import fields, replace
from pathlib import Path

import pytest
from faults import topics

from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender, publish
from leadline.records import (
    CANCEL,
    CONFIGURE,
    Command,
    LabeledPrediction,
    Prediction,
    RetrainRequest,
    Rollout,
    Training,
)
from leadline.topology import STEPS
from leadline.wire.codec import read, value_of

pytestmark = pytest.mark.integration
PROGRAM = Path(__file__).parents[1] / "trainers.py"


@pytest.fixture
async def place(kafka, tmp_path):
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, prefix, 2, 1, None, [each.name for each in STEPS if each.stateful])
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "models" / "m" / "model.toml").write_text('name = "m"\n', "utf-8")
    yield {
        "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "LEADLINE_HEALTH": "none",
        "LEADLINE_STATE": str(tmp_path / "state"), "LEADLINE_MODELS": str(tmp_path / "models"),
    }  # fmt: skip
    await cluster.remove(kafka, prefix)


@pytest.fixture
def start(place, tmp_path):
    running = []

    def begin():
        with (tmp_path / f"log-{len(running)}").open("w") as log:
            running.append(subprocess.Popen([sys.executable, PROGRAM], env=os.environ | place, stderr=log))
        return running[-1]

    yield begin
    for each in running:
        each.kill()
        each.wait()


async def put(place, topic, record):
    await publish(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], topic, record)


async def ask(place, retrain_id, what="", model="m"):
    await put(place, "retrain-requests", RetrainRequest(retrain_id, model, "v1", 1, what, "a1", {}))


async def records(place, topic):
    stored = [each async for each in cluster.read_all(place["KAFKA_BOOTSTRAP"], f"{place['LEADLINE_PREFIX']}.{topic}")]
    return [read(topic, each.value) for each in stored]


async def told(place, retrain_id, state, times=1):
    """All records of a request, once there are so many in a state."""
    async with asyncio.timeout(90):
        while True:
            found = [each for each in await records(place, "trainings") if each.retrain_id == retrain_id]
            if sum(each.state == state for each in found) >= times:
                return found
            await asyncio.sleep(0.3)


def states(found):
    return [each.state for each in found if each.state != "progress"]


async def labeled(place, number):
    prediction = Prediction(f"r{number}", "m", "v1", "champion", "", 1, 1, 0.5, 1, [1.0], "s", [], None)
    await put(place, "labeled-predictions", LabeledPrediction(prediction, 1.0, 2, 1, 1))


async def test_a_request_ends_with_a_candidate_and_what_the_gate_says(place, start):
    await put(place, "rollouts", Rollout("m", "v1", 1, "ada", "the first"))
    await asyncio.gather(*(labeled(place, number) for number in range(5)))
    start()
    await ask(place, "one")
    [*_, ended] = await told(place, "one", "succeeded")
    [candidate], [verdict] = await records(place, "candidates"), await records(place, "verdicts")
    assert sum(ended.cut.values()) >= 5, "the cut is written down"
    assert (ended.version, candidate.version, candidate.parent, candidate.metrics) == (
        "one-v1",
        "one-v1",
        "v1",
        {"rows": 5.0},
    )
    assert (verdict.version, verdict.reason) == ("one-v1", "number 1")
    await ask(place, "one")
    await ask(place, "two")
    await told(place, "two", "succeeded")
    again = states(await told(place, "one", "succeeded", 2))
    assert again == ["started", "succeeded", "succeeded"], "who asks again hears of the end again"
    assert [each.reason for each in await records(place, "verdicts")] == ["number 1", "number 2"]


async def test_a_request_for_a_version_that_answers_no_more_is_not_begun(place, start):
    await put(place, "rollouts", Rollout("m", "v2", 1, "ada", "better"))
    start()
    await ask(place, "one")
    [ended] = await told(place, "one", "cancelled")
    assert ended.message == "v1 got worse, and v2 answers now"


async def test_what_is_known_is_that_before_the_cut_also_for_the_next_trainer(place, start):
    await asyncio.gather(*(labeled(place, number) for number in range(3)))
    first = start()
    await ask(place, "one", "die once")
    await told(place, "one", "started")
    assert await asyncio.to_thread(first.wait) == -9
    await asyncio.gather(*(labeled(place, number) for number in range(100, 120)))
    start()
    began, again, ended = [each for each in await told(place, "one", "succeeded") if each.state != "progress"]
    assert [each.attempt for each in (began, again, ended)] == [1, 2, 2]
    assert began.cut == again.cut == ended.cut
    [candidate] = await records(place, "candidates")
    assert candidate.metrics == {"rows": 3.0}


async def test_a_log_that_was_made_anew_between_two_attempts_is_refused(place, start):
    await asyncio.gather(*(labeled(place, number) for number in range(3)))
    first = start()
    await ask(place, "one", "die once")
    await told(place, "one", "started")
    assert await asyncio.to_thread(first.wait) == -9
    await topics.delete(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], ["labeled-predictions"])
    await apply_topics(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"], 2, 1, None, [], ["labeled-predictions"])
    await asyncio.gather(*(labeled(place, number) for number in range(100, 120)))
    start()
    [began, *_, ended] = await told(place, "one", "failed")
    assert (ended.attempt, ended.cut, ended.topic_ids) == (2, began.cut, began.topic_ids)
    assert "labeled-predictions was made anew since the training began: ask for the training again" in ended.message
    await ask(place, "two")
    assert (await told(place, "two", "succeeded"))[-1].topic_ids != began.topic_ids
    assert [each.retrain_id for each in await records(place, "candidates")] == ["two"]


async def test_a_training_that_fails_says_why_in_one_line_and_the_next_one_works(place, start):
    start()
    await ask(place, "one", "raise")
    await ask(place, "two", "break")
    await ask(place, "none", model="nobody")
    await ask(place, "three")
    await told(place, "three", "succeeded")
    assert (await told(place, "one", "failed"))[-1].message == "the recipe raises, twice as said"
    assert (await told(place, "two", "failed"))[-1].message == "KeyError: 'x'"
    assert (await told(place, "none", "failed"))[-1].message.startswith("no model is called nobody in ")


async def test_a_request_that_kills_each_trainer_is_given_up(place, start):
    await ask(place, "one", "die")
    for attempt in range(1, 6):
        dying = start()
        await told(place, "one", "started", attempt)
        await asyncio.to_thread(dying.wait)
    start()
    [*_, ended] = await told(place, "one", "failed")
    assert ended.message.startswith("trainers ended in the middle of it again and again")


async def test_a_person_ends_a_training_under_way_and_one_that_waits(place, start):
    start()
    await ask(place, "one", "hang")
    await ask(place, "two")
    await told(place, "one", "started")
    await put(place, "commands", Command("c0", CONFIGURE, "m", "ada", "of somebody else", {}, 1))
    await put(place, "commands", Command("c1", CANCEL, "m", "ada", "it hangs", {"retrain_id": "one"}, 1))
    ended = await told(place, "one", "cancelled")
    assert (states(ended), ended[-1].message) == (["started", "cancelled"], "ada ended it: it hangs")
    await told(place, "two", "succeeded")
    await put(place, "commands", Command("c2", CANCEL, "m", "ada", "too late", {}, 1))
    async with asyncio.timeout(60):
        while len(found := await records(place, "command-answers")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert [(each.command_id, each.answer) for each in found] == [("c1", "accepted"), ("c2", "refused")]
    assert [each.version for each in await records(place, "candidates")] == ["two-None"]


async def test_another_trainer_joins_and_a_training_goes_on_or_is_taken_over(place, start):
    start()
    await ask(place, "one", "hang")
    await told(place, "one", "started")
    other = start()
    await asyncio.sleep(8)
    other.terminate()
    await asyncio.to_thread(other.wait)
    await put(place, "commands", Command("c1", CANCEL, "m", "ada", "enough", {}, 1))
    found = await told(place, "one", "cancelled")
    attempts = [each.attempt for each in found]
    assert attempts == sorted(attempts)
    await ask(place, "two")
    await told(place, "two", "succeeded")


LONG = "m" * 2_900_000
ASKED = RetrainRequest("long", "m", "v1", 1, "", "a1", {})
SAID = Training("long", "m", "started", 1, {}, "", "", "somebody", 1)


async def test_what_is_as_long_as_a_record_may_be_ends_no_trainer(place, start):
    """Whatever it repeats of a record: names, ids, a cut, and what a training itself gives."""
    place["LEADLINE_RECORD_BYTES"] = str(3 << 20)
    texts = {field.name for field in fields(RetrainRequest) if field.type is str} - {"trigger"}
    hostile = [("retrain-requests", replace(ASKED, **{name: LONG})) for name in sorted(texts)]
    hostile += [("trainings", replace(SAID, **{name: LONG})) for name in ("retrain_id", "model", "version", "trainer")]
    hostile += [("trainings", replace(SAID, retrain_id="cut", cut={LONG: 1}))]
    hostile += [("retrain-requests", replace(ASKED, retrain_id="cut"))]
    async with open_sender(place["KAFKA_BOOTSTRAP"], place["LEADLINE_PREFIX"]) as sender:
        for topic, record in hostile:
            await sender.send_and_wait(f"{place['LEADLINE_PREFIX']}.{topic}", 0, [(b"", value_of(record), [])])
    started = start()
    await ask(place, "large", "large")
    await ask(place, "two")
    assert (await told(place, "large", "failed"))[-1].message.endswith("raise its max.message.bytes")
    await told(place, "two", "succeeded")
    await told(place, "cut", "succeeded")
    assert started.poll() is None
