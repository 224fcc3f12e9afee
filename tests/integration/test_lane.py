"""The lane on a real broker: what it does after a bad end."""

import uuid

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from leadline.agents import cluster
from leadline.agents.admin import apply_topics
from leadline.embedded.workers import Workers
from leadline.records import Outcome, Prediction
from leadline.settings import load_settings
from leadline.wire.codec import value_of
from servers import Talk

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


def workers(talk, folder):
    return Workers(1, ["join"], talk.environment, talk.settings.state, folder / "logs", lambda _: None)


async def test_offsets_that_were_not_committed_are_committed_by_the_next_owner(talk, kafka, tmp_path):
    """Killed between the state and the commit: the state knows the records, and nothing new comes."""
    made = [Prediction(f"r{n}", "m", "v1", "champion", "", n, n, 0.5, 1, [], "", [], None) for n in range(100)]
    known = [Outcome(f"r{n}", 1.0, n + 1) for n in range(100)]
    await talk.send("predictions", [(p.request_id.encode(), value_of(p), 1) for p in made])
    await talk.send("outcomes", [(o.request_id.encode(), value_of(o), 1) for o in known])
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"])
    places = [TopicPartition(f"{talk.prefix}.{noun}", n) for noun in ("predictions", "outcomes") for n in (0, 1)]
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=f"{talk.prefix}.join", enable_auto_commit=False
    ) as group:
        group.assign(places)
        await group.commit(dict.fromkeys(places, 0))
    with workers(talk, tmp_path) as running:
        await talk.settle(running, ["join"], within_s=20)
    assert len(await talk.records("labeled-predictions")) == 100
