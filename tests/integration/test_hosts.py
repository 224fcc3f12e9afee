"""What every lane does, held on steps of the tests' own: work, stop, tables; and steps that gather."""

import asyncio
import os
import signal
import sys
import time
import uuid
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import hosted
from leadline.embedded.workers import Workers
from leadline.hosts.contract import Installation
from leadline.hosts.stateful import StatefulLane
from leadline.hosts.tables import HostedTable, Tables, tables_of
from leadline.hosts.worker import new_lane
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.errors import KafkaError
from leadline.kafka.reader import Reader
from leadline.lookups.features import FeatureView
from leadline.records import RetrainRequest, Rollout
from leadline.settings import load_settings
from leadline.wire.codec import WIRE, value_of
from servers import Talk
from stages import Models

pytestmark = pytest.mark.integration
BOTH_LANES = pytest.mark.parametrize("stateful", [True, False], ids=["stateful", "scoring"])


@pytest.fixture
async def talk(kafka, tmp_path):
    settings = load_settings(
        prefix=f"test-{uuid.uuid4().hex[:8]}", clock="records", models=tmp_path / "models", state=tmp_path / "state"
    )
    await apply_topics(kafka, settings.prefix, 2, 1, None, ["gathering", "refusing"])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


@asynccontextmanager
async def hosting(talk, step):
    """A lane as a worker has it, as a task of the test."""
    tables = tables_of([step], talk.settings, talk.bootstrap, WIRE)
    installation = Installation(talk.settings, talk.bootstrap, Models(), tables=tables)
    async with tables.followed():
        lane = new_lane(step, installation, FeatureView(talk.settings, Models()))
        running = asyncio.create_task(lane.run())
        try:
            yield running
        finally:
            lane.stop()
            await asyncio.wait_for(running, 60)


async def ask(talk, first, count):
    records = [
        RetrainRequest(
            retrain_id=f"r{n}", model="m", model_version="v", event_time=n, cause="drift", alert_id="", evidence={}
        )
        for n in range(first, first + count)
    ]
    await talk.send("retrain-requests", [(each.retrain_id.encode(), value_of(each), 1) for each in records])


async def promote(talk, *versions):
    await talk.send_to("rollouts", 0, [(b"m", value_of(Rollout("m", each, 0, "test", "")), 1) for each in versions])


async def settle(talk, step, tend=lambda: None, within_s=120):
    deadline = time.monotonic() + within_s
    while left := sum((await cluster.lag(talk.bootstrap, talk.prefix, step)).values()):
        tend()
        assert time.monotonic() < deadline, f"{left} records left"
        await asyncio.sleep(0.1)


async def refused(talk):
    """The reason for each record that was refused, by its offset in its partition."""
    reasons = {}
    for record in await talk.records("dead-letters"):
        headers = dict(record.headers)
        partition, offset = headers["__connect.errors.partition"], headers["__connect.errors.offset"]
        assert (partition, offset) not in reasons, "worked on twice"
        reasons[partition, offset] = headers["leadline-reason"].decode()
    return reasons


@BOTH_LANES
async def test_a_lane_works_on_all_and_leaves_nothing_uncommitted_when_it_stops(talk, stateful):
    step = hosted.refusing(stateful)
    await promote(talk, "v1")
    await ask(talk, 0, 100)
    async with hosting(talk, step), asyncio.timeout(60):
        while len(await talk.records("dead-letters")) < 100:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert not sum((await cluster.lag(talk.bootstrap, talk.prefix, step)).values())
    async with hosting(talk, step):
        await ask(talk, 100, 1)
        await settle(talk, step)
    assert len(await refused(talk)) == 101


@BOTH_LANES
async def test_tables_are_whole_before_the_first_record(talk, stateful):
    await promote(talk, *(f"v{number}" for number in range(300)))
    await ask(talk, 0, 20)
    step = hosted.refusing(stateful)
    async with hosting(talk, step):
        await settle(talk, step)
    assert set((await refused(talk)).values()) == {"v299"}


async def test_a_stateful_lane_waits_before_each_run_until_its_tables_hold_all_that_is_there(talk):
    step, table = hosted.refusing(stateful=True), HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE)
    installation = Installation(talk.settings, talk.bootstrap, Models(), tables=Tables([table]))
    await table.read_to_end()
    lane = StatefulLane(step, installation)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(lane.run())
        await ask(talk, 0, 1)
        await settle(talk, step)
        await promote(talk, "v1")
        await ask(talk, 1, 1)
        assert await asyncio.wait([running], timeout=3) == (set(), {running})
        assert list((await refused(talk)).values()) == ["none"]
        following = group.create_task(table.follow())  # until now nobody read what was promoted
        await settle(talk, step)
        lane.stop()
        await running
        following.cancel()
    await table.stop()
    assert sorted((await refused(talk)).values()) == ["none", "v1"]


async def test_a_table_whose_topic_gets_an_unreadable_record_goes_on(talk):
    step = hosted.refusing(stateful=True)
    async with hosting(talk, step):
        await talk.send_to("rollouts", 0, [(b"m", b"no rollout", 1), (b"m", None, 1)])
        await promote(talk, "v1")
        await ask(talk, 0, 1)
        await settle(talk, step)
    assert set((await refused(talk)).values()) == {"v1"}


async def test_a_table_whose_reader_fails_is_read_on_where_it_was(talk, monkeypatch):
    table, take, failed = HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE), Reader.take, []

    async def fails_once(reader, *given):
        if not failed:
            failed.append(reader)
            raise KafkaError
        return await take(reader, *given)

    await promote(talk, "v1")
    await table.read_to_end()
    monkeypatch.setattr(Reader, "take", fails_once)
    following = asyncio.create_task(table.follow())
    await promote(talk, "v2")
    async with asyncio.timeout(60):
        while len(table.table.newest_first(b"m")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    following.cancel()
    await table.stop()
    assert failed
    assert [each.champion for each in table.table.newest_first(b"m")] == ["v2", "v1"]


async def test_a_step_that_gathers_has_one_task_which_another_worker_takes_over(talk, tmp_path):
    """Each record of each partition is numbered once, across a kill of the worker that had the task."""
    talk.environment["LEADLINE_RUN_RECORDS"] = "20"
    step, command = hosted.gathering(), [sys.executable, str(Path(hosted.__file__)), "gathering"]
    await ask(talk, 0, 2000)
    await promote(talk, *(f"v{number}" for number in range(10)))
    logs = tmp_path / "logs"
    with Workers(2, [], talk.environment, talk.settings.state, logs, lambda _: None, command) as workers:
        await talk.first("metrics")
        [owner] = [n for n in range(2) if '"partitions": [0]' in (logs / f"worker-{n}.log").read_text("utf-8")]
        os.kill(workers.pids[owner], signal.SIGKILL)
        await settle(talk, step, workers.tend)
        await ask(talk, 2000, 100)
        await settle(talk, step, workers.tend)
    numbered = await talk.read("metrics")
    assert sorted(record.revision for record in numbered) == list(range(1, 2111))
    assert len({record.model for record in numbered}) == 2110
    sources = {record.model.rpartition("/")[0] for record in numbered}
    assert sources == {"retrain-requests/0", "retrain-requests/1", "rollouts/0"}
