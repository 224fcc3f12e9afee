"""Records of `rollouts` that cannot be, or say nothing: what held before them holds, and what comes behind them takes effect."""

import os
from dataclasses import replace

import numpy as np
import pytest

from leadline.core.release.restoring import AGAIN_MS
from leadline.core.release.rollout import Rollouts
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.hosts.guard import MOST_ENDS, Guard
from leadline.hosts.health import Health
from leadline.learning.cached import CachedModels
from leadline.learning.store import ModelStore
from leadline.records import LEAD_MS, Assignment, Command, Rollout, WorkerHealth
from leadline.settings import ModelSettings
from leadline.testing.driver import Driver
from leadline.topology import step
from leadline.wire.codec import decode, value_of
from leadline.wire.run import Run
from stages import Host, Models, version

STEP = step("rollout")
SETTINGS = ModelSettings(name="m")
MODELS = Models({"m": SETTINGS}, {("m", name): version(SETTINGS, None, name) for name in ("v1", "v2")})
AT = 10_000_000
YEAR_9000 = 221_845_392_000_000
GOOD = Rollout(
    "m", "v1", AT, "ada", "why", before="v0", revision=2, rollout_id="r", challenger="v2", mode="canary", state="canary",
    shares={"v2": 0.3, "v3": 0.7}, salt="r", sample=0.5, effective_at=AT + LEAD_MS, earlier=[Assignment("v1", 0, {}, "", 1.0, "")],
)  # fmt: skip
EARLIER = GOOD.earlier[0]
BAD = {
    "another model": (replace(GOOD, model="other"), "key-mismatch"),
    "the year 9000": (replace(GOOD, effective_at=YEAR_9000, revision=0), "event-time-ahead"),
    "no time at all": (replace(GOOD, effective_at=2**63 - 1), "event-time-ahead"),
    "before all time": (replace(GOOD, effective_at=-(2**63)), "time-out-of-range"),
    "an earlier one before all time": (
        replace(GOOD, earlier=[replace(EARLIER, effective_at=-(2**63))]),
        "time-out-of-range",
    ),
    "the last revision": (replace(GOOD, revision=2**63 - 1), "counts-out-of-range"),
    "a revision below 0": (replace(GOOD, revision=-1), "counts-out-of-range"),
    "nobody": (replace(GOOD, champion=""), "no-champion"),
    "a share that is no number": (replace(GOOD, shares={"v2": float("nan")}), "shares-out-of-range"),
    "a share below 0": (replace(GOOD, shares={"v2": -0.1}), "shares-out-of-range"),
    "more than all": (replace(GOOD, shares={"v2": 0.6, "v3": 0.6}), "shares-out-of-range"),
    "an earlier one of more than all": (
        replace(GOOD, earlier=[replace(EARLIER, shares={"v2": 1.5})]),
        "shares-out-of-range",
    ),
    "a share of the champion": (replace(GOOD, shares={"v1": 0.5}), "shares-out-of-range"),
    "a sample of nothing": (replace(GOOD, sample=0.0), "shares-out-of-range"),
    "a sample of more than all": (replace(GOOD, sample=1.5), "shares-out-of-range"),
    "a long name": (replace(GOOD, champion="é" * 501), "too-long"),
    "a long salt": (replace(GOOD, salt="x" * 1001), "too-long"),
    "many shares": (replace(GOOD, shares={f"v{n}": 0.0 for n in range(100)}), "too-long"),
    "many earlier ones": (replace(GOOD, earlier=[EARLIER] * 100), "too-long"),
}


def run_of(*values, topic="rollouts", key=b"m"):
    count = len(values)
    return Run(topic, 0, list(range(count)), [AT] * count, [key] * count, list(values), [()] * count)


def test_a_good_one_is_read():
    batch, letters = decode(run_of(value_of(GOOD), value_of(Rollout("m", "v1", 0, "", ""))), 1 << 20)
    assert (len(batch), letters) == (2, [])


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused_with_its_reason(name):
    record, reason = BAD[name]
    batch, [letter] = decode(run_of(value_of(GOOD), value_of(record), value_of(GOOD)), 1 << 20)
    assert (batch.records, letter.offset, letter.reason) == ([GOOD, GOOD], 1, reason)


def test_a_worker_of_the_year_9000_is_not_believed_for_ever():
    worker = WorkerHealth("w", "1", "running", 0, AT, [], [], {}, [], {})
    values = value_of(worker), value_of(replace(worker, told_at=YEAR_9000))
    batch, [letter] = decode(run_of(*values, topic="workers", key=b"w"), 1 << 20)
    assert (batch.records, letter.reason) == ([worker], "event-time-ahead")


# -- the stage ------------------------------------------------------------------------------------------------------------


def promote(driver, name, at_ms):
    command = Command(f"c{at_ms}", "promote", "m", "ada", "why", {"version": name}, at_ms)
    driver.publish("commands", b"m", value_of(command), at_ms)
    driver.settle()


def begun():
    driver = Driver(MODELS, [STEP])
    promote(driver, "v1", 1000)
    return driver, driver.read("rollouts")


@pytest.mark.parametrize("name", BAD)
def test_behind_what_cannot_be_a_promotion_takes_effect_as_ever(name):
    driver, [first] = begun()
    driver.publish("rollouts", b"m", value_of(BAD[name][0]), AT)
    promote(driver, "v2", AT + 1)
    last = driver.read("rollouts")[-1]
    assert (last.champion, last.effective_at, last.before) == ("v2", AT + 1 + LEAD_MS, "v1")
    assert [each.champion for each in last.earlier] == [first.champion]


LOST = {"no value": None, "garbage": b"\xff", **{name: value_of(record) for name, (record, _) in BAD.items()}}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("name", LOST)
def test_who_answers_is_written_again_where_the_topic_lost_it(name, restarted):
    """A compaction takes what stood before a record of the same key; a worker that begins then would know of no champion."""
    driver, [first] = begun()
    driver.topics["rollouts", 0].append((b"m", LOST[name], [], AT))
    if restarted:
        driver.topics["rollouts", 0] = []
        driver._tables["rollouts"].become(Table())
        driver._tables_at.clear()
        driver.kill(STEP, 0)
    for now in (AT + 1000, AT + 2000):
        driver.pass_time(now)
    assert driver.read("rollouts")[-1:] == [first]
    assert len(driver.read("rollouts")) == (1 if restarted else 2), "it is written once"


def test_what_is_lost_again_before_anybody_looks_is_written_again():
    driver, [first] = begun()
    for now in (AT, AT + AGAIN_MS - 1, AT + AGAIN_MS):
        driver.topics["rollouts", 0].append((b"m", b"\xff", [], now))
        driver.pass_time(now)
        driver.topics["rollouts", 0].append((b"m", b"\xff", [], now))
    assert driver.read("rollouts") == [first] * 3


def test_what_is_written_late_takes_effect_later():
    """All who score have to hear of it before: what they answered by then, they answered by what held before."""
    table = Table()
    host = Host(lambda store: Rollouts(store, MODELS, Deployments(table), ""))
    first, second = (Command(name, "promote", "m", "ada", "why", {"version": name}, 0) for name in ("v1", "v2"))
    for command, at_ms, now_ms in ((first, 0, 10), (second, 20, 60_000)):
        batch, _ = decode(run_of(value_of(command), topic="commands"), 1 << 20)
        made = host.feed(replace(batch, arrival_ms=np.array([at_ms]), now_ms=now_ms))
    [rollout] = [each for each in made if isinstance(each, Rollout)]
    assert (rollout.event_time, rollout.effective_at) == (20, 60_000 + LEAD_MS)


def test_the_topic_is_left_alone_while_it_says_who_answers():
    driver, rollouts = begun()
    assert driver._tables["rollouts"].lacks(b"other")
    for now in (AT, AT + 1000):
        driver.pass_time(now)
    assert driver.read("rollouts") == rollouts


def test_a_record_behind_one_that_says_nothing_counts():
    table = Table()
    batch, letters = decode(run_of(value_of(GOOD), None, value_of(GOOD)), 1 << 20)
    table.apply(batch, [(each.key, each.offset) for each in letters])
    assert not table.lacks(b"m")
    batch, letters = decode(run_of(None), 1 << 20)
    table.apply(batch, [(each.key, each.offset) for each in letters])
    assert (table.lacks(b"m"), table.newest(b"m")) == (True, GOOD)
    table.forget(b"m")
    assert (table.lacks(b"m"), table.newest(b"m"), table.all_keys()) == (True, None, [])


# -- names that somebody chose ------------------------------------------------------------------------------------------------


def test_a_version_that_is_only_asked_about_is_not_told_as_broken(tmp_path):
    models = CachedModels(tmp_path)
    for name in ("typo", "../../etc/passwd", "a\0b", "é" * 450):
        assert models.version("m", name) is None
        assert models.broken() == {}
    assert models.loaded("m", "gone", 0) is None
    assert list(models.broken()) == ["m gone"]


def test_training_sets_of_a_name_that_is_a_path_are_nowhere(tmp_path):
    (tmp_path / "url").mkdir()
    store = ModelStore(f"file://{tmp_path}/url", tmp_path / "here" / "mirror")
    store.fetch_sets("../../evil")
    assert [each.name for each in tmp_path.iterdir()] == ["url"]


def test_a_long_name_at_work_hides_no_end_of_a_process(tmp_path):
    for _ in range(MOST_ENDS):
        guard = Guard(tmp_path, Health(), lambda _: "r", None, alone=False)
        guard.begins("m", "\x01" * 900)
        guard._at_rest("m", "\x01" * 900)
        guard.begins("m", "v2")
        os.close(guard._mark)
    guard = Guard(tmp_path, Health(), lambda _: "r", None, alone=False)
    assert guard.is_stopped("m", "v2")
