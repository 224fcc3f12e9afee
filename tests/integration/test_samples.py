"""The samples of docs/clients.md go the whole way, each in a process of its own, beside a worker for each form of topics."""

import asyncio
import os
import signal
import subprocess
import threading
import time
import uuid
from contextlib import ExitStack, suppress

import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

import sample_programs
from leadline.core.processor import Output
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.schemas import known_ids
from leadline.kafka.sender import open_sender, publish
from leadline.learning.add import add_version
from leadline.records import Alert, Rollout
from leadline.settings import ModelSettings, load_settings
from leadline.wire.codec import read
from leadline.wire.partitions import partition_of
from leadline.wire.writing import wire_of
from pages import ROOT
from registries import registry
from servers import Talk

pytestmark = pytest.mark.integration

HOUR = 3_600_000
PARTITIONS = 4
STEPS = ["scoring", "join"]
FIRST_BYTE = {"avro": b"\xc3", "confluent": b"\0", "json": b"{"}
CASES = [(sample, form) for sample in sample_programs.ALL for form in sample.forms]


class Installation(Talk):
    """The topics of one form, with a worker and a champion for each sample."""

    def __init__(self, kafka, form, models, url):
        own = {"format": form, "schema_registry": url if form == "confluent" else None}
        super().__init__(kafka, load_settings(prefix=f"test-{uuid.uuid4().hex[:8]}", models=models, **own))
        self.form = form
        self.environment |= {"LEADLINE_FORMAT": form, "LEADLINE_HEALTH": "none"}
        self.environment |= {"LEADLINE_SCHEMA_REGISTRY": url} if form == "confluent" else {}

    async def prepare(self):
        """Topics, champions, and the ids of their schemas."""
        await apply_topics(self.bootstrap, self.prefix, PARTITIONS, 1, None, ["join"])
        self.wire = wire_of(self.settings, await known_ids(self.settings))
        champions = [Rollout(each.model, "v1", 0, "test", "first") for each in sample_programs.ALL]
        async with open_sender(self.bootstrap, self.prefix, wire=self.wire) as sender:
            await asyncio.gather(*await sender.send_outputs([Output("rollouts", records=champions)]))

    async def found(self, topic, is_it, within_s=120):
        """The first record that is it, and the raw one."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            for raw in await self.records(topic):
                if raw.value is not None and is_it(record := read(topic, raw.value)):
                    return record, raw
            await asyncio.sleep(0.2)
        pytest.fail(f"it does not come in {topic}")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    table = pa.table({"amount": [0.0, 100.0, 200.0, 300.0], "y": [0, 0, 1, 1]})
    model = LogisticRegression(C=1e-4).fit([[0.0], [100.0], [200.0], [300.0]], [0, 0, 1, 1])
    for each in sample_programs.ALL:
        settings = ModelSettings(name=each.model, numeric=["amount"], horizon=HOUR, window=HOUR)
        add_version(folder, settings, "v1", model, table, "y")
    return folder


@pytest.fixture(scope="module")
def installation(kafka, models, tmp_path_factory):
    """The installation of a form, which is started once."""
    running = {}
    with ExitStack() as stack:

        def of(form):
            if form not in running:
                folder = tmp_path_factory.mktemp(form)
                url = stack.enter_context(registry(folder)).url if form == "confluent" else None
                place = running[form] = Installation(kafka, form, models, url)
                asyncio.run(place.prepare())
                stack.callback(lambda: asyncio.run(cluster.remove(kafka, place.prefix)))
                stack.enter_context(Workers(1, STEPS, place.environment, folder / "state", folder, lambda _: None))
            return running[form]

        yield of


class Program:
    """A running sample: what it says, and how it ends."""

    def __init__(self, sample, place, folder):
        self._sample = sample
        environment = (
            os.environ | place.environment | {"MODEL": sample.model, "LEADLINE_SCHEMAS": str(ROOT / "schemas")}
        )
        self._process = subprocess.Popen(
            sample_programs.command_of(sample, folder), env=environment, cwd=folder,
            stdout=subprocess.PIPE, stderr=(folder / "complaints").open("w"), text=True,
        )  # fmt: skip
        self._complaints = folder / "complaints"
        self._late = threading.Timer(90, self._process.kill)
        self._late.start()

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        self._late.cancel()
        if failed or self._sample.endless:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL if failed else signal.SIGINT)
        code = self._process.wait(60)
        assert failed or code == 0, self._complaints.read_text()

    def line(self, word):
        """The other words of its next line, which begins with this one."""
        first, *words = (self._process.stdout.readline() or "nothing").split()
        assert first == word, (first, words, self._complaints.read_text())
        return words


@pytest.mark.parametrize(("sample", "form"), CASES, ids=[f"{sample.model}-{form}" for sample, form in CASES])
def test_a_sample_goes_the_whole_way(installation, tmp_path, sample, form):
    place = installation(form)
    incident = Alert(uuid.uuid4().hex, "performance", "critical", "opened", sample.model, "v1", "*", 0, 1, 1, {}, "")
    with Program(sample, place, tmp_path) as program:
        order, version, score = program.line("prediction")
        assert program.line("outcome") == [order, "1"]
        asyncio.run(went_out_and_was_scored(place, sample, order, version, float(score)))
        asyncio.run(publish(place.bootstrap, place.prefix, "alerts", incident, place.wire))
        assert program.line("incident") == [incident.alert_id, "opened", "performance", "critical"]
    _, raw = asyncio.run(place.found("alerts", lambda each: each.alert_id == incident.alert_id))
    assert raw.value[:1] == FIRST_BYTE[form]


async def went_out_and_was_scored(place, sample, order, version, score):
    """Request and outcome are where their key belongs, the prediction is in the form that was asked for, and has its label."""
    for topic in ("prediction-requests", "outcomes"):
        _, raw = await place.found(topic, lambda each: each.request_id == order)
        assert (raw.key, raw.partition) == (order.encode(), partition_of(order.encode(), PARTITIONS))
        assert raw.value[:1] == FIRST_BYTE[sample.writes.lower()]
    made, raw = await place.found("predictions", lambda each: each.request_id == order)
    assert (made.model, made.model_version, made.score) == (sample.model, version, pytest.approx(score, rel=1e-12))
    assert raw.value[:1] == FIRST_BYTE[place.form]
    labeled, _ = await place.found("labeled-predictions", lambda each: each.prediction.request_id == order)
    assert labeled.outcome == 1.0


def test_the_page_says_what_was_done():
    assert sample_programs.table() in (ROOT / "docs/clients.md").read_text("utf-8")


def test_the_page_shows_every_program():
    text = (ROOT / "docs/clients.md").read_text("utf-8")
    programs = {f"samples/{each.program}" for each in sample_programs.ALL}
    assert {each for each in programs if f'--8<-- "{each}"' not in text} == set()
    folders = (ROOT / "samples" / each for each in ("python", "node", "java", "shell"))
    there = {str(path.relative_to(ROOT)) for folder in folders for path in folder.glob("[wW]ith*")}
    assert there == programs
