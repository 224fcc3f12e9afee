"""The shadow stage on a real broker: whatever a version does there, the champion answers on, and it is told."""

import asyncio
import sys
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.embedded.workers import Workers
from leadline.hosts import tables
from leadline.hosts.contract import Installation
from leadline.hosts.health import Health
from leadline.hosts.health_record import told
from leadline.hosts.scoring import ScoringLane
from leadline.hosts.tables import HostedTable, Tables
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.reader import Reader
from leadline.kafka.sender import open_sender
from leadline.lookups.features import FeatureView
from leadline.records import PredictionRequest, Rollout
from leadline.settings import load_settings
from leadline.topology import step
from leadline.wire.codec import WIRE, key_of, value_of
from servers import InProcess, Talk
from shadows import SETTINGS, loaded
from stages import Models

pytestmark = pytest.mark.integration
WORKER = Path(__file__).parents[1] / "shadows.py"
ROLLOUT = Rollout("m", "v1", 0, "ada", "to see", rollout_id="r1", challenger="v2", mode="shadow", shares={"v2": 0.0})


@pytest.fixture
async def talk(kafka, tmp_path):
    settings = load_settings(
        prefix=f"test-{uuid.uuid4().hex[:8]}", models=tmp_path / "models", state=tmp_path / "state"
    )
    await apply_topics(kafka, settings.prefix, 2, 1, None, [])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


@asynccontextmanager
async def scoring(talk):
    """The champion answers."""
    models = Models({"m": SETTINGS}, {("m", name): loaded(name) for name in ("v1", "v2")})
    hosted = Tables([HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE)])
    installation = Installation(talk.settings, talk.bootstrap, models, tables=hosted)
    async with hosted.followed():
        lane = ScoringLane(step("scoring"), installation, FeatureView(talk.settings, models))
        working = asyncio.create_task(lane.run())
        yield InProcess(working)
        lane.stop()
        await working


def shadow(talk, tmp_path, what, memory="none"):
    """A process of its own, started again when it ends."""
    environment = talk.environment | {"LEADLINE_SHADOW_MEMORY": memory, "LEADLINE_HEALTH": "none"}
    command = (sys.executable, str(WORKER), what)
    return Workers(1, [], environment, tmp_path / "shadows", tmp_path, print, command, name="shadow", vital=False)


async def roll_out(talk, rollout):
    async with open_sender(talk.bootstrap, talk.prefix) as sender:
        row = key_of("rollouts", rollout), value_of(rollout), []
        await sender.send_and_wait(f"{talk.prefix}.rollouts", 0, [row])


async def ask(talk, numbers):
    requests = [PredictionRequest(f"r{n}", "m", 1_700_000_000_000, {"x": n / 1000}) for n in numbers]
    await talk.send("prediction-requests", [(each.request_id.encode(), value_of(each), 0) for each in requests])


async def health(talk):
    """What the shadow stage tells of v2, and of its troubles; None before it has told anything of it."""
    for each in (await told(talk.bootstrap, f"{talk.prefix}.workers")).values():
        for scored in each.health.scored:
            if scored.version == "v2":
                return scored, [trouble.what for trouble in each.health.troubles]
    return None


async def until(found, workers, within_s=120):
    async with asyncio.timeout(within_s):
        while not (answer := await found()):
            workers.tend()
            await asyncio.sleep(0.3)
    return answer


async def answered(talk, count):
    made = await talk.read("predictions")
    assert all((each.model_version, each.role, each.rollout_id) == ("v1", "champion", "r1") for each in made)
    return len({each.request_id for each in made}) == count


@pytest.mark.parametrize("what", ["sleeps", "raises"])
async def test_beside_a_version_that_is_slow_or_fails_the_champion_answers(talk, tmp_path, what):
    await roll_out(talk, ROLLOUT)
    with shadow(talk, tmp_path, what) as workers:
        async with scoring(talk):
            for start in range(0, 300, 60):
                await ask(talk, range(start, start + 60))
            await until(lambda: answered(talk, 300), workers)

            async def all_told():
                said = await health(talk)
                return said and said[0].requests >= 300 and said

            scored, troubles = await until(all_told, workers)
        assert (scored.role, scored.failed == scored.requests, scored.stopped) == ("shadow", what == "raises", "")
        assert troubles == []
    shadowed = await talk.read("shadow-predictions")
    assert {each.request_id for each in shadowed} == ({f"r{n}" for n in range(300)} if what == "sleeps" else set())
    assert {(each.model_version, each.role, each.rollout_id) for each in shadowed} <= {("v2", "shadow", "r1")}
    assert await talk.records("dead-letters") == []


@pytest.mark.parametrize(("what", "memory"), [("dies", "none"), ("leaks", "768MiB")])
async def test_a_version_that_ends_its_process_is_stopped_and_told_and_the_champion_answers(
    talk, tmp_path, what, memory
):
    await roll_out(talk, ROLLOUT)
    asked = 0
    with shadow(talk, tmp_path, what, memory) as workers:
        async with scoring(talk):

            async def stopped():
                nonlocal asked
                await ask(talk, range(asked, asked + 20))
                asked += 20
                said = await health(talk)
                return said and said[0].stopped and said

            scored, troubles = await until(stopped, workers, 240)
            await until(lambda: answered(talk, asked), workers)
    assert "its process ended 3 times" in scored.stopped
    assert troubles == ["m v2"]


async def test_where_no_version_is_in_shadow_nothing_is_fetched_and_nothing_that_came_is_scored_later(talk, tmp_path):
    """The lane follows the end of the log; from there it goes on when a rollout begins."""
    await roll_out(talk, replace(ROLLOUT, shares={}, rollout_id=""))
    await ask(talk, range(100))
    with shadow(talk, tmp_path, "sleeps") as workers:

        async def at_end():
            return not sum((await cluster.lag(talk.bootstrap, talk.prefix, step("shadow"))).values())

        await until(at_end, workers)
        at_ms = int(time.time() * 1000) + 3000
        await roll_out(talk, replace(ROLLOUT, effective_at=at_ms))
        await asyncio.sleep(3.1)
        await ask(talk, range(100, 150))

        async def scored():
            return len(await talk.read("shadow-predictions")) >= 50

        await until(scored, workers)
    assert {each.request_id for each in await talk.read("shadow-predictions")} == {f"r{n}" for n in range(100, 150)}


async def test_a_scorer_says_where_it_has_not_heard_who_answers(talk, monkeypatch):
    monkeypatch.setattr(tables, "LEAD_MS", 1500)
    health, take, silent = Health(), Reader.take, asyncio.Event()
    hosted = Tables([HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE, health)])

    async def nothing(reader, timeout_ms):
        if silent.is_set():
            await asyncio.sleep(timeout_ms / 1000)
            return []
        return await take(reader, timeout_ms)

    async def troubles():
        await asyncio.sleep(4)
        return [each.what for each in health.troubles()]

    monkeypatch.setattr(Reader, "take", nothing)
    monkeypatch.setattr(Reader, "heard_ms", (heard := Reader.heard_ms))
    async with hosted.followed():
        assert await troubles() == []

        async def never(_):
            return None

        silent.set()
        monkeypatch.setattr(Reader, "heard_ms", never)
        assert await troubles() == ["rollouts up to date"]
        silent.clear()
        monkeypatch.setattr(Reader, "heard_ms", heard)
        assert await troubles() == []
