"""The chain of decisions: what is in an entry, what stops nothing, and what it costs nobody."""

import random
from contextlib import nullcontext, suppress
from dataclasses import replace
from hashlib import sha256

import pytest
import typer

from leadline.cli.audit import _digest
from leadline.cli.audit_who import History
from leadline.cli.audit_words import said
from leadline.cli.record_fields import record_fields
from leadline.core.processor import Raw
from leadline.core.release.audit import DECISIONS, Audit
from leadline.core.release.chain import NOTHING, VALUE_BYTES, Chain, digest_of, first_wrong
from leadline.records import Command, CommandAnswer, Rollout, Verdict
from leadline.state.memory import MemoryStore
from leadline.state.task import HostedTask
from leadline.testing import Driver
from leadline.testing.audited import wrong_chain
from leadline.testing.driver import Crash
from leadline.topology import step
from leadline.wire.codec import read, undecoded, value_of
from leadline.wire.limits import BATCH_BYTES
from leadline.wire.origins import Origin
from leadline.wire.run import ARRIVAL_HEADER, Run
from stages import Models

STEP = step("audit")


def run(values, first=0, topic="commands", keys=None, headers=None, unreadable=None):
    count = len(values)
    return Run(
        topic, 0, list(range(first, first + count)), [7] * count, keys or [b"m"] * count, values, headers or [()] * count,
        unreadable or {},
    )  # fmt: skip


def entries(runs):
    audit = Audit(MemoryStore())
    return [entry for each in runs for output in audit.on_batch(undecoded(each)).outputs for entry in output.records]


def test_each_record_is_an_entry_as_it_is_in_the_log_readable_or_not():
    made = entries([run([b"no record", None, b""]), run([b"x"], topic="rollouts", keys=[None])])
    assert [(e.sequence, e.topic, e.offset, e.key, e.value) for e in made] == [
        (1, "commands", 0, b"m", b"no record"),
        (2, "commands", 1, b"m", None),
        (3, "commands", 2, b"m", b""),
        (4, "rollouts", 0, None, b"x"),
    ]
    assert [e.previous for e in made] == [NOTHING, *(e.digest for e in made[:-1])]
    assert first_wrong(Chain(), made) is None


def test_the_digest_is_that_of_the_entry_as_canonical_json():
    [entry] = entries([run([b"\x00\xff"])])
    text = (
        '{"arrival_time":7,"key":"bQ==","left_out":{},"offset":0,"partition":0,"previous":"' + NOTHING
        + '","sequence":1,"topic":"commands","value":"AP8="}'
    )  # fmt: skip
    assert entry.digest == sha256(text.encode()).hexdigest()


def test_what_is_too_long_is_left_out_and_the_entry_says_so():
    large = b"x" * (VALUE_BYTES + 1)
    made = entries([run([large, b"small"], keys=[b"k" * 99_999, b"m"])])
    assert (made[0].key, made[0].value) == (None, None)
    assert made[0].left_out["value"] == f"{len(large)} bytes, sha256 {sha256(large).hexdigest()}"
    assert made[1].left_out == {}
    assert len(value_of(Chain().add("alerts", 0, Raw(1, b"k" * (16 << 10), large[1:]), 7))) < BATCH_BYTES


def test_a_batch_that_cannot_be_read_is_an_entry_with_the_reason():
    [entry] = entries([run([None], keys=[None], unreadable={0: "unpacks to more than 64 MiB"})])
    assert entry.left_out == {"value": "unpacks to more than 64 MiB"}


def test_what_only_says_the_time_is_no_decision():
    clock = run([None, b"x"], headers=[[(ARRIVAL_HEADER, b"5")], []])
    assert [entry.value for entry in entries([clock])] == [b"x"]


def test_an_entry_is_a_record_like_any_other():
    [entry] = entries([run([b"x"])])
    assert read("audit", value_of(entry)) == entry


def test_an_entry_is_shown_with_its_bytes_in_base64():
    [entry] = entries([run([b"\x00\xff"], keys=[None])])
    told = record_fields(entry)
    assert (told["key"], told["value"], told["arrival_time"]) == (None, "AP8=", "1970-01-01T00:00:00.007Z")


def test_the_chain_goes_on_where_the_state_says():
    store = MemoryStore()
    Audit(store).on_batch(undecoded(run([b"1", b"2"])))
    [output] = Audit(store).on_batch(undecoded(run([b"3"], first=2))).outputs
    assert output.records[0].sequence == 3


def test_a_topic_that_was_made_anew_goes_on_in_the_same_chain_with_its_own_offsets():
    store, made = MemoryStore(), []
    for topic_id, count in (("before", 3), ("after", 2)):
        origins = {topic: Origin("cluster", topic_id if topic == "commands" else "same", 1) for topic in DECISIONS}
        task = HostedTask(STEP, 0, store, Models(), origins=origins)
        batch = task.in_order(undecoded(task.unseen(run([b"x"] * count))))
        made += [entry for output in task.processor.on_batch(batch).outputs for entry in output.records]
        task.apply("commands/0", count - 1)
        task.commit(1)
    assert [(entry.sequence, entry.offset) for entry in made] == [(1, 0), (2, 1), (3, 2), (4, 0), (5, 1)]
    assert first_wrong(Chain(), made) is None


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"value": b"other"}, "it was changed"),
        ({"arrival_time": 8}, "it was changed"),
        ({"sequence": 9}, "stands entry 9"),
        ({"previous": "1" * 64}, "it was changed"),
    ],
)
def test_what_is_wrong_is_said(changed, what):
    one, two, three = entries([run([b"1", b"2", b"3"])])
    wrong = first_wrong(Chain(), [one, replace(two, **changed), three])
    assert wrong.sequence == 2
    assert what in wrong.what


def test_an_entry_with_a_new_digest_is_seen_at_the_next_one():
    one, two, three = entries([run([b"1", b"2", b"3"])])
    other = replace(two, value=b"other")
    wrong = first_wrong(Chain(), [one, replace(other, digest=digest_of(other)), three])
    assert wrong.sequence == 3
    assert "does not follow entry 2" in wrong.what


# -- who ------------------------------------------------------------------------------------------------------------------


def verdict(at, what, as_of, cause=""):
    return Verdict(f"{at} {as_of}", "m", "v2", "v1", at, what, [], "", "", cause, as_of)


def history(*records):
    found, chain = History(), Chain()
    for arrival_ms, record in records:
        found.add(chain.add("commands", 0, Raw(0, None, None), arrival_ms), record)
    return found


def told(found, at_ms, version="v2"):
    return [
        (step.what, getattr(step.record, "as_of", None))
        for step in found.explain(version, found.rollout(at_ms, version))
    ]


def test_who_let_a_version_is_what_was_said_until_it_was_rolled_out():
    promote = Command("c1", "promote", "m", "ada", "better", {"version": "v2"}, 4)
    other = Command("c2", "promote", "m", "bob", "again", {"version": "v2"}, 30)
    found = history(
        (1, verdict("gate", "hold", 1)), (2, verdict("gate", "promote", 2)), (4, promote),
        (9, Rollout("m", "v2", 5, "ada", "better", cause="c1")), (10, verdict("approval", "promote", 5, "c1")),
        (30, other), (31, verdict("approval", "reject", 31, "c2")),
    )  # fmt: skip
    assert told(found, 20) == [("champion", None), ("promote", None), ("approval", 5), ("gate", 2), ("candidate", None)]
    assert told(found, 8)[0] == ("champion", None), "the clock of the worker was behind"
    assert found.rollout(8) is None


def test_a_version_that_answered_a_share_was_let_by_who_began_its_rollout():
    start = Command("c1", "start", "m", "ada", "better", {"version": "v2"}, 4)
    canary = Rollout("m", "v1", 9, "rollout", "baked", cause="x", challenger="v2", state="canary", shares={"v2": 0.1})
    shadow = Rollout("m", "v1", 4, "ada", "better", cause="c1", challenger="v2", state="shadow", shares={"v2": 0.0})
    found = history((4, start), (5, shadow), (10, canary))
    assert [what for what, _ in told(found, 20)[:2]] == ["rollout", "start"]
    assert found.rollout(20, "v2")[1] == canary
    entry = found.rollout(20, "v2")[0]
    assert "m: the rollout of v2 is canary, v2 0.1, v1 is champion, by rollout: baked" in said(entry, canary)


def test_a_champion_to_which_a_person_went_back_was_let_by_that_person():
    back = Command("c1", "roll-back", "m", "ada", "complaints", {}, 4)
    found = history((4, back), (5, Rollout("m", "v1", 4, "ada", "complaints", cause="c1")))
    assert [what for what, _ in told(found, 20, "v1")[:2]] == ["champion", "roll-back"]


def test_a_champion_is_told_with_what_made_it_so_and_not_with_what_was_tried_or_refused_since():
    """A rollout beside it that was aborted names it as the champion too, and so does a command that was refused."""
    promote = Command("c1", "promote", "m", "ada", "better", {"version": "v1"}, 1)
    again = Command("c2", "start", "m", "eve", "mine", {"version": "v1"}, 3)
    made = Rollout("m", "v1", 2, "ada", "better", cause="c1", revision=1)
    aborted = Rollout("m", "v1", 4, "bob", "enough", cause="c3", revision=2, challenger="v2", state="aborted")
    found = history(
        (1, promote), (2, made), (3, again), (3, CommandAnswer("c2", "m", "start", "refused", "it is champion", 3)), (4, aborted),
    )  # fmt: skip
    assert found.rollout(9)[1] == found.rollout(9, "v1")[1] == made
    assert [what for what, _ in told(found, 9, "v1")[:3]] == ["champion", "promote", "gate"]


def test_what_the_audit_does_not_hold_is_said():
    missing = [step.missing for step in history().explain("v2", None)]
    assert len(missing) == 4
    assert all(missing)


@pytest.mark.parametrize(
    ("head", "found"), [("", ""), (f" {'AB' * 32}\n", "ab" * 32), ("ab" * 31, None), ("head", None)]
)
def test_a_head_is_a_digest_or_a_wrong_call(head, found):
    with nullcontext() if found is not None else pytest.raises(typer.BadParameter, match="is no digest"):
        assert _digest(head) == found


def test_who_answered_at_a_time_is_by_when_a_rollout_takes_effect():
    found, made = History(), Chain()
    for version, effective_at in (("v1", 0), ("v2", 3_100)):
        rollout = Rollout("m", version, 100, "ada", "", effective_at=effective_at)
        found.add(made.add("rollouts", 0, Raw(0, b"m", b"", ""), 100), rollout)
    assert [found.rollout(at)[1].champion for at in (100, 3_099, 3_100)] == ["v1", "v1", "v2"]


# -- kills ----------------------------------------------------------------------------------------------------------------


class Unlucky:
    """Kills the stage before one of its effects, and now and then takes its disk too."""

    def __init__(self, seed):
        self.rng, self.kills, self.chance = random.Random(seed), 0, 0.3

    def __call__(self, _):
        if self.rng.random() < self.chance:
            self.kills += 1
            raise Crash


def test_the_chain_is_whole_after_a_hundred_kills_at_any_point():
    unlucky, number = Unlucky(1), 0
    driver = Driver(Models(), [STEP], partitions=3, on_effect=unlucky)
    while unlucky.kills < 100:
        for topic in unlucky.rng.choices(DECISIONS, k=20):
            number += 1
            value = unlucky.rng.choice([b"", b"no record", f"decision {number}".encode()])
            driver.publish(topic, f"m{number % 7}".encode(), value, number)
        work(driver, unlucky)
    unlucky.chance = 0.0
    driver.settle()
    logged = {
        (topic, partition, offset): row[:2]
        for (topic, partition), rows in driver.topics.items()
        for offset, row in enumerate(rows)
        if topic != "audit"
    }
    assert len(logged) == number
    assert list(wrong_chain(driver.read("audit"), logged)) == []


def work(driver, unlucky):
    """Let the stage take some runs, of which many are cut short; its disk may be lost, or be that of a worker which had it long ago."""
    for _ in range(40):
        chance = unlucky.rng.random()
        if chance < 0.05:
            driver.kill(STEP, 0, disk_too=True)
        elif chance < 0.1:
            driver.move(STEP, 0, unlucky.rng.randrange(3))
        with suppress(Crash):
            driver.work(STEP, unlucky.rng.randrange(3), unlucky.rng.choice(DECISIONS), unlucky.rng.randint(1, 5))


def test_a_decision_that_is_lost_or_twice_is_found():
    made = entries([run([b"1", b"2"])])
    held = {("commands", offset, at): (b"m", value) for offset, at, value in [(0, 0, b"1"), (0, 1, b"2")]}
    assert list(wrong_chain(made, held)) == []
    assert list(wrong_chain(made[:1], held)) == ["of commands 0/1 there are 0 entries"]
    assert list(wrong_chain(made, held | {("commands", 0, 1): (b"m", b"x")})) == [
        "the entry of commands 0/1 has other bytes than the log"
    ]
