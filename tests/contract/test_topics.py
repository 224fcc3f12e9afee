"""The topic table is whole, and what the stages write has the key, and is in the partition, that it states."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from aiokafka.partitioner import murmur2

from factories import prediction
from leadline.core.models import LoadedVersion, Signature
from leadline.core.processor import Output
from leadline.core.windows.reference_bins import build_profile
from leadline.records import (
    Candidate,
    Command,
    Outcome,
    PairCounts,
    PairPartial,
    PredictionRequest,
    Record,
    Rollout,
    Verdict,
)
from leadline.settings import AlertLimits, ModelSettings
from leadline.testing import Driver
from leadline.topology import STEPS, TRAINER
from leadline.wire.codec import key_of, read, value_of
from leadline.wire.schemas import file_of, schema, schemas_dir
from leadline.wire.topics import DEAD_LETTERS, TOPICS
from leadline.wire.topics_doc import page
from stages import Models

PARTITIONS = 7
WINDOW = 1000
MODELS = ("delays", "prices")

RECORDS = {
    ("prediction-requests", "PredictionRequest"): lambda r: (r.request_id, r.request_id),
    ("predictions", "Prediction"): lambda r: (r.request_id, r.request_id),
    ("shadow-predictions", "Prediction"): lambda r: (r.request_id, r.request_id),
    ("outcomes", "Outcome"): lambda r: (r.request_id, r.request_id),
    ("labeled-predictions", "LabeledPrediction"): lambda r: (r.prediction.request_id, r.prediction.request_id),
    ("window-partials", "WindowPartial"): lambda r: (
        [r.model, r.model_version, r.segment, r.window_start, r.source_partition],
        [r.model, r.model_version, r.segment],
    ),
    ("window-partials", "JoinCounts"): lambda r: (["counts", r.model, r.source_partition], r.model),
    ("pair-partials", "PairPartial"): lambda r: (
        [r.model, r.first, r.second, r.segment, r.window_start, r.source_partition, r.sample],
        r.model,
    ),
    ("metrics", "WindowMetrics"): lambda r: ([r.model, r.model_version, r.segment, r.window_start], r.model),
    ("metrics", "JoinCounts"): lambda r: (["counts", r.model], r.model),
    ("window-profiles", "WindowProfile"): lambda r: (
        [r.model, r.model_version, r.window_start, r.source_partition],
        r.model,
    ),
    ("drift", "DriftReport"): lambda r: ([r.model, r.model_version, r.window_start, r.feature, r.finding], r.model),
    ("alerts", "Alert"): lambda r: (r.alert_id, r.model),
    ("retrain-requests", "RetrainRequest"): lambda r: (r.model, r.model),
    ("candidates", "Candidate"): lambda r: (r.model, r.model),
    ("verdicts", "Verdict"): lambda r: (r.model, r.model),
    ("rollouts", "Rollout"): lambda r: (r.model, r.model),
    ("comparisons", "Comparison"): lambda r: (r.model, r.model),
    ("commands", "Command"): lambda r: (r.model, r.model),
    ("command-answers", "CommandAnswer"): lambda r: (r.command_id, r.model),
    ("model-settings", "LiveSettings"): lambda r: (r.model, r.model),
    ("audit", "AuditEntry"): lambda r: ([r.sequence], "audit"),
}
"""Key and route of each kind of record, said once more and without the table: text, or a list that is written as JSON."""
NOT_BY_STAGES = {("workers", "WorkerHealth"), ("trainings", "Training")}


class Curve:
    def predict(self, matrix, texts=None):
        return 1 / (1 + np.exp(-matrix[:, 0]))


def models():
    signature, values = Signature("s", ["x"], [], {}), np.linspace(-3, 3, 200).reshape(-1, 1)
    profile = build_profile(signature, values, Curve().predict(values), {"accuracy": 0.9})
    settings = {
        name: ModelSettings(
            name=name, numeric=["x"], segments=["c"], horizon=WINDOW, window=WINDOW, grace=WINDOW,
            alerts=AlertLimits(min_coverage=0.1, open_after=1),
        )
        for name in MODELS
    }  # fmt: skip
    versions = {
        (name, version): LoadedVersion(settings[name], version, signature, profile, Curve())
        for name in MODELS
        for version in ("v1", "v2")
    }
    return Models(settings, versions)


@pytest.fixture(scope="module")
def driver():
    """All stages have worked off three windows of two models that are always wrong, and one record that nobody can read."""
    made, rng = Driver(models(), partitions=PARTITIONS), random.Random(1)
    for model in MODELS:
        for topic, record in (
            ("commands", Command(f"calm {model}", "configure", model, "ada", "to see", {"runbook": "see the wiki"}, 0)),
            ("commands", Command(f"begin {model}", "promote", model, "ada", "to see", {"version": "v1"}, 0)),
            ("candidates", Candidate(model, "v2", "v1", "", "", "trainer", {}, 0)),
            ("verdicts", Verdict("g", model, "v2", "v0", "gate", "promote", [], "as good", "", "", 0)),
        ):
            made.publish(topic, key_of(topic, record), value_of(record), 0)
        made.settle()
        start = Command(f"try {model}", "start", model, "ada", "to see", {"version": "v2"}, 0)
        made.publish("commands", key_of("commands", start), value_of(start), 0)
        made.settle()
        counts = PairCounts(5, 1, 1, 1, 0, 0, 10**12, 10**12)
        pair = PairPartial(model, "v1", "v2", "*", 0, WINDOW, 0, 1.0, 1, 0, "provisional", "binary", counts)
        made._send(Output("pair-partials", records=[pair], arrival_ms=np.zeros(1, np.int64)))
    made.settle()
    for model in MODELS:
        shadowed = Rollout(model, "v1", 0, "ada", "to see", shares={"v2": 0.0}, rollout_id="r")
        made.publish("rollouts", key_of("rollouts", shadowed), value_of(shadowed), 0)
    for number in range(600):
        time, x = number * 5, rng.uniform(0.5, 3)
        request = PredictionRequest(
            request_id=f"r{number}",
            model=rng.choice(MODELS),
            event_time=time,
            features={"x": x},
            user_id="",
            categories={"c": rng.choice("aü")},
        )
        for topic, record in (("prediction-requests", request), ("outcomes", Outcome(f"r{number}", 0.0, time + 1))):
            made.publish(topic, key_of(topic, record), value_of(record), time + 1)
        said = prediction(
            request.request_id, time, model=request.model, model_version="v0", role="shadow",
            segments=[f"c={request.categories['c']}"],
        )  # fmt: skip
        made.publish("shadow-predictions", key_of("shadow-predictions", said), value_of(said), time + 1)
    made.publish("outcomes", b"odd", b"no record", 3000)
    made.settle()
    for topic in ("predictions", "shadow-predictions", "outcomes"):
        made.tick(topic, 10 * WINDOW)
    made.settle()
    return made


def written(driver):
    """Topic, partition, key and record of all that producers and stages wrote, but for dead letters and the clock's records."""
    for (topic, partition), rows in driver.topics.items():
        for key, value, _, _ in rows:
            if topic != "dead-letters" and value not in (None, b"no record"):
                yield topic, partition, key, read(topic, value)


def as_bytes(said):
    return said.encode() if isinstance(said, str) else json.dumps(said, separators=(",", ":")).encode()


def partition_of(route):
    return (murmur2(route) & 0x7FFFFFFF) % PARTITIONS


def test_every_kind_of_record_has_its_key_and_partition(driver):
    seen = set()
    for topic, partition, key, record in written(driver):
        kind = topic, type(record).__name__
        own_key, route = RECORDS[kind](record)
        assert key == as_bytes(own_key) == key_of(topic, record), kind
        assert partition == partition_of(as_bytes(route)), kind
        seen.add(kind)
    assert seen == set(RECORDS)


def test_no_kind_of_record_is_left_out():
    assert {(topic.name, name) for topic in TOPICS for name in topic.schemas} == set(RECORDS) | NOT_BY_STAGES


def test_every_record_has_a_schema_and_a_topic():
    of_topics = {record for topic in TOPICS for record in topic.records}
    assert of_topics == set(get_args(Record))
    assert {file_of(record.__name__) for record in of_topics} == {path.name for path in schemas_dir().glob("*.avsc")}
    for record in of_topics:
        written = schema(record.__name__)
        assert written["name"] == record.__name__
        assert {field["name"] for field in written["fields"]} == set(record.__dataclass_fields__)


def test_every_topic_is_read_and_written_by_a_stage_or_from_outside():
    parts = [*STEPS, TRAINER]
    written, read_whole = {topic for part in parts for topic in part.writes}, {t for part in parts for t in part.tables}
    assert written == {topic.name for topic in TOPICS if topic.sent_by is None} - {DEAD_LETTERS}
    assert {topic for part in parts for topic in part.reads} | read_whole <= {topic.name for topic in TOPICS}
    assert read_whole <= {topic.name for topic in TOPICS if topic.cleanup == "compact"}


def test_a_topic_of_columns_has_one_class_of_record_and_goes_by_its_key():
    """Whoever puts out columns gives their keys alone."""
    for topic in TOPICS:
        if topic.columnar:
            assert (len(topic.records), topic.route) == (1, None)


def test_the_page_is_what_the_table_says():
    text = (Path(__file__).parents[2] / "docs" / "topics.md").read_text("utf-8")
    assert text == page((*STEPS, TRAINER)), "scripts/topics-doc writes it anew"


def test_the_table_costs_the_command_no_heavy_module():
    heavy = ("pyarrow", "pyruhvro", "fastavro", "scipy", "sklearn")
    code = f"import sys, leadline.cli, leadline.wire.topics; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dead_letter_keeps_its_key(driver):
    [(partition, rows)] = [(p, rows) for (topic, p), rows in driver.topics.items() if topic == "dead-letters"]
    assert [(key, value) for key, value, _, _ in rows] == [(b"odd", b"no record")]
    assert partition == partition_of(b"odd")
