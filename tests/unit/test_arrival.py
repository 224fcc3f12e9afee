"""When what a stage writes arrives, in the time of the records: it depends on the records that it read, not on when they were read."""

from dataclasses import replace

import pytest

from incidents import models, time, window
from leadline.core.join.join import Join
from leadline.core.performance.performance import Performance
from leadline.core.reference import FeatureProfile, ReferenceProfile
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.drift import Drift
from leadline.records import FeatureCounts, JoinCounts, WindowProfile
from leadline.settings import ModelSettings
from leadline.state.memory import MemoryStore
from leadline.testing import simulate
from logs import batch as log_batch
from stages import Models, partial, records_batch, version

SETTINGS = ModelSettings(name="m")
PROFILE = ReferenceProfile(10, [FeatureProfile("score", "score", [5, 5, 0], [0.5], [])], {})
MODELS = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS, PROFILE)})


def arrivals(stage, topic, *runs):
    """The arrival times of what comes of some runs of records, each an (arrival time, records)."""
    outputs = [
        out for arrival_ms, records in runs for out in stage.on_batch(records_batch(topic, records, arrival_ms)).outputs
    ]
    return [time for out in outputs for time in out.arrival_ms.tolist()]


def counts(source, as_of):
    return JoinCounts("m", source, 1, as_of, *[0] * 16)


def profile(source, as_of):
    return WindowProfile(
        model="m",
        model_version="v1",
        window_start=0,
        window_end=100,
        source_partition=source,
        revision=1,
        as_of=as_of,
        closed=True,
        predictions=1,
        features=[FeatureCounts("score", [1, 0, 0])],
    )


def performance(store):
    return Performance(store, MODELS)


@pytest.mark.parametrize(
    ("make", "topic", "first", "second"),
    [
        (
            performance,
            "window-partials",
            partial([(0.5, 1.0, 1)], 0, as_of=300),
            partial([(0.5, 1.0, 1)], 1, as_of=200),
        ),
        (performance, "window-partials", counts(0, 300), counts(1, 200)),
        (lambda store: Drift(store, MODELS), "window-profiles", profile(0, 300), profile(1, 200)),
    ],
    ids=["metrics", "counts", "drift"],
)
def test_sums_arrive_with_the_newest_record_that_they_count(make, topic, first, second):
    """Not with the slowest partition, nor when the stage reads it."""
    assert arrivals(make(MemoryStore()), topic, (7, [first]), (9000, [second])) == [300, 300]
    assert arrivals(make(MemoryStore()), topic, (9000, [second, first])) == [300]
    assert arrivals(make(MemoryStore()), topic, (9000, [second]), (7, [first])) == [200, 300]


def test_pairs_arrive_at_the_join_s_stage_time_and_not_at_that_of_the_shadow_that_lags():
    said = {"request_id": "r", "event_time": 0, "score": 0.5, "label_pred": 1, "segment": None, "offset": 0}
    outcome = {"request_id": "r", "outcome": 1.0, "outcome_time": 0, "arrival_time": 7_000_000, "offset": 0}
    join, found = Join(0, MemoryStore(), MODELS), []
    for topic, record in (
        ("shadow-predictions", said | {"model_version": "v2", "arrival_time": 400}),
        ("predictions", said | {"model_version": "v1", "arrival_time": 7_000_000}),
        ("outcomes", outcome),
    ):
        found += join.on_batch(log_batch(topic, [record])).outputs
    pairs = [each for each in found if each.topic == "pair-partials"]
    assert [each.arrival_ms.tolist() for each in pairs][-1] == [7_000_000]
    assert pairs[-1].records[0].as_of == 3_400_000


BY_AS_OF = {"window-partials", "window-profiles"}
"""Whose readers go by what the records say."""
READ_BY_NO_STAGE = {"labeled-predictions", "dead-letters"}


def test_what_a_stage_dates_by_arrival_says_when_it_arrived():
    """Else the broker's time would count, where the records are the clock."""
    topics = simulate(3, 200)[0].driver.topics
    written = {topic for (topic, _), rows in topics.items() if rows}
    assert {"pair-partials", "metrics", "predictions", "shadow-predictions"} < written
    silent = {topic for (topic, _), rows in topics.items() if not all(headers for _, _, headers, _ in rows)}
    assert silent <= BY_AS_OF | READ_BY_NO_STAGE


@pytest.mark.parametrize("runs", [[6], [1, 1, 2, 2], [3, 3]])
def test_an_alert_arrives_with_its_cause(runs):
    """However the log is cut into runs. It is of the instant in which its window became mature."""
    log = [window(0, 100), time(0), window(1, 200), time(1), window(2, 200), time(2)]
    batch = records_batch("metrics", log)
    batch.arrival_ms[:] = [90, 100, 190, 200, 220, 230]
    stage, start, found = Alerting(MemoryStore(), models(), Deployments(Table())), 0, []
    for count in runs:
        part = replace(
            batch, records=batch.records[start : start + count], arrival_ms=batch.arrival_ms[start : start + count]
        )
        found += stage.on_batch(part).outputs
        start += count
    alerts = [each for out in found for each in zip(out.records, out.arrival_ms.tolist(), strict=True)]
    assert [(alert.state, alert.at, time) for alert, time in alerts] == [("opened", 1100, 100), ("resolved", 1200, 200)]
