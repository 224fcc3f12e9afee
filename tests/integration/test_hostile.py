"""Whatever a record or a batch is, whoever reads its topic goes on to the good record behind it."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownError
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

import hosted
from hostile import ROWS, StandIn, send_bomb, send_row
from leadline.cli import metrics, tail
from leadline.cli.checkup import look_at_cluster
from leadline.cli.record_fields import record_fields
from leadline.demo.run import Place, _watch
from leadline.foreign_text import as_json
from leadline.hosts import patience
from leadline.hosts.changelog import ChangelogError, restore
from leadline.hosts.contract import Installation
from leadline.hosts.tables import HostedTable, tables_of
from leadline.hosts.worker import new_lane
from leadline.kafka import cluster, private
from leadline.kafka.admin import apply_topics
from leadline.kafka.fetch import RefusedError
from leadline.kafka.quick_producers import QuickProducers
from leadline.kafka.sender import Sender
from leadline.lookups.features import FeatureView
from leadline.records import JoinCounts, RetrainRequest, Rollout
from leadline.settings import load_settings
from leadline.wire.codec import WIRE, value_of
from leadline.wire.limits import BATCH_UNPACKED_BYTES
from servers import Talk
from stages import Models

pytestmark = pytest.mark.integration
BOTH_LANES = pytest.mark.parametrize("stateful", [True, False], ids=["stateful", "scoring"])
TOO_LARGE = BATCH_UNPACKED_BYTES + (1 << 20)
GOOD = {
    "retrain-requests": RetrainRequest("good", "m", "v", 1, "drift", "", {}),
    "rollouts": Rollout("m", "good", 0, "test", ""),
    "dead-letters": RetrainRequest("good", "m", "v", 1, "drift", "", {}),
    "metrics": JoinCounts("good", 0, 1, *[0] * 17),
}


@pytest.fixture
async def talk(kafka, tmp_path):
    settings = load_settings(
        prefix=f"test-{uuid.uuid4().hex[:8]}", models=tmp_path / "models", state=tmp_path / "state"
    )
    await apply_topics(kafka, settings.prefix, 2, 1, None, ["refusing"])
    yield Talk(kafka, settings)
    await cluster.remove(kafka, settings.prefix)


async def send_good(talk, topic):
    record = GOOD[topic]
    await send_row(talk.bootstrap, f"{talk.prefix}.{topic}", 0, (b"m", value_of(record), []))


async def send_hostile(talk, topic):
    """Each hostile row that the topic takes, a transaction that is taken back, and a good record behind them; how many came."""
    topic_name, sent = f"{talk.prefix}.{topic}", 0
    for row in ROWS.values():
        if topic != "rollouts" or row[0] is not None:  # a compacted topic takes no record without key
            await send_row(talk.bootstrap, topic_name, 0, row)
            sent += 1
    async with AIOKafkaProducer(bootstrap_servers=talk.bootstrap, transactional_id=uuid.uuid4().hex) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic_name, b"x", b"aborted", 0)
        await producer.abort_transaction()
    await send_good(talk, topic)
    return sent


@asynccontextmanager
async def hosting(talk, step):
    """A lane as a worker has it, as a task of the test, and the installation."""
    tables = tables_of([step], talk.settings, talk.bootstrap, WIRE)
    installation = Installation(talk.settings, talk.bootstrap, Models(), tables=tables)
    async with tables.followed(), asyncio.timeout(120):
        lane = new_lane(step, installation, FeatureView(talk.settings, Models()))
        running = asyncio.create_task(lane.run())
        try:
            yield installation
        finally:
            lane.stop()
            await running


async def settle(talk, step):
    while sum((await cluster.lag(talk.bootstrap, talk.prefix, step)).values()):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def letters(talk):
    """The headers of all dead letters."""
    found = [dict(record.headers) for record in await talk.records("dead-letters")]
    return [{name.rpartition(".")[2]: (value or b"").decode() for name, value in headers.items()} for headers in found]


# -- records --------------------------------------------------------------------------------------------------------------


@BOTH_LANES
async def test_a_lane_goes_on_behind_hostile_records(talk, stateful):
    step = hosted.refusing(stateful)
    sent = await send_hostile(talk, "retrain-requests")
    async with hosting(talk, step):
        await settle(talk, step)
    reasons = [letter["leadline-reason"] for letter in await letters(talk)]
    assert len(reasons) == sent + 1
    assert reasons.count("none") == 1  # the good one: the step refuses it by this reason


@BOTH_LANES
async def test_where_dead_letters_are_compacted_one_of_a_record_without_key_stops_nothing(talk, stateful):
    """The broker refuses a batch with such a record, for ever; so the letter has the record's place as its key."""
    step = hosted.refusing(stateful)
    await talk.configure("dead-letters", {"cleanup.policy": "compact"})
    await send_row(talk.bootstrap, f"{talk.prefix}.retrain-requests", 0, ROWS["no key"])
    async with hosting(talk, step):
        await settle(talk, step)
    [record] = await talk.records("dead-letters")
    assert record.key == b"retrain-requests/0/0"
    assert dict(record.headers)["leadline-no-key"] == b"true"


async def test_a_table_goes_on_behind_hostile_records(talk):
    await send_hostile(talk, "rollouts")
    table = HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE)
    async with asyncio.timeout(30):
        await table.read_to_end()
    await table.stop()
    assert table.table.newest(b"m") == GOOD["rollouts"]


def told(record):
    return record_fields(record)


@pytest.mark.parametrize("topic", ["retrain-requests", "rollouts", "dead-letters"])
async def test_tail_shows_all_and_the_good_record_behind(talk, topic):
    sent = await send_hostile(talk, topic)
    shown = [as_json(tail.fields(topic, record, told)) for record in await talk.records(topic)]
    assert len(shown) == sent + 1
    assert all(line.isprintable() for line in shown)


async def test_metrics_demo_and_doctor_go_on_behind_hostile_records(talk):
    await send_hostile(talk, "metrics")
    runs = [run async for run in cluster.read_runs(talk.bootstrap, f"{talk.prefix}.metrics", "metrics")]
    assert [record for run in runs for record in WIRE.decode(run, 1 << 30, None)[0].records] == [GOOD["metrics"]]
    await metrics._show(talk.bootstrap, talk.prefix, metrics._Asked("", "", 3, once=True, json=False))
    assert (await look_at_cluster._feed(talk.bootstrap, f"{talk.prefix}.metrics")).newest_ms
    seen = asyncio.Queue()
    async with asyncio.timeout(30):
        watching = asyncio.create_task(
            _watch(Place(load_settings(prefix=talk.prefix), talk.bootstrap, ""), "metrics", Screen(seen))
        )
        assert await seen.get() == GOOD["metrics"]
        watching.cancel()


class Screen:
    def __init__(self, seen):
        self.take = seen.put_nowait


async def test_a_state_is_restored_behind_hostile_records(talk):
    topic = "refusing-changelog"
    for row in ROWS.values():
        if row[0] is not None:
            await send_row(talk.bootstrap, f"{talk.prefix}.{topic}", 0, row)
    await send_row(talk.bootstrap, f"{talk.prefix}.{topic}", 0, (b"good", b"1", []))
    task = StandIn()
    await restore(task, f"{talk.prefix}.{topic}", talk.bootstrap, lambda: True)
    assert task.is_whole
    assert task.loaded[b"good"] == b"1"


# -- batches --------------------------------------------------------------------------------------------------------------


@BOTH_LANES
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
async def test_a_batch_that_unpacks_to_too_much_is_one_dead_letter(talk, stateful, codec):
    step = hosted.refusing(stateful)
    await send_good(talk, "retrain-requests")
    await asyncio.to_thread(send_bomb, talk.bootstrap, f"{talk.prefix}.retrain-requests", 0, TOO_LARGE, codec)
    await send_good(talk, "retrain-requests")
    async with hosting(talk, step) as installation:
        await settle(talk, step)
        assert installation.health.troubles() == []
    found = await letters(talk)
    [bomb] = [letter for letter in found if letter["leadline-reason"] != "none"]
    assert len(found) == 3
    assert (bomb["topic"], bomb["partition"], bomb["offset"]) == (f"{talk.prefix}.retrain-requests", "0", "1")
    if codec == "gzip" and not stateful:  # librdkafka's gzip has no bound
        assert bomb["leadline-reason"] == "record-too-large"
    else:
        assert bomb["leadline-reason"] == "unreadable-batch"
        assert bomb["message"] == "the batch of offsets 1 to 1 cannot be read: it unpacks to more than 64 MiB"


async def test_readers_and_tables_go_on_behind_a_batch_that_unpacks_to_too_much(talk):
    await asyncio.to_thread(send_bomb, talk.bootstrap, f"{talk.prefix}.rollouts", 0, TOO_LARGE)
    await send_good(talk, "rollouts")
    table = HostedTable("rollouts", talk.settings, talk.bootstrap, WIRE)
    async with asyncio.timeout(30):
        await table.read_to_end()
        assert [record.value is None for record in await talk.records("rollouts")] == [True, False]
    await table.stop()
    assert table.table.newest(b"m") == GOOD["rollouts"]


async def test_a_changelog_with_a_batch_that_cannot_be_read_is_not_taken_for_whole(talk):
    topic_name = f"{talk.prefix}.refusing-changelog"
    await asyncio.to_thread(send_bomb, talk.bootstrap, topic_name, 0, TOO_LARGE)
    task = StandIn()
    with pytest.raises(ChangelogError, match=f"{topic_name}/0: the batch of offsets 0 to 0 cannot be read"):
        await restore(task, topic_name, talk.bootstrap, lambda: True)
    assert not task.is_whole


@BOTH_LANES
async def test_a_batch_that_cannot_be_read_for_now_holds_up_its_partition_alone(talk, stateful, monkeypatch):
    """Damage between broker and worker; a bomb makes librdkafka give the batch to the other reader."""
    step, damage = hosted.refusing(stateful), private._damage
    topic_name = f"{talk.prefix}.retrain-requests"
    await send_good(talk, "retrain-requests")
    await asyncio.to_thread(send_bomb, talk.bootstrap, topic_name, 0, TOO_LARGE)
    await send_good(talk, "retrain-requests")
    record = GOOD["retrain-requests"]
    await send_row(talk.bootstrap, topic_name, 1, (b"other", value_of(record), []))
    monkeypatch.setattr(private, "_damage", lambda batch: "a checksum" if batch.compression_type else damage(batch))
    async with hosting(talk, step) as installation:
        while not (troubles := installation.health.troubles()) or len(await letters(talk)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        assert len(await letters(talk)) == 2
        [trouble] = troubles
        assert (trouble.step, trouble.what) == ("refusing", f"{topic_name}/0")
        assert trouble.message == f"{topic_name}/0 cannot be read at offset 1: a checksum"
        with pytest.raises(RefusedError, match="offset 1"):
            await talk.records("retrain-requests")
        monkeypatch.setattr(private, "_damage", damage)
        await settle(talk, step)
        assert installation.health.troubles() == []
    assert len(await letters(talk)) == 4


# -- other errors ---------------------------------------------------------------------------------------------------------


@BOTH_LANES
async def test_an_error_that_does_not_pass_is_told_once_and_tried_again_ever_later(talk, stateful, monkeypatch):
    attempts, step = [], hosted.refusing(stateful)
    sending = (Sender, "send_letters") if stateful else (QuickProducers, "send")
    send = getattr(*sending)

    def refuse(*_):
        attempts.append(1)
        raise UnknownError if stateful else KafkaException(KafkaError(KafkaError.INVALID_RECORD))

    monkeypatch.setattr(patience, "CALM_S", 3)
    monkeypatch.setattr(*sending, refuse)
    await send_good(talk, "retrain-requests")
    with capture_logs() as logs:
        async with hosting(talk, step) as installation:
            while len(attempts) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            [trouble] = installation.health.troubles()
            assert trouble.what == "Kafka"
            monkeypatch.setattr(*sending, send)
            await settle(talk, step)
            while installation.health.troubles():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert [line["event"] for line in logs if line["event"] in ("cannot go on", "goes on")] == [
        "cannot go on",
        "goes on",
    ]
    assert len(await letters(talk)) == 1
