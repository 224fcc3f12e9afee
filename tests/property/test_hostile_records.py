"""Stages of few records take whatever the schemas can say: it becomes a dead letter, or passes; no stage falls over it."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import prediction
from leadline.core.join.join import Join
from leadline.core.models import Signature
from leadline.core.performance.binary import auc
from leadline.core.performance.performance import Performance
from leadline.core.reference import Calibration, FeatureProfile, ReferenceProfile
from leadline.core.release.rollout import READS, Rollouts
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import JoinKeys
from leadline.core.tables import Table
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.drift import Drift
from leadline.core.watch.retraining.retraining import Retraining
from leadline.core.windows.loss_grid import GRID as LOSS_GRID
from leadline.core.windows.loss_grid import ONE
from leadline.foreign_text import as_json
from leadline.records import (
    RETRAIN,
    Alert,
    Candidate,
    Check,
    Command,
    DriftReport,
    FeatureCounts,
    FinalValue,
    JoinCounts,
    MatureCounts,
    MaturedWindow,
    Metric,
    Outcome,
    PairCounts,
    PairPartial,
    RetrainRequest,
    StageHealth,
    StageTrouble,
    Training,
    Verdict,
    VersionHealth,
    WindowMetrics,
    WindowProfile,
    WorkerHealth,
)
from leadline.report.collect import Collected
from leadline.report.content import content
from leadline.report.page import page
from leadline.settings import AlertLimits, ModelSettings
from leadline.settings.release import TrainingSettings
from leadline.wire.codec import decode, key_of, value_of
from leadline.wire.glances import Glances
from leadline.wire.run import Run
from stages import WINDOW, Host, Models, partial, roll_out, version

SETTINGS = ModelSettings(
    name="m",
    window=100,
    horizon=100,
    grace=100,
    training=TrainingSettings(schedule=100, new_labels=1, on=["performance", "data-drift"], timeout=1),
    retrain_cooldown=1,
    alerts=AlertLimits(reference=0.8, margin=0, open_after=1, resolve_after=1, false_alarms="1 per 1ms"),
)
PROFILE = ReferenceProfile(
    20,
    [FeatureProfile("x", "numeric", [5, 9, 6], [1.0], []), FeatureProfile("score", "score", [4, 12, 4], [0.5], [])],
    {},
    calibration=Calibration([1, 1500], [10, 10], [[1.0, 8.0]], [[0.0, 20.0, 9.0, 10.0]]),
)
MODELS = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS, PROFILE)})

PAIRS = [(0.9, 1.0, 1), (0.2, 0.0, 0), (0.6, 0.0, 1)]
COUNTS = JoinCounts("m", 0, 1, 0, *range(16))
TIME = JoinCounts("m", -1, 1, 1000, *range(17))
DRIFT = DriftReport(
    model="m",
    model_version="v1",
    window_start=0,
    window_end=100,
    feature="score",
    kind="score",
    method="psi+chi2",
    statistic=0.3,
    threshold=0.1,
    p_value=0.0,
    drifted=True,
    n=9,
    reference_n=9,
    revision=1,
    as_of=0,
)
PARTIALS = [partial(PAIRS, as_of=100), partial(PAIRS, task="regression"), partial([]), COUNTS]
PROFILES = [
    WindowProfile(
        model="m",
        model_version="v1",
        window_start=0,
        window_end=100,
        source_partition=0,
        revision=1,
        as_of=0,
        closed=True,
        predictions=3,
        features=[FeatureCounts("x", [1, 1, 1]), FeatureCounts("score", [3, 0, 0])],
    )
]
ALERT = Alert(
    alert_id="a",
    kind="performance",
    severity="critical",
    state="opened",
    model="m",
    model_version="v1",
    segment="*",
    window_start=0,
    window_end=100,
    revision=1,
    evidence={"metric": "accuracy"},
    runbook="",
)
WATCHED = [
    Command("c1", "silence", "m", "ada", "known", {"kind": "performance", "for": "1d", "segment": "x"}, 0),
    Command("c2", "acknowledge", "m", "ada", "I look", {"alert_id": "a"}, 0),
]

SPOILT = replace(ALERT, alert_id="p", kind="pipeline")
LATER = replace(TIME, revision=2, as_of=5000, outcomes_used=500)
COMMAND = Command("c", RETRAIN, "m", "ada", "why", {"force": "true"}, 0)
ROLLED_OUT = Table()
roll_out(ROLLED_OUT, "m", "v1", arrival_ms=-1)
TRAINING = Training("r", "m", "started", 1, {"0": 5}, "", "", "t", 0)

WHOLE = st.sampled_from([0, 1, -1, 7, 5000, 2**31 - 1, 2**40, 2**53, 2**62, 2**63 - 1, -(2**63)]) | st.integers(
    -(2**63), 2**63 - 1
)
SMALL = st.sampled_from([0, 1, -1, 7, 5000, 2**31 - 1, -(2**31)])
SUM = st.sampled_from([0, -1, 10**12, 2**126, 2**127, -(2**127), 2**2000])
TEXT = st.sampled_from(["", "gate", "promote", "m", "v1", "v2", "*", "x", "score", "sealed", "regression", "\0", "odd"])
FLOAT = st.floats() | st.sampled_from([1.7976931348623157e308, 5e-324])
OF = {
    list[str]: st.lists(TEXT, max_size=3),
    str: TEXT,
    int: WHOLE,
    float: FLOAT,
    bool: st.booleans(),
    float | None: st.none() | FLOAT,
    Metric | None: st.none() | st.builds(Metric, FLOAT, st.none() | FLOAT, st.none() | FLOAT),
    list[int]: st.lists(WHOLE | st.integers(0, 2047), max_size=5),
    dict[str, str]: st.dictionaries(TEXT, TEXT, max_size=3),
    dict[str, int]: st.dictionaries(TEXT, WHOLE, max_size=3),
    list[FinalValue]: st.lists(
        st.builds(
            FinalValue, TEXT, st.none() | FLOAT, st.none() | FLOAT, st.integers(0, 99), TEXT, st.none() | FLOAT, TEXT
        ),
        max_size=3,
    ),
    dict[str, float]: st.dictionaries(TEXT, FLOAT, max_size=3),
    list[Check]: st.lists(st.builds(Check, TEXT, TEXT, st.none() | FLOAT, st.none() | FLOAT, TEXT, TEXT), max_size=3),
    list[MaturedWindow]: st.lists(st.builds(MaturedWindow, TEXT, WHOLE, WHOLE), max_size=3),
    list[FeatureCounts]: st.lists(st.builds(FeatureCounts, TEXT, st.lists(WHOLE, max_size=5)), max_size=3),
}
OF[int | None] = st.none() | WHOLE
OF[list[float]] = st.lists(FLOAT, max_size=3)
OF[str | None] = st.none() | TEXT
OF[dict[str, dict[str, int]]] = st.dictionaries(TEXT, OF[dict[str, int]], max_size=3)
OF[list[StageHealth]] = OF[list[StageTrouble]] = st.just([])
OF[list[VersionHealth]] = st.lists(st.builds(VersionHealth, TEXT, TEXT, TEXT, WHOLE, WHOLE, WHOLE, FLOAT), max_size=3)
OF[PairCounts] = st.builds(
    PairCounts, *[WHOLE] * 6, *[st.sampled_from([0, -1, 10**12, 2**110])] * 2, OF[list[int]], OF[list[int]]
)
OF[PairCounts | None] = st.none() | OF[PairCounts]
OF[MatureCounts | None] = st.none() | st.builds(
    MatureCounts, *[WHOLE] * 7, *[st.sampled_from([0, -1, 10**12, 2**110])] * 2
)
BINS = st.lists(SMALL | st.integers(0, 2047), max_size=5)
NAMED = {"source_partition": SMALL, "score_bins": BINS, "prediction_bins": BINS}


def values_of(field):
    return SUM if field.name.endswith("_sum") else NAMED.get(field.name, OF[field.type])


@st.composite
def hostile(draw, good):
    """One of the good records with some of its fields replaced by anything that the schema takes."""
    record = draw(st.sampled_from(good))
    chosen = draw(st.lists(st.sampled_from(fields(record)), max_size=4, unique_by=lambda field: field.name))
    return replace(record, **{field.name: draw(values_of(field)) for field in chosen})


def run_of(topic, records, first):
    offsets = list(range(first, first + len(records)))
    values = [value_of(record) for record in records]
    return Run(
        topic,
        0,
        offsets,
        [0] * len(offsets),
        [key_of(topic, record) for record in records],
        values,
        [()] * len(offsets),
    )


def rollouts(store):
    return Rollouts(store, MODELS, Deployments(Table()), "")


REQUEST = RetrainRequest("r", "m", "v1", 0, "worse", "a", {})
CANDIDATE = Candidate("m", "v2", "v1", "r", "", "trainer", {"auc": 0.9}, 0)
VERDICT = Verdict(
    "g", "m", "v2", "v1", "gate", "promote", [Check("auc", "*", 0.9, 0.8, "passed", "")], "better", "", "", 0
)
ROLLED_BACK = replace(VERDICT, at="canary", verdict="roll-back", cause="r1")
COMMANDS = [
    Command("c", kind, "m", "ann", "why", {"version": "v2"}, 0, "ab" * 32, "cd" * 64 * (kind == "reject"))
    for kind in ("promote", "approve", "reject")
]
STARTED = [
    Command("p", "promote", "m", "ann", "why", {"version": "v1"}, 0),
    Command("s", "start", "m", "ann", "why", {"version": "v2", "mode": "ab", "shares": "v2=0.5"}, 0),
    *(Command(kind, kind, "m", "ann", "why", {}, 0) for kind in ("pause", "resume", "abort", "roll-back")),
]
COUNTED = PairCounts(40, 5, 5, 5, 1, 1, 40 * 10**12, 41 * 10**12)
PAIR = PairPartial("m", "v1", "v2", "*", 0, 100, 0, 1.0, 1, 300, "mature", "binary", COUNTED, COUNTED)
TALLY = [0] * (len(LOSS_GRID) - 2)
GRID = replace(COUNTED, lower=[20 * ONE, 20 * ONE, *TALLY], upper=[10 * ONE, 30 * ONE, *TALLY])
ESTIMATED = replace(
    WINDOW, window_start=10_000, window_end=10_100, estimated_error=0.01, estimated_mae=Metric(1.0, 0.9, 1.1)
)
PAIRED = [PAIR, replace(PAIR, segment="x"), replace(PAIR, task="regression", counts=GRID, mature=GRID)]
SAID = prediction("r", features=[0.5])
SHADOW = replace(SAID, model_version="v2", role="shadow", sample=0.5)
INPUTS = Signature("s", ["x"], [], {})
JOINED = Models({"m": SETTINGS}, {("m", each): version(SETTINGS, PROFILE, each, INPUTS) for each in ("v1", "v2")})


def join(store):
    """The join with a prediction that waits for its label."""
    made = Join(0, store, JOINED)
    if store.get(JoinKeys.PROGRESS) is None:
        made.on_batch(decode(run_of("predictions", [SAID], 0), 1 << 20)[0])
    return made


def with_rollout(store, workers=None):
    """The stage with a rollout under way."""
    models = Models({"m": SETTINGS}, MODELS.versions | {("m", "v2"): version(SETTINGS, PROFILE, "v2")})
    made = Rollouts(store, models, Deployments(Table()), "", workers)
    if not any(True for _ in store.scan(b"u", b"v")):
        made.on_batch(decode(run_of("commands", STARTED[:2], 0), 1 << 20)[0])
    return made


STAGES = [
    ("window-partials", PARTIALS, lambda store: Performance(store, MODELS)),
    ("window-profiles", PROFILES, lambda store: Drift(store, MODELS)),
    ("metrics", [WINDOW, TIME], lambda store: Alerting(store, MODELS, Deployments(Table()))),
    ("commands", WATCHED, lambda store: Alerting(store, MODELS, Deployments(Table()))),
    ("drift", [DRIFT], lambda store: Alerting(store, MODELS, Deployments(Table()))),
    ("alerts", [ALERT, SPOILT], lambda store: Retraining(store, MODELS, Deployments(ROLLED_OUT))),
    ("metrics", [WINDOW, TIME, LATER], lambda store: Retraining(store, MODELS, Deployments(ROLLED_OUT))),
    ("commands", [COMMAND], lambda store: Retraining(store, MODELS, Deployments(ROLLED_OUT))),
    ("trainings", [TRAINING], lambda store: Retraining(store, MODELS, Deployments(ROLLED_OUT))),
    ("retrain-requests", [REQUEST], rollouts),
    ("candidates", [CANDIDATE], rollouts),
    ("verdicts", [VERDICT], rollouts),
    ("verdicts", [ROLLED_BACK], lambda store: Alerting(store, MODELS, Deployments(Table()))),
    ("pair-partials", PAIRED, with_rollout),
    (
        "metrics",
        [ESTIMATED, replace(ESTIMATED, model_version="v2"), replace(ESTIMATED, segment="x"), TIME],
        with_rollout,
    ),
    ("predictions", [SAID, SHADOW], join),
    ("shadow-predictions", [SAID, SHADOW], join),
    ("outcomes", [Outcome("r", 1.0, 0)], join),
    ("commands", STARTED, with_rollout),
    ("commands", COMMANDS, rollouts),
]


@pytest.mark.parametrize(("topic", "good", "make"), STAGES, ids=[topic for topic, _, _ in STAGES])
@given(data=st.data())
@settings(max_examples=200)
def test_no_record_stops_a_stage(topic, good, make, data):
    host = Host(make, fresh=True)
    for first in range(0, 40, 10):
        records = data.draw(st.lists(hostile(good), min_size=1, max_size=6))
        batch, letters = decode(run_of(topic, records, first), 1 << 20)
        assert len(batch) + len(letters) == len(records)
        for emitted in host.feed(batch):
            value_of(emitted)


def not_finite(field, value):
    """A value of a field in which numbers are not finite; None where it holds none."""
    made = {
        float: value,
        float | None: value,
        Metric | None: Metric(value, value, value),
        dict[str, float]: {"auc": value},
        list[Check]: [Check("auc", "*", value, value, "passed", "")],
        list[FinalValue]: [FinalValue("accuracy", value, value, 9, "", value, "")],
    }
    return made.get(field.type)


def records_not_finite(good):
    """Each good record with each of its numbers not finite, or nearly so, as it is otherwise, and with each of its words unknown."""
    for record in good:
        for field in fields(record):
            for value in (math.inf, -math.inf, math.nan, 1.7976931348623157e308):
                made = not_finite(field, value)
                if made is not None:
                    bad = replace(record, **{field.name: made})
                    yield bad
                    yield from (replace(bad, **{each.name: "odd"}) for each in fields(record) if each.type is str)


@pytest.mark.parametrize(("topic", "good", "make"), STAGES, ids=[topic for topic, _, _ in STAGES])
def test_no_number_that_is_not_finite_is_kept(topic, good, make):
    """JSON has none: what is written as null cannot be read again."""
    for record in records_not_finite(good):
        host = Host(make, fresh=True)
        for first in range(2):
            host.feed(decode(run_of(topic, [record], first), 1 << 20)[0])
            for _, value in host.store.scan(b"\x01", b"\xff"):
                if value[:1] in b"[{":
                    json.loads(value, parse_constant=lambda name: pytest.fail(f"{name} is kept"))


HEALTH = WorkerHealth(
    "w", "1", "running", 0, 50_000, [], [], {}, [], {}, asked={"m": 1000}, refused={"m": {"late": 600}},
    scored=[VersionHealth("m", each, "shadow", 1000, 500 * (each == "v2"), 10, 1.0) for each in ("v1", "v2")],
)  # fmt: skip


@given(data=st.data())
@settings(max_examples=200)
def test_nothing_that_a_worker_tells_stops_a_stage(data):
    workers = Table()
    alerting = Host(lambda store: Alerting(store, MODELS, Deployments(Table()), workers), fresh=True)
    rollout = Host(lambda store: with_rollout(store, workers), fresh=True)
    alerting.feed(decode(run_of("metrics", [WINDOW], 0), 1 << 20)[0])
    for at_ms in (60_000, 180_000):
        records = data.draw(st.lists(hostile([HEALTH]), min_size=1, max_size=4))
        workers.apply(decode(run_of("workers", records, 0), 1 << 20)[0])
        for emitted in alerting.pass_time(at_ms) + rollout.pass_time(at_ms, *READS):
            value_of(emitted)


@given(data=st.data())
@settings(max_examples=200)
def test_a_glance_at_a_record_sees_what_reading_it_does_and_leaves_what_is_broken_to_others(data):
    """Retraining glances at windows: alerting, which reads them whole, makes the dead letters. What it decides is the same."""
    read, glanced = (Host(lambda store: Retraining(store, MODELS, Deployments(ROLLED_OUT))) for _ in range(2))
    for first in range(0, 40, 10):
        run = run_of(
            "metrics", data.draw(st.lists(hostile([WINDOW, WINDOW, TIME, LATER]), min_size=1, max_size=6)), first
        )
        batch, letters = decode(run, 1 << 20)
        some, none = decode(run, 1 << 20, None, Glances(["WindowMetrics"]))
        windows = [(at, each.model, each.as_of) for at, each in zip(batch.offsets, batch.records, strict=True)
                   if isinstance(each, WindowMetrics)]  # fmt: skip
        assert (some.glances, letters, none) == (windows, [], [])
        overall, _ = decode(run, 1 << 20, None, Glances(["WindowMetrics"], but_overall=True))
        whole = [each for each in batch.records if not isinstance(each, WindowMetrics) or each.segment == "*"]
        assert (list(map(repr, overall.records)), len(overall.glances)) == (
            list(map(repr, whole)),
            len(run) - len(whole),
        )
        assert (some.last_offset, some.arrival_max_ms) == (batch.last_offset, batch.arrival_max_ms)
        assert read.feed(batch) == glanced.feed(some)
        assert list(read.store.scan(b"\x01", b"\xff")) == list(glanced.store.scan(b"\x01", b"\xff"))
        at, cut = data.draw(st.integers(0, len(run) - 1)), data.draw(st.integers(0, 60))
        if isinstance(batch.records[at], WindowMetrics):
            run.values[at] = run.values[at][:cut] + data.draw(st.sampled_from([b"", b"\xff" * 20]))
            broken, letters = decode(run, 1 << 20, None, Glances(["WindowMetrics"]))
            assert len(letters) == (cut < 10), "what names another schema, or none, is read"
            assert len(broken.records) == len(some.records)


@pytest.mark.parametrize(("topic", "good", "make"), STAGES[:-1], ids=[topic for topic, _, _ in STAGES[:-1]])
def test_the_good_ones_pass_and_are_told_of(topic, good, make):
    batch, letters = decode(run_of(topic, good, 0), 1 << 20)
    assert not letters
    waits = (
        topic == "trainings"
        or (make is rollouts and topic != "commands")
        or (make is with_rollout and topic == "metrics")
    )
    if not waits:  # those speak when something else comes
        assert Host(make).feed(batch)


@given(data=st.data())
@settings(max_examples=100)
def test_no_record_stops_the_page(data):
    found = Collected(SETTINGS, "*")
    for topic, good in (
        ("metrics", [WINDOW, TIME]),
        ("window-partials", PARTIALS),
        ("drift", [DRIFT]),
        ("alerts", [ALERT]),
    ):
        records = data.draw(st.lists(hostile(good), min_size=1, max_size=6))
        for record in decode(run_of(topic, records, 0), 1 << 20)[0].records:
            found.take(record)
    told = content(found, {"v1": PROFILE})
    json.loads(as_json(told), parse_constant=lambda name: pytest.fail(name))
    assert "nan" not in page(told).lower()


SCORED = {"prediction_bins": [7, 2055], "prediction_counts": [1, 2]}
BAD_PARTIALS = [
    ("unknown-state", {"state": "odd"}),
    ("unknown-state", {"task": "odd"}),
    ("counts-out-of-range", {"source_partition": -1}),
    ("counts-out-of-range", {"source_partition": 2**15}),
    ("counts-out-of-range", {"predictions": 2**47}),
    ("counts-out-of-range", {"revision": -1}),
    ("counts-out-of-range", {"score_sum": -(2**127)}),
    ("counts-out-of-range", {"squared_error_sum": -1}),
    ("counts-out-of-range", {"positives": [-1, 0, 1]}),
    ("counts-out-of-range", {"score_bins": [7, 5, 9]}),
    ("counts-out-of-range", {"score_bins": [0, 1, 2048]}),
    ("counts-out-of-range", {"score_bins": [-1, 1, 2047]}),
    ("counts-out-of-range", {"prediction_bins": [7, 4096]}),
    ("counts-out-of-range", SCORED | {"prediction_counts": [3, -1]}),
    ("counts-disagree", {"positives": [1]}),
    ("counts-disagree", {"positives": [9, 0, 0]}),
    ("counts-disagree", {"tp": 9}),
    ("counts-disagree", {"expired": 1}),
    ("counts-disagree", {"prediction_bins": [7]}),
    ("counts-disagree", SCORED | {"prediction_counts": [2, 2]}),
]


def test_a_partial_with_counts_of_all_predictions_is_taken():
    record = replace(PARTIALS[0], **SCORED)
    batch, letters = decode(run_of("window-partials", [record], 0), 1 << 20)
    assert (batch.records, letters) == ([record], [])


@pytest.mark.parametrize(("reason", "changed"), BAD_PARTIALS)
def test_a_partial_that_cannot_be_is_a_dead_letter_with_its_reason(reason, changed):
    records = [PARTIALS[0], replace(PARTIALS[0], **changed), COUNTS]
    batch, [letter] = decode(run_of("window-partials", records, 0), 1 << 20)
    assert batch.records == [records[0], COUNTS]
    assert (letter.offset, letter.reason) == (1, reason)


def test_counts_that_sum_beyond_64_bits_are_dead_letters():
    records = [replace(COUNTS, matched=2**47), replace(COUNTS, source_partition=-1), COUNTS]
    batch, letters = decode(run_of("window-partials", records, 0), 1 << 20)
    assert batch.records == [COUNTS]
    assert [letter.reason for letter in letters] == ["counts-out-of-range"] * 2


def test_auc_of_more_pairs_than_64_bits_can_count():
    few, many = ([10, 30], [30, 10]), ([10 * 2**33, 30 * 2**33], [30 * 2**33, 10 * 2**33])
    (area, error), (large_area, large_error) = (auc(np.array(p), np.array(n)) for p, n in (few, many))
    assert (large_area.value, large_error) == (area.value, error)
