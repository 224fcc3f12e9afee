"""What a lane counts as processed while records are under way to the broker."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from leadline.agents.lane import Lane
from leadline.learning.registry import Registry
from leadline.settings import load_settings
from leadline.topology import step

PLACE = TopicPartition("leadline.prediction-requests", 0)


@pytest.fixture
def lane(tmp_path):
    return Lane(step("scoring"), load_settings(models=tmp_path), "127.0.0.1:1", Registry(tmp_path))


def send(lane, offset):
    sent = asyncio.get_running_loop().create_future()
    lane._under_way.append((PLACE, offset, asyncio.gather(sent, return_exceptions=True)))
    return sent


async def test_a_run_is_processed_when_it_has_arrived(lane):
    first, second = send(lane, 5), send(lane, 9)
    second.set_result(None)
    await lane._arrive(2)
    assert lane._processed == {}
    first.set_result(None)
    await lane._arrive(0)
    assert lane._processed == {PLACE: 9}


async def test_more_than_so_many_are_waited_for(lane):
    first, _ = send(lane, 5), send(lane, 9)
    asyncio.get_running_loop().call_later(0.01, first.set_result, None)
    await lane._arrive(1)
    assert lane._processed == {PLACE: 5}


async def test_what_did_not_arrive_is_not_processed(lane):
    first, second = send(lane, 5), send(lane, 9)
    first.set_exception(KafkaTimeoutError())
    second.set_result(None)
    with pytest.raises(KafkaTimeoutError):
        await lane._arrive(0)
    assert lane._processed == {}
