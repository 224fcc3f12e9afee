"""What a client meets: a broker that goes away, forks, threads that close it, groups that share anew, odd times and values."""

import asyncio
import multiprocessing
import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from leadline.client import NOW, ORIGIN, Client, SyncClient
from leadline.errors import LeadlineError
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.metadata import NoTopicError
from leadline.records import Outcome
from leadline.wire.single import read, value_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prefix(kafka):
    made = f"test-{uuid.uuid4().hex[:8]}"
    asyncio.run(apply_topics(kafka, made, 2, 1, None, []))
    yield made
    asyncio.run(cluster.remove(kafka, made))


async def send(kafka, prefix, *times_ms):
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number, time_ms in enumerate(times_ms):
            key = f"o-{number}-{uuid.uuid4().hex[:6]}"
            value = value_of(Outcome(key, 1.0, 1000))
            await producer.send_and_wait(f"{prefix}.outcomes", value, key.encode(), timestamp_ms=time_ms)


async def values(kafka, prefix, topic):
    return [read(topic, each.value) async for each in cluster.read_all(kafka, f"{prefix}.{topic}")]


async def test_a_moment_before_the_log_is_its_beginning(kafka, prefix):
    await send(kafka, prefix, None, None)
    async with Client(kafka, prefix) as client, asyncio.timeout(30):
        for since in (datetime(1969, 1, 1, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC), ORIGIN):
            async with client.records("outcomes", since=since) as outcomes:
                assert len([await anext(outcomes) for _ in range(2)]) == 2


async def test_values_are_what_json_has(kafka, prefix):
    at = datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    features = {"a": np.float32(0.5), "b": None, "c": float("nan"), "d": np.int64(3), "e": True}
    async with Client(kafka, prefix) as client:
        asked = await client.send_request("m", features, event_time=at)
        await client.send_outcome("r-np", np.bool_(True), outcome_time=at + timedelta(milliseconds=2))
        for wrong in (float("inf"), "much"):
            with pytest.raises(ValueError, match="a "):
                await client.send_request("m", {"a": wrong})
        for wrong in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="finite"):
                await client.send_outcome("r", wrong)
        for wrong in ("", "x" * 20_000):
            with pytest.raises(ValueError, match="1 to 1000 bytes"):
                await client.send_outcome(wrong, 1)
    [request] = [each for each in await values(kafka, prefix, "prediction-requests") if each.request_id == asked]
    assert (request.features, request.event_time) == ({"a": 0.5, "d": 3.0, "e": 1.0}, 1_767_225_600_001)
    [outcome] = [each for each in await values(kafka, prefix, "outcomes") if each.request_id == "r-np"]
    assert (outcome.outcome, outcome.outcome_time) == (1.0, 1_767_225_600_003)


async def test_a_wrong_prefix_makes_no_topics_and_is_said_at_once(kafka):
    other = f"test-{uuid.uuid4().hex[:8]}"
    async with Client(kafka, other) as client, asyncio.timeout(15):
        with pytest.raises(NoTopicError, match=f"no topic {other}.outcomes"):
            await client.send_outcome("r", 1)
        with pytest.raises(NoTopicError):
            await client.predict("m", {}, within_s=10)
    with pytest.raises(NoTopicError):
        await cluster.sizes(kafka, [f"{other}.outcomes"])


async def test_the_deadline_holds_while_nobody_answers_connections():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    began = time.monotonic()
    async with Client(f"127.0.0.1:{port}", "p") as client:
        with pytest.raises(TimeoutError, match=r"no prediction of r1 within 0\.5 s; it may still come"):
            await client.predict("m", {}, request_id="r1", within_s=0.5)
        assert time.monotonic() - began < 3
    server.close()


async def test_a_short_deadline_does_not_keep_the_client_from_connecting(kafka, prefix):
    async with Client(kafka, prefix) as client:
        for _ in range(40):
            with pytest.raises(TimeoutError):
                await client.predict("m", {}, within_s=0.05)
        assert client._answers._opening.done()


async def test_two_of_a_group_commit_by_hand_while_they_share_anew(kafka, prefix):
    """The first one had both partitions, and has one now: what it commits of the other one is no error, and comes again."""
    group = {"since": ORIGIN, "group": uuid.uuid4().hex, "by_hand": True}
    await send(kafka, prefix, *[None] * 12)
    async with Client(kafka, prefix) as client, asyncio.timeout(60), client.records("outcomes", **group) as first:
        handed = [await anext(first) for _ in range(4)]
        async with client.records("outcomes", **group) as second:
            again = await anext(second)
            await first.commit()
            await second.commit()
            assert (again.partition, again.offset) <= max((each.partition, each.offset) for each in handed)


def test_a_thread_that_reads_hears_that_the_client_was_closed(kafka, prefix):
    ended, ready = [], threading.Event()

    def follow(client):
        with client.records("alerts") as alerts:
            ready.set()
            try:
                for _ in alerts:
                    pass
                ended.append("end")
            except LeadlineError as error:
                ended.append(str(error))

    with SyncClient(kafka, prefix) as client:
        thread = threading.Thread(target=follow, args=[client], daemon=True)
        thread.start()
        assert ready.wait(20)
        time.sleep(0.3)
    thread.join(20)
    assert ended == ["the client was closed meanwhile"]
    with pytest.raises(LeadlineError, match="use it as a context"):
        client.send_outcome("r", 1)


def test_records_that_another_thread_closes_end_the_loop(kafka, prefix):
    with SyncClient(kafka, prefix) as client:
        alerts = client.records("alerts").__enter__()
        threading.Timer(0.5, alerts.__exit__).start()
        assert list(alerts) == []


def _ask(client, told):
    try:
        client.send_outcome("r-fork", 1)
        told.put("sent")
    except LeadlineError as error:
        told.put(str(error))


def test_a_process_that_was_forked_hears_that_it_needs_a_client_of_its_own(kafka, prefix):
    forks = multiprocessing.get_context("fork")
    with SyncClient(kafka, prefix) as client:
        client.send_outcome("r-parent", 1)
        told = forks.Queue()
        child = forks.Process(target=_ask, args=(client, told))
        child.start()
        assert (
            told.get(timeout=20)
            == f"the process {os.getpid()} opened this client: open one in each process, after it was forked"
        )
        child.join(20)
        assert client.send_outcome("r-parent", 0) is None


def test_another_event_loop_is_told_that_the_client_is_of_one(kafka, prefix):
    client = Client(kafka, prefix)

    async def once():
        await client.send_outcome("r-loop", 1)

    asyncio.run(once())
    with pytest.raises(LeadlineError, match="another event loop"):
        asyncio.run(once())
    asyncio.run(client.close())


async def test_who_gives_up_waiting_loses_no_record(kafka, prefix):
    async with Client(kafka, prefix) as client, client.records("outcomes", since=NOW) as outcomes:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await anext(outcomes)
        await client.send_outcome("r-late", 1)
        async with asyncio.timeout(20):
            assert (await anext(outcomes)).record.request_id == "r-late"
