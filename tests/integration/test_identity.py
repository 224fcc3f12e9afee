"""Topics that are deleted and made anew under their names, and topics that do not agree, under lanes that run and that do not."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

import hosted
from factories import prediction
from leadline.hosts import footing
from leadline.hosts import tables as hosted_tables
from leadline.hosts.contract import Installation
from leadline.hosts.tables import tables_of
from leadline.hosts.worker import new_lane
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.lookups.features import FeatureView
from leadline.records import Outcome, RetrainRequest, Rollout
from leadline.settings import ModelSettings, load_settings
from leadline.topology import step
from leadline.wire.codec import WIRE, value_of
from servers import InProcess, Talk
from stages import Models

pytestmark = pytest.mark.integration
STATEFUL = ["join", "refusing"]


@pytest.fixture
async def talk(kafka, tmp_path, monkeypatch):
    monkeypatch.setattr(footing, "LOOK_EVERY_S", 1.0)
    monkeypatch.setattr(footing, "AGAIN_S", 0.2)
    monkeypatch.setattr(hosted_tables, "_LOOK_EVERY_S", 1.0)
    settings = load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}", clock="records", state=tmp_path / "state")
    await apply_topics(kafka, settings.prefix, 2, 1, None, STATEFUL)
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


@asynccontextmanager
async def hosting(talk, of):
    """A lane as a worker has it, as a task of the test; and the health that it tells."""
    models = Models({"m": ModelSettings(name="m")})
    tables = tables_of([of], talk.settings, talk.bootstrap, WIRE)
    installation = Installation(talk.settings, talk.bootstrap, models, tables=tables)
    async with tables.followed():
        lane = new_lane(of, installation, FeatureView(talk.settings, models))
        running = asyncio.create_task(lane.run())
        try:
            yield InProcess(running), installation.health
        finally:
            lane.stop()
            await asyncio.wait_for(running, 60)


@asynccontextmanager
async def admin(talk):
    client = AIOKafkaAdminClient(bootstrap_servers=talk.bootstrap)
    await client.start()
    yield client
    await client.close()


async def make_anew(talk, *topics):
    """Delete these topics (none named: all), and make them again."""
    async with admin(talk) as client:
        named = {f"{talk.prefix}.{topic}" for topic in topics}
        there = {name for name in await client.list_topics() if name.startswith(f"{talk.prefix}.")}
        deleted = named or there
        await client.delete_topics(list(deleted))
        async with asyncio.timeout(60):
            while deleted & set(await client.list_topics()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    await apply_topics(talk.bootstrap, talk.prefix, 2, 1, None, STATEFUL)


async def label(talk, name, count):
    """So many predictions, each with its outcome."""
    made = [prediction(f"{name}{n}", n) for n in range(count)]
    known = [Outcome(f"{name}{n}", 1.0, n + 1) for n in range(count)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    await talk.send("outcomes", [(o.request_id.encode(), value_of(o), 1) for o in known])


async def until(talk, topic, name, count, running):
    """Wait until a topic has so many records whose key begins so; each of them once."""
    async with asyncio.timeout(60):
        while True:
            running.tend()
            keys = [record.key for record in await talk.records(topic) if record.key.startswith(name.encode())]
            if len(keys) >= count:
                break
            await asyncio.sleep(0.1)
    assert len(keys) == len(set(keys)) == count


async def test_a_state_of_topics_that_were_deleted_is_set_aside(talk):
    """The new log is longer than the old one was: by its length alone the state would be taken."""
    join = step("join")
    async with hosting(talk, join) as (running, _):
        await label(talk, "old", 65)
        await until(talk, "labeled-predictions", "old", 65, running)
    await make_anew(talk)
    await label(talk, "new", 320)
    async with hosting(talk, join) as (running, _):
        await until(talk, "labeled-predictions", "new", 320, running)
    asides = sorted(path.name for path in (talk.settings.state / talk.prefix / "join").glob("*.other-*"))
    assert asides == ["0.other-1", "1.other-1"]


async def test_topics_that_are_made_anew_under_a_lane_are_noticed(talk):
    join = step("join")
    async with hosting(talk, join) as (running, health):
        await label(talk, "old", 65)
        await until(talk, "labeled-predictions", "old", 65, running)
        await make_anew(talk)
        await label(talk, "new", 320)
        await until(talk, "labeled-predictions", "new", 320, running)
        await make_anew(talk, "outcomes")  # the state stays, and knows the predictions
        await talk.send("outcomes", [(b"new1", value_of(Outcome("new1", 0.0, 5)), 1)])
        await label(talk, "more", 30)
        await until(talk, "labeled-predictions", "more", 30, running)
        assert not health.troubles()


async def trouble(health, what="topics"):
    """Wait for a trouble of this kind; its message."""
    async with asyncio.timeout(30):
        while not (found := [each.message for each in health.troubles() if each.what == what]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found[0]


async def ask(talk, first, count):
    asked = [RetrainRequest(f"r{n}", "m", "v", n, "drift", "", {}) for n in range(first, first + count)]
    await talk.send("retrain-requests", [(each.retrain_id.encode(), value_of(each), 1) for each in asked])


async def refusals(talk, count, running):
    """Wait for so many dead letters; how many there are of each reason."""
    async with asyncio.timeout(60):
        while len(records := await talk.records("dead-letters")) < count:
            running.tend()
            await asyncio.sleep(0.1)
    reasons = [dict(record.headers)["leadline-reason"].decode() for record in records]
    return {reason: reasons.count(reason) for reason in reasons}


async def promote(talk, *versions):
    await talk.send_to("rollouts", 0, [(b"m", value_of(Rollout("m", each, 0, "test", "")), 1) for each in versions])


@pytest.mark.parametrize("stateful", [True, False], ids=["stateful", "scoring"])
async def test_offsets_and_tables_of_topics_that_were_made_anew_are_not_gone_on_from(talk, stateful):
    """The group has committed less than the new topic holds, and the table's reader is behind its new end."""
    refusing = hosted.refusing(stateful)
    await promote(talk, "v1", "v2")
    async with hosting(talk, refusing) as (running, _):
        await ask(talk, 0, 20)
        assert await refusals(talk, 20, running) == {"v2": 20}
    async with hosting(talk, refusing) as (running, _):
        await make_anew(talk, "retrain-requests", "rollouts")
        await promote(talk, "v3")
        await asyncio.sleep(3)
        await ask(talk, 100, 50)
        assert await refusals(talk, 70, running) == {"v2": 20, "v3": 50}
    await make_anew(talk, "retrain-requests")
    await ask(talk, 200, 60)
    async with hosting(talk, refusing) as (running, _):
        assert await refusals(talk, 130, running) == {"v2": 20, "v3": 110}


@pytest.mark.parametrize("stateful", [True, False], ids=["stateful", "scoring"])
async def test_a_stage_waits_while_its_topics_do_not_agree(talk, stateful):
    refusing = hosted.refusing(stateful)
    async with admin(talk) as client, hosting(talk, refusing) as (running, health):
        await ask(talk, 0, 20)
        await refusals(talk, 20, running)
        await client.delete_topics([f"{talk.prefix}.rollouts"])
        assert (
            await trouble(health) == f"there is no topic {talk.prefix}.rollouts: make it with `leadline topics apply`"
        )
        await asyncio.sleep(1)  # for the round at hand
        await ask(talk, 100, 20)
        await asyncio.sleep(2)
        assert len(await talk.records("dead-letters")) == 20
        await apply_topics(talk.bootstrap, talk.prefix, 2, 1, None, STATEFUL)
        await refusals(talk, 40, running)
        assert not health.troubles()


async def test_partitions_that_are_added_to_one_topic_stop_the_stage_until_it_is_made_anew(talk):
    join = step("join")
    async with admin(talk) as client, hosting(talk, join) as (running, health):
        await label(talk, "old", 65)
        await until(talk, "labeled-predictions", "old", 65, running)
        await client.create_partitions({f"{talk.prefix}.outcomes": NewPartitions(4)})
        assert f"{talk.prefix}.outcomes has 4 partitions, wanted is 2" in await trouble(health)
        await make_anew(talk, "outcomes")
        await label(talk, "new", 50)
        await until(talk, "labeled-predictions", "new", 50, running)
        assert not health.troubles()


async def test_all_topics_may_not_grow_under_a_state(talk):
    """Keys would move to other partitions, and their state would not."""
    join, grown = step("join"), NewPartitions(4)
    async with admin(talk) as client, hosting(talk, join) as (running, health):
        await label(talk, "old", 65)
        await until(talk, "labeled-predictions", "old", 65, running)
        await client.create_partitions(
            {f"{talk.prefix}.{t}": grown for t in (*join.reads, *join.writes, "join-changelog")}
        )
        assert "had 2 partitions, and now it has 4: keys have moved" in await trouble(health, "state")
