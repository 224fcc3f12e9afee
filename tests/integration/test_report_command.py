"""A page from topics: what somebody reads is what the topics say."""

import asyncio
import json
import uuid

import pytest

from commands import run
from factories import prediction
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.records import LabeledPrediction, LiveSetting, LiveSettings, Metric
from leadline.wire.codec import key_of, value_of
from reports import DAY, alert, partial, report, window

pytestmark = pytest.mark.integration


@pytest.fixture
def prefix(kafka, monkeypatch, tmp_path):
    name = f"test-{uuid.uuid4().hex[:8]}"
    for key, value in {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": name, "LEADLINE_MODELS": "models"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "models" / "m" / "model.toml").write_text('name = "m"\nhorizon = "1d"\n')
    yield name
    asyncio.run(cluster.remove(kafka, name))


async def send(bootstrap, prefix, records):
    await apply_topics(bootstrap, prefix, 2, 1, None, [])
    async with open_sender(bootstrap, prefix) as sender:
        for topic, record in records:
            await sender.send_and_wait(f"{prefix}.{topic}", 0, [(key_of(topic, record), value_of(record), [])])


def test_the_page_says_what_the_topics_say(kafka, prefix, tmp_path, capsys):
    live = LiveSetting("alerts.metric", "recall", "ada", "to see", "c", 0)
    records = [
        ("metrics", window(accuracy=Metric(0.1))), ("metrics", window(revision=2)), ("metrics", window(1)), ("drift", report(ratio=3)),
        ("alerts", alert()), ("window-partials", partial(positives=[0.9, 0.8], negatives=[0.1])),
        ("labeled-predictions", labeled()), ("model-settings", LiveSettings("m", [live], "ada", "to see", "c", 1, 0)),
    ]  # fmt: skip
    asyncio.run(send(kafka, prefix, records))
    assert run(["report", "--model", "m", "--json", "report.json"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "no reference for v1: m v1 is not on this disk: copy its folder to models",
        "wrote report.html, report.json",
    ]
    told = json.loads((tmp_path / "report.json").read_text())
    [version] = told["versions"]
    assert [each["numbers"]["accuracy"]["realised"] for each in version["windows"]] == [[0.9, 0.85, 0.95]] * 2
    assert (told["watched"], version["drift"][0]["drifted"]) == ("recall", [True, None])
    assert sum(each["live_rows"] for each in version["calibration"]["groups"]) == 3
    assert (version["labels"]["labels"], version["labels"]["ages"][-1]["share"]) == (1, 0.8)
    assert [each["cause"] for each in told["incidents"]] == ["accuracy fell"]
    assert "accuracy fell" in (tmp_path / "report.html").read_text()


def labeled():
    return LabeledPrediction(prediction("r", model="m", model_version="v1"), 1.0, DAY // 2, DAY // 2, 1)
