"""Topics on a real cluster: made, altered, refused; and the command line around them."""

import asyncio
import json
import os
import subprocess
import sys
import uuid

import pytest

from leadline.kafka import cluster
from leadline.kafka.admin import TopicsError, apply_topics, plan_topics
from leadline.kafka.sender import new_producer
from leadline.topology import step

pytestmark = pytest.mark.integration


@pytest.fixture
async def prefix(kafka):
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    await cluster.remove(kafka, name)


async def test_apply_makes_what_plan_says_and_then_nothing(kafka, prefix):
    planned = await plan_topics(kafka, prefix, 3, 86_400_000, ["join"])
    done = await apply_topics(kafka, prefix, 3, 1, 86_400_000, ["join"])
    assert done.create == planned.create
    again = await plan_topics(kafka, prefix, 3, 86_400_000, ["join"])
    assert (again.create, again.alter, again.refuse) == ([], [], [])
    sizes = await cluster.sizes(kafka, [f"{prefix}.outcomes", f"{prefix}.rollouts", f"{prefix}.join-changelog"])
    assert len(sizes) == 3 + 1 + 3


async def test_another_retention_is_altered_and_other_settings_are_kept(kafka, prefix):
    await apply_topics(kafka, prefix, 2, 1, 1000, [], ["outcomes"])
    done = await apply_topics(kafka, prefix, 2, 1, None, [], ["outcomes"])
    assert [(t.name, dict(t.changes)) for t in done.alter] == [(f"{prefix}.outcomes", {"retention.ms": ("1000", "-1")})]
    async with asyncio.timeout(60):  # the broker learns it a moment later
        while (await plan_topics(kafka, prefix, 2, None, [], ["outcomes"])).alter:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_what_is_in_an_open_transaction_counts_as_left_and_is_waited_for(kafka, prefix):
    """Who commits one hears of it before readers see its records: they would be missing where somebody reads at once."""
    await apply_topics(kafka, prefix, 1, 1, None, [], ["predictions", "shadow-predictions", "outcomes"])
    async with new_producer(kafka, f"{prefix}-open") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(f"{prefix}.outcomes", b"here", partition=0)
        assert sum((await cluster.lag(kafka, prefix, step("join"))).values()) == 1
        reading = asyncio.create_task(values(kafka, f"{prefix}.outcomes"))
        assert await asyncio.wait([reading], timeout=1) == (set(), {reading})
        await producer.commit_transaction()
        assert await asyncio.wait_for(reading, 60) == [b"here"]


async def values(bootstrap, topic):
    return [record.value async for record in cluster.read_all(bootstrap, topic)]


async def test_a_wrong_number_of_partitions_is_refused_and_nothing_is_done(kafka, prefix):
    await apply_topics(kafka, prefix, 2, 1, None, [], ["outcomes"])
    with pytest.raises(TopicsError, match="has 2 partitions, wanted is 4"):
        await apply_topics(kafka, prefix, 4, 1, None, [], ["outcomes", "predictions"])
    assert len((await plan_topics(kafka, prefix, 2, None, [], ["predictions"])).create) == 1


def leadline(kafka, prefix, *words, **environment):
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "leadline", *map(str, words)],
        env={**os.environ, "KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_command_line_makes_topics_sends_files_and_shows_them(kafka, prefix, tmp_path):
    models = tmp_path / "models"
    (models / "m").mkdir(parents=True)
    (models / "m" / "model.toml").write_text('name = "m"\nnumeric = ["x"]\ncategorical = ["c"]\n', "utf-8")
    (tmp_path / "requests.csv").write_text(
        "request_id,event_time,x,c\nö1,2026-01-01T00:00:00Z,1.5,a\nö2,2026-01-01T00:00:01Z,,b\n", "utf-8"
    )
    (tmp_path / "outcomes.jsonl").write_text(
        '{"request_id": "ö1", "outcome": 1, "outcome_time": "2026-01-01T01:00:00Z"}\n', "utf-8"
    )
    settings = {"LEADLINE_MODELS": str(models)}
    planned = leadline(kafka, prefix, "topics", "plan")
    assert planned.returncode == 0, planned.stderr
    assert "would be created" in planned.stdout
    assert leadline(kafka, prefix, "topics", "apply").returncode == 0
    assert "nothing to do" in leadline(kafka, prefix, "topics", "apply").stdout
    refused = leadline(kafka, prefix, "topics", "apply", "--partitions", "5")
    assert refused.returncode == 1
    assert "wanted is 5" in refused.stderr
    for words in (("requests.csv", "--to", "requests", "--model", "m"), ("outcomes.jsonl", "--to", "outcomes")):
        sent = leadline(kafka, prefix, "send", tmp_path / words[0], *words[1:], **settings)
        assert sent.returncode == 0, sent.stderr
    shown = leadline(kafka, prefix, "tail", "prediction-requests", "--from-beginning", "-n", "2")
    rows = {row["request_id"]: row for row in map(json.loads, shown.stdout.splitlines())}
    assert rows["ö1"]["features"] == {"x": 1.5}
    assert rows["ö2"]["features"] == {}
    assert rows["ö2"]["categories"] == {"c": "b"}
    shown = leadline(kafka, prefix, "tail", "outcomes", "--from-beginning", "-n", "1")
    assert json.loads(shown.stdout)["outcome"] == 1
    sound = leadline(kafka, prefix, "doctor", **settings)
    assert sound.returncode == 0, sound.stdout
    assert leadline("127.0.0.1:1", prefix, "doctor", **settings).returncode == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("send", "missing.csv", "--to", "outcomes"), 1, "missing.csv: no such file; nothing was sent"),
        (("tail", "alert"), 2, "'alert' is not one of 'prediction-requests'"),
        (("metrics",), 1, "there is no topic test-errors.metrics"),
        (("send", "missing.csv", "--to", "nowhere"), 2, "'nowhere' is not one of 'requests', 'outcomes'"),
        (("topics", "apply", "--retention", "soon"), 2, "--retention"),
        (("worker", "--step", "juggling"), 2, "'juggling' is not one of 'scoring', 'shadow', 'join'"),
        (("model", "promote", "m", "v9"), 1, "has no version v9 of a model m"),
    ],
)
def test_an_error_is_one_clear_line(kafka, tmp_path, words, code, says):
    emitted = leadline(kafka, "test-errors", *words, LEADLINE_MODELS=str(tmp_path))
    assert emitted.returncode == code
    assert says in emitted.stderr
    assert "Traceback" not in emitted.stderr
    assert len(emitted.stderr.strip().splitlines()) == 1


def test_without_a_broker_a_command_says_what_to_do(tmp_path):
    emitted = leadline("", "test-errors", "tail", "alerts", LEADLINE_MODELS=str(tmp_path))
    assert emitted.returncode == 1
    assert "KAFKA_BOOTSTRAP" in emitted.stderr
    gone = leadline("127.0.0.1:1", "test-errors", "tail", "alerts")
    assert gone.returncode == 1
    assert "127.0.0.1:1" in gone.stderr
    assert "Traceback" not in gone.stderr
