"""The lane on a real broker: what it does after a bad end."""

import asyncio
import os
import shutil
import signal
import time
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CommitFailedError, GroupCoordinatorNotAvailableError, KafkaConnectionError
from aiokafka.structs import TopicPartition

from factories import prediction
from leadline.embedded.workers import Workers
from leadline.hosts import stateful, tasks
from leadline.hosts.changelog import restore
from leadline.hosts.contract import Installation
from leadline.kafka import cluster, sender
from leadline.kafka.admin import apply_topics
from leadline.kafka.stop import stop
from leadline.records import JoinCounts, Outcome, WindowPartial
from leadline.settings import ModelSettings, load_settings
from leadline.topology import step
from leadline.wire.codec import value_of
from servers import InProcess, Talk
from stages import Models

pytestmark = pytest.mark.integration


@pytest.fixture
async def talk(kafka, tmp_path):
    settings = load_settings(
        prefix=f"test-{uuid.uuid4().hex[:8]}", clock="records", models=tmp_path / "models", state=tmp_path / "state"
    )
    (settings.models / "m").mkdir(parents=True)
    (settings.models / "m" / "model.toml").write_text('name = "m"\n', "utf-8")
    await apply_topics(kafka, settings.prefix, 2, 1, None, ["join"])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


def workers(talk, folder, **options):
    return Workers(1, ["join"], talk.environment, talk.settings.state, folder / "logs", lambda _: None, **options)


async def test_offsets_that_were_not_committed_are_committed_by_the_next_owner(talk, kafka, tmp_path):
    """Killed between the state and the commit: the state knows the records, and nothing new comes."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    known = [Outcome(f"r{n}", 1.0, n + 1) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    await talk.send("outcomes", [(o.request_id.encode(), value_of(o), 1) for o in known])
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"])
    partitions = [TopicPartition(f"{talk.prefix}.{topic}", n) for topic in ("predictions", "outcomes") for n in (0, 1)]
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=f"{talk.prefix}.join", enable_auto_commit=False
    ) as group:
        group.assign(partitions)
        async with asyncio.timeout(60):
            while True:
                try:
                    await group.commit(dict.fromkeys(partitions, 0))
                    break
                except CommitFailedError:  # the worker had no time to leave the group
                    await asyncio.sleep(0.5)
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"])
    assert len(await talk.records("labeled-predictions")) == 100


async def test_a_commit_without_coordinator_does_not_hold_up_the_next_membership(talk, kafka, tmp_path, monkeypatch):
    """aiokafka tries it again for ever, even when its consumer is closed: a broker that dies twice can leave one behind."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    rows = [(p.request_id.encode(), value_of(p), 1) for p in made]
    commit, lost, tried = GroupCoordinator._do_commit_offsets, [], asyncio.Event()

    async def without_coordinator(self, *offsets):
        tried.set()
        lost.append(self)
        if self is lost[0]:
            raise GroupCoordinatorNotAvailableError
        await commit(self, *offsets)

    monkeypatch.setattr(GroupCoordinator, "_do_commit_offsets", without_coordinator)
    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await talk.send("predictions", rows)
    await asyncio.wait_for(tried.wait(), 60)
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{talk.prefix}.join.0"):
        await talk.send("predictions", rows)  # the lane finds itself fenced, and joins again
        await talk.settle(InProcess(running), ["join"])
    one.stop()
    await asyncio.wait_for(running, 60)


async def test_what_is_due_at_once_need_not_fit_into_one_transaction(talk, kafka, tmp_path, monkeypatch):
    """A night without records: in the morning all requests of the evening are forgotten."""
    monkeypatch.setattr(sender, "CHANGELOG_BYTES", 20_000)
    made = [prediction(f"r{n}", n) for n in range(3000)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), p.event_time) for p in made])
    await talk.tell_time(3000)
    await talk.tell_time(10_000_000)
    one = lane_of(talk, kafka, tmp_path / "a", horizon=5000, window=10, grace=5000)
    running = asyncio.create_task(one.run())
    await talk.settle(InProcess(running), ["join"])
    one.stop()
    await asyncio.wait_for(running, 60)
    emitted = [each for each in await talk.read("window-partials") if isinstance(each, WindowPartial)]
    newest = {(each.window_start, each.source_partition): each for each in emitted}
    assert {each.state for each in newest.values()} == {"sealed"}
    assert sum(each.expired for each in newest.values()) == 3000


LETTERS = pytest.mark.parametrize(("letters_take", "letter"), [(4 << 20, "whole"), (2000, "stub"), (200, "none")])


@LETTERS
async def test_what_a_topic_does_not_take_is_a_dead_letter_of_its_record(talk, kafka, tmp_path, letters_take, letter):
    """The label of one prediction is too large for its topic; all others come, and once."""
    await talk.limit("labeled-predictions", 40_000)
    await talk.limit("dead-letters", letters_take)
    made = [prediction(f"r{n}", n, features=[0.5] * 6_000 if n == 7 else []) for n in range(100)]
    known = [Outcome(f"r{n}", 1.0, n + 1) for n in range(100)]
    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    await talk.settle(InProcess(running), ["join"])
    outcomes = [(o.request_id.encode(), value_of(o) + b"?" * (3000 * (n == 9)), 1) for n, o in enumerate(known)]
    await talk.send("outcomes", outcomes)
    await talk.settle(InProcess(running), ["join"])
    one.stop()
    await asyncio.wait_for(running, 60)
    labels = [record.key for record in await talk.records("labeled-predictions")]
    assert sorted(labels) == sorted(b"r%d" % n for n in range(100) if n not in (7, 9))
    letters = [(dict(each.headers)["leadline-reason"], each.value) for each in await talk.records("dead-letters")]
    reasons = {b"output-too-large": outcomes[7][1], b"trailing-bytes": outcomes[9][1]}
    if letter == "whole":
        assert dict(letters) == reasons
    elif letter == "stub":  # the small one fits as it is
        assert dict(letters) == reasons | {b"trailing-bytes": b""}
    assert len(letters) == (0 if letter == "none" else 2)


async def test_a_record_that_changes_more_state_than_fits_is_a_dead_letter(talk, kafka, tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "CHANGELOG_BYTES", 20_000)
    made = [prediction(f"r{n}", n, features=[0.5] * 6_000 if n == 7 else []) for n in range(100)]
    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    await talk.settle(InProcess(running), ["join"])
    one.stop()
    await asyncio.wait_for(running, 60)
    [letter] = await talk.records("dead-letters")
    assert (letter.key, dict(letter.headers)["leadline-reason"]) == (b"r7", b"state-too-large")
    newest = {
        each.source_partition: each for each in await talk.read("window-partials") if isinstance(each, JoinCounts)
    }
    assert sum(each.predictions for each in newest.values()) == 99


async def test_a_worker_that_stops_leaves_its_group(talk, kafka, tmp_path):
    """At once, so that another one need not wait for the end of its session."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"])
    assert await group_of(talk) == ("Empty", 0)


async def group_of(talk):
    """State of the join's group, and how many members it has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=talk.bootstrap)
    await admin.start()
    try:
        [described] = await admin.describe_consumer_groups([f"{talk.prefix}.join"])
    finally:
        await admin.close()
    [group] = described.to_object()["groups"]
    return group["state"], len(group["members"])


async def test_a_consumer_is_stopped_while_a_fetch_waits_for_its_next_try(talk, kafka):
    """aiokafka's own ``stop`` then ends as if its caller were cancelled, and leaves its connections open."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, retry_backoff_ms=60_000)
    await consumer.start()
    asked = asyncio.Event()

    async def away(*_, **__):
        asked.set()
        raise KafkaConnectionError

    consumer._client.send, client = away, consumer._client
    consumer.assign([TopicPartition(f"{talk.prefix}.predictions", 0)])
    consumer.seek(TopicPartition(f"{talk.prefix}.predictions", 0), 0)
    await asyncio.wait_for(asked.wait(), 60)
    await asyncio.sleep(0.1)
    await stop(consumer)
    assert all(task.done() for task in consumer._fetcher._pending_tasks)
    assert not any(connection.connected() for connection in client._conns.values())


async def test_a_consumer_that_cannot_leave_in_time_goes_on_with_nothing(talk, kafka):
    revoking, forever = asyncio.Event(), asyncio.Event()

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            if revoked:
                revoking.set()
                await forever.wait()

        def on_partitions_assigned(self, assigned):
            pass

    options = {"group_id": f"{talk.prefix}.join", "session_timeout_ms": 2000, "heartbeat_interval_ms": 200}
    one, other = [AIOKafkaConsumer(bootstrap_servers=kafka, **options) for _ in range(2)]
    for each in (one, other):
        await each.start()
    one.subscribe([f"{talk.prefix}.predictions"], listener=Listener())
    while not one.assignment():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    other.subscribe([f"{talk.prefix}.predictions"])
    await asyncio.wait_for(revoking.wait(), 60)  # now it is to give back its partitions, and does not
    await stop(one, within_s=0.5)
    assert one._coordinator._coordination_task.done()
    assert one._coordinator._heartbeat_task.done()
    await stop(other)


async def test_a_client_that_ends_by_itself_does_not_end_the_lane(talk, kafka, tmp_path, monkeypatch):
    """Nobody would notice: who is cancelled has not failed."""
    tried = []

    async def ends_once(*given):
        tried.append(given)
        if len(tried) == 1:
            raise asyncio.CancelledError
        await restore(*given)

    monkeypatch.setattr(tasks, "restore", ends_once)
    made = [prediction(f"r{n}", n) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await talk.settle(InProcess(running), ["join"])
    running.cancel()  # and who is meant ends
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 60)


async def test_a_lane_whose_client_fetches_no_more_joins_again(talk, kafka, tmp_path, monkeypatch):
    """aiokafka logs it, and hands over nothing for ever."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    rows = [(p.request_id.encode(), value_of(p), 1) for p in made]
    choose, broken = Fetcher._get_actions_per_node, []

    def choose_wrongly_once(self, assignment):
        if not broken and any(tp.topic == f"{talk.prefix}.predictions" for tp in assignment.tps):
            broken.append(self)
            raise KeyError
        return choose(self, assignment)

    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await talk.send("predictions", rows)
    await talk.settle(InProcess(running), ["join"])
    monkeypatch.setattr(Fetcher, "_get_actions_per_node", choose_wrongly_once)
    await talk.send("predictions", rows)
    await talk.settle(InProcess(running), ["join"])
    assert broken
    one.stop()
    await asyncio.wait_for(running, 60)


@pytest.fixture
def restoring(monkeypatch):
    """The first restore of a test takes as long as its lane lets it."""
    began, given_up = asyncio.Event(), asyncio.Event()

    async def slowly(task, topic, bootstrap, still_wanted):
        if not began.is_set():
            began.set()
            while still_wanted():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            given_up.set()
        else:
            await restore(task, topic, bootstrap, still_wanted)

    monkeypatch.setattr(tasks, "restore", slowly)
    return began, given_up


def lane_of(talk, kafka, folder, **of_model):
    settings, models = talk.settings.model_copy(update={"state": folder}), {"m": ModelSettings(name="m", **of_model)}
    return stateful.StatefulLane(step("join"), Installation(settings, kafka, Models(models)))


async def test_a_rebalance_does_not_wait_for_a_restore(talk, kafka, tmp_path, restoring):
    """It would take the worker's place in the group away, after its session timeout."""
    began, given_up = restoring
    made = [prediction(f"r{n}", n) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    lanes = [lane_of(talk, kafka, tmp_path / name) for name in ("a", "b")]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(lanes[0].run())
        await asyncio.wait_for(began.wait(), 60)
        group.create_task(lanes[1].run())
        await asyncio.wait_for(given_up.wait(), 60)
        await talk.settle(InProcess(running), ["join"])
        for each in lanes:
            each.stop()


async def test_a_worker_that_stops_does_not_wait_for_a_restore(talk, kafka, tmp_path, restoring):
    began, given_up = restoring
    one = lane_of(talk, kafka, tmp_path / "a")
    running = asyncio.create_task(one.run())
    await asyncio.wait_for(began.wait(), 60)
    one.stop()
    await asyncio.wait_for(running, 60)
    assert given_up.is_set()


async def test_a_changelog_that_lost_records_is_refused(talk, kafka, tmp_path):
    """Somebody deleted the changelog and the disk: going on would count a part of the log as all of it."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([f"{talk.prefix}.join-changelog"])
    async with asyncio.timeout(60):
        while f"{talk.prefix}.join-changelog" in await admin.list_topics():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await admin.close()
    await apply_topics(kafka, talk.prefix, 2, 1, None, ["join"])
    shutil.rmtree(talk.settings.state)
    told = len(await talk.records("window-partials"))
    partitions = [TopicPartition(f"{talk.prefix}.predictions", n) for n in (0, 1)]
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=f"{talk.prefix}.join", enable_auto_commit=False
    ) as group:
        group.assign(partitions)
        assert sum([await group.committed(partition) for partition in partitions]) == 100
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    with workers(talk, tmp_path) as running:
        async with asyncio.timeout(60):
            while "the changelog lost records" not in (tmp_path / "logs" / "worker-0.log").read_text("utf-8"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        running.tend()
        assert len(await talk.records("window-partials")) == told, "the worker lives, and counts nothing"


async def test_a_worker_that_slept_longer_than_its_session_changes_nothing(talk, tmp_path):
    """Stopped with work at hand, its partitions go to another; when it wakes it is fenced, joins again, and nothing is lost or doubled."""
    talk.environment["LEADLINE_RUN_RECORDS"] = "50"
    made = [prediction(f"r{n}", n) for n in range(10_000)]
    known = [Outcome(f"r{n}", 1.0, n + 1) for n in range(10_000)]
    with Workers(2, ["join"], talk.environment, talk.settings.state, tmp_path / "logs", lambda _: None) as running:
        await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
        await talk.send("outcomes", [(o.request_id.encode(), value_of(o), 1) for o in known])
        await talk.first("labeled-predictions")
        sleeper = running.pids[0]
        os.kill(sleeper, signal.SIGSTOP)
        try:
            await talk.settle(running, ["join"])
        finally:
            os.kill(sleeper, signal.SIGCONT)
        async with asyncio.timeout(60):
            while await group_of(talk) != ("Stable", 2):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert sleeper in running.pids
        await talk.settle(running, ["join"])
    labeled = await talk.read("labeled-predictions")
    assert sorted(each.prediction.request_id for each in labeled) == sorted(p.request_id for p in made)
    counts = {}  # of each model: outcomes that came before their prediction are counted for no model
    for record in await talk.read("window-partials"):
        if isinstance(record, JoinCounts):
            source = record.model, record.source_partition
            counts[source] = max(record, counts.get(source, record), key=lambda emitted: emitted.revision)
    assert sum(record.matched for record in counts.values()) == 10_000


async def test_records_that_come_one_by_one_are_worked_on_together(talk, kafka, tmp_path):
    """A run costs as much as a thousand records: where nothing is left to catch up with, the lane lets some come together."""
    made = [prediction(f"r{n}", n) for n in range(100)]
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        with workers(talk, tmp_path) as running:
            await producer.send_and_wait(f"{talk.prefix}.predictions", value_of(made[0]), b"r0", partition=0)
            await talk.first("window-partials")
            began = time.monotonic()
            for each in made[1:]:
                key = each.request_id.encode()
                await producer.send_and_wait(f"{talk.prefix}.predictions", value_of(each), key, partition=0)
                await asyncio.sleep(0.02)
            rests = (time.monotonic() - began) / stateful.REST_S
            await talk.settle(running, ["join"])
    counts = [record for record in await talk.read("window-partials") if isinstance(record, JoinCounts)]
    last = max(counts, key=lambda record: record.revision)
    assert last.prediction_records == 100
    assert last.revision <= 2 * (rests + 2), "each run counts one"


async def test_time_passes_for_an_idle_source_while_the_other_is_busy(talk, tmp_path):
    """Predictions keep coming, outcomes never do: the deadlines pass all the same."""
    talk.environment["LEADLINE_CLOCK"] = "wall"
    (talk.settings.models / "m" / "model.toml").write_text('name = "m"\nhorizon = "1s"\nwindow = "1s"\n', "utf-8")
    with workers(talk, tmp_path):
        until, n = time.monotonic() + 120, 0
        while time.monotonic() < until:
            now, n = int(time.time() * 1000), n + 1
            made = [prediction(f"r{n}-{i}", now) for i in range(4)]
            await talk.send("predictions", [(p.request_id.encode(), value_of(p), now) for p in made])
            await asyncio.sleep(0.02)
            counts = [record.expired for record in await talk.read("window-partials") if isinstance(record, JoinCounts)]
            if any(counts):
                return
    pytest.fail("nothing expired")


async def test_a_producer_cannot_tell_what_time_it_is(talk, tmp_path):
    """A header of the year 2100 seals nobody's windows, unless the clock is the records'."""
    talk.environment["LEADLINE_CLOCK"] = "wall"
    (talk.settings.models / "m" / "model.toml").write_text('name = "m"\nhorizon = "1h"\ngrace = "1h"\n', "utf-8")
    now = int(time.time() * 1000)
    with workers(talk, tmp_path) as running:
        for claimed in (4_102_444_800_000, now):
            key = b"r%d" % claimed
            made = prediction(key.decode(), now)
            await talk.send("predictions", [(key, value_of(made), claimed)])
            await talk.send("outcomes", [(key, value_of(Outcome(key.decode(), 1.0, now + 1)), claimed)])
            await talk.settle(running, ["join"])
    assert not await talk.records("dead-letters")
    assert len(await talk.read("labeled-predictions")) == 2
