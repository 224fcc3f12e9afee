"""The columnar codec against the reference, and both against hostile bytes."""

import io
import json
import math
import random
from dataclasses import asdict, replace

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import prediction
from leadline.core.processor import Output
from leadline.records import (
    Alert,
    Command,
    DriftReport,
    FeatureCounts,
    JoinCounts,
    Metric,
    Outcome,
    Prediction,
    PredictionRequest,
    RetrainRequest,
    Rollout,
    WindowMetrics,
    WindowPartial,
    WindowProfile,
)
from leadline.wire.codec import FEW_RECORDS, FEW_REQUESTS, MANY, decode, encode, key_of, value_of
from leadline.wire.dead_letters import REASON_HEADER, to_record
from leadline.wire.run import ARRIVAL_HEADER, Run
from leadline.wire.schemas import head, parsed

LIMIT = 1 << 20
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
TIMES = st.integers(-62_135_596_800_000, 253_402_300_799_999)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
REQUESTS = st.builds(
    PredictionRequest,
    IDS,
    TEXT,
    TIMES,
    st.dictionaries(TEXT, FLOATS, max_size=4),
    TEXT,
    st.dictionaries(TEXT, TEXT, max_size=3),
)
OUTCOMES = st.builds(Outcome, IDS, st.none() | FLOATS, TIMES) | st.builds(Outcome, IDS, st.none(), TIMES, TEXT)
PREDICTIONS = st.builds(
    Prediction, IDS, TEXT, TEXT, TEXT, TEXT, TIMES, TIMES, FLOATS, st.none() | st.integers(-1, 2), st.lists(FLOATS, max_size=4),
    TEXT, st.lists(TEXT, max_size=3), st.none() | st.integers(0, 2**40),
)  # fmt: skip
HOT = [("prediction-requests", REQUESTS), ("outcomes", OUTCOMES), ("predictions", PREDICTIONS)]
SUM = -(10**20) + 7
TALLIES = 30, 20, 10, 3, 4, 5, 6
PARTIAL = WindowPartial(
    "m", "v", "*", -10, 5, 1, 9, -3, "mature", "binary", *TALLIES, SUM, 0, 1, -1, 2**70, 127, 128, [1], [2], [3]
)
METRICS = WindowMetrics(
    "m",
    "v",
    "a=ü",
    0,
    1,
    2,
    3,
    "sealed",
    "binary",
    *range(8),
    0.5,
    Metric(0.5, 0.1, 0.9),
    Metric(1.0),
    *[None] * 10,
    None,
)
COLD = [
    ("window-partials", PARTIAL),
    ("window-partials", JoinCounts("", 0, 3, 4, *range(16))),
    ("metrics", JoinCounts("", -1, 3, 4, *range(16))),
    ("metrics", METRICS),
    (
        "window-profiles",
        WindowProfile(
            model="m",
            model_version="v",
            window_start=0,
            window_end=1,
            source_partition=2,
            revision=3,
            as_of=4,
            closed=True,
            predictions=5,
            features=[FeatureCounts("f", [1, 2]), FeatureCounts("score", [])],
        ),
    ),
    (
        "drift",
        DriftReport(
            model="m",
            model_version="v",
            window_start=0,
            window_end=1,
            feature="f",
            kind="numeric",
            method="psi",
            statistic=0.3,
            threshold=0.1,
            p_value=0.001,
            drifted=True,
            n=100,
            reference_n=1000,
            revision=2,
            as_of=3,
            finding="missing",
            own_windows=31,
            own_p_value=0.002,
            effect="missing 1 % -> 12 %; cohen-h 0.5",
        ),
    ),
    (
        "alerts",
        Alert(
            alert_id="id",
            kind="drift",
            severity="warning",
            state="opened",
            model="m",
            model_version="v",
            segment="*",
            window_start=0,
            window_end=1,
            revision=2,
            evidence={"psi f": "0.3"},
            runbook="",
        ),
    ),
    (
        "retrain-requests",
        RetrainRequest(
            retrain_id="id", model="m", model_version="v", event_time=5, cause="cause", alert_id="alert", evidence={}
        ),
    ),
    ("rollouts", Rollout("m", "v1", 5, "me", "first")),
]


def run_of(topic, pairs, headers=()):
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    return Run(topic, 0, list(range(10, 10 + len(pairs))), [5] * len(pairs), keys, values, [headers] * len(pairs))


def rows(batch):
    """The rows of a batch as dicts, whichever form they came in."""
    if batch.columns is None:
        return [asdict(record) for record in batch.records]
    return batch.columns.to_pylist(maps_as_pydicts="strict")


def reference(topic, value):
    return fastavro.schemaless_reader(io.BytesIO(value[10:]), parsed(MANY[topic]))


@pytest.mark.parametrize(("topic", "kind"), HOT, ids=[topic for topic, _ in HOT])
def test_columns_equal_the_reference_and_write_the_same_bytes(topic, kind):
    @given(st.lists(kind, min_size=1, max_size=20))
    @settings(max_examples=80)
    def check(records):
        pairs = [(key_of(topic, record), value_of(record)) for record in records]
        if topic == "prediction-requests":
            few, letters = decode(run_of(topic, pairs), LIMIT)
            assert (letters, few.columns) == ([], None)
            assert rows(few) == [reference(topic, value) for _, value in pairs]
            pairs *= FEW_REQUESTS + 1
        batch, letters = decode(run_of(topic, pairs), LIMIT)
        assert not letters
        assert batch.bodies == [value[10:] for _, value in pairs]
        assert rows(batch) == [reference(topic, value) for _, value in pairs]
        again = encode(Output(topic, [key for key, _ in pairs], 0, columns=batch.columns))
        assert [reference(topic, value) for value in again] == [reference(topic, value) for _, value in pairs]
        alone = [encode(Output(topic, [key], 0, columns=batch.columns.slice(i, 1))) for i, (key, _) in enumerate(pairs)]
        assert [value for one in alone for value in one] == again

    check()


@pytest.mark.parametrize(("topic", "record"), COLD, ids=[type(record).__name__ for _, record in COLD])
def test_records_come_back_as_they_were(topic, record):
    batch, letters = decode(run_of(topic, [(key_of(topic, record), value_of(record))]), LIMIT)
    assert not letters
    assert batch.records == [record]


def test_a_decimal_is_what_any_avro_reader_sees():
    from leadline.wire.schemas import schema

    values = fastavro.schemaless_reader(
        io.BytesIO(value_of(PARTIAL)[10:]), fastavro.parse_schema(schema("WindowPartial"))
    )
    assert int(values["score_sum"].scaleb(12)) == SUM


@pytest.mark.parametrize(("topic", "kind"), HOT, ids=[topic for topic, _ in HOT])
def test_hostile_bytes_become_rows_or_dead_letters(topic, kind):
    @given(st.lists(kind, min_size=1, max_size=8), st.randoms(use_true_random=False))
    @settings(max_examples=150)
    def check(records, rng):
        pairs = [(key_of(topic, record), mutated(value_of(record), rng)) for record in records]
        batch, letters = decode(run_of(topic, pairs), LIMIT)
        offsets = [int(offset) for offset in batch.offsets] + [letter.offset for letter in letters]
        assert sorted(offsets) == list(range(10, 10 + len(pairs)))
        assert len(batch) == len(rows(batch))
        assert batch.columns is None or len(batch) == len(batch.bodies)
        for letter in letters:
            assert (letter.key, letter.value) == pairs[letter.offset - 10]
            assert letter.reason

    check()


def mutated(value, rng):
    """The value with a byte changed, cut, added or put in, or as it was."""
    value = bytearray(value)
    for _ in range(rng.choice([0, 1, 1, 3])):
        match rng.randrange(4):
            case 0 if value:
                value[rng.randrange(len(value))] = rng.randrange(256)
            case 1:
                del value[rng.randrange(len(value) + 1) :]
            case 2:
                value += rng.randbytes(rng.randint(1, 4))
            case 3:
                at = rng.randrange(len(value) + 1)
                value[at:at] = rng.randbytes(1)
    return bytes(value)


GOOD = Outcome("r1", 1.0, 5)
ASKED = PredictionRequest("r1", "m", 5, {"a": 1.0})
ASKS = Command("c", "configure", "m", "ada", "to see", {}, 5)


@pytest.mark.parametrize(
    ("topic", "key", "value", "reason"),
    [
        ("outcomes", b"r1", None, "empty-value"),
        ("outcomes", b"r1", b"", "unknown-schema"),
        ("outcomes", b"r1", b"\xc3\x01" + bytes(8), "unknown-schema"),
        ("outcomes", b"r1", value_of(GOOD)[:-1], "undecodable"),
        ("outcomes", b"r1", value_of(GOOD) + b"\0", "trailing-bytes"),
        ("outcomes", b"r2", value_of(GOOD), "key-mismatch"),
        ("outcomes", None, value_of(GOOD), "key-mismatch"),
        ("outcomes", b"", value_of(Outcome("", 1.0, 5)), "request-id-empty"),
        ("outcomes", b"x" * 1001, value_of(Outcome("x" * 1001, 1.0, 5)), "request-id-too-long"),
        ("outcomes", b"r1", value_of(Outcome("r1", math.nan, 5)), "outcome-not-finite"),
        ("outcomes", b"r1", value_of(Outcome("r1", math.inf, 5)), "outcome-not-finite"),
        ("outcomes", b"r1", value_of(Outcome("r1", 1.0, 2**60)), "time-out-of-range"),
        ("outcomes", b"r1", b" " * (LIMIT + 1), "record-too-large"),
        ("outcomes", b"r1", b'{"request_id": "r1", "outcome_time": 5}', "json-not-a-record"),
        ("outcomes", b"r1", value_of(Outcome("r1", 1.0, 5, "yes")), "outcome-twice"),
        (
            "outcomes",
            b"r1",
            b'{"request_id": "r1", "outcome": 1, "outcome_time": 5, "class_name": "yes"}',
            "json-not-a-record",
        ),
        ("outcomes", b"r1", b'{"request_id": "r1", "outcome": [1], "outcome_time": 5}', "json-not-a-record"),
        ("outcomes", b"r1", b'{"request_id": "r1", "outcome": 1, "outcome_time": true}', "json-not-a-record"),
        (
            "outcomes",
            b"r1",
            b'{"request_id": "r1", "outcome": 1, "outcome_time": "2024-01-01T00:00:00"}',
            "json-not-a-record",
        ),
        ("outcomes", b"r1", b"{" * 100_000, "json-not-a-record"),
        ("outcomes", b"r1", b'{"request_id": "\\ud800", "outcome": 1, "outcome_time": 5}', "json-not-a-record"),
        ("outcomes", b"", b'{"request_id": "", "outcome": 1, "outcome_time": 5}', "request-id-empty"),
        (
            "prediction-requests",
            b"r1",
            b'{"request_id": "r1", "model": "m", "event_time": 5, "features": {"\\udc00": 1}}',
            "json-not-a-record",
        ),
        (
            "prediction-requests",
            b"r1",
            b'{"request_id": "r1", "model": "m", "event_time": 5, "features": {"\\udc00": "x"}}',
            "json-not-a-record",
        ),
        (
            "prediction-requests",
            b"r1",
            b'{"request_id": "r1", "model": "m", "event_time": 5, "features": []}',
            "json-not-a-record",
        ),
        ("outcomes", b"r1", value_of(PARTIAL), "unknown-schema"),
        (
            "prediction-requests",
            b"r1",
            head("PredictionRequest") + b"\x04r1\x02m\0\0" + b"\xfe" * 9 + b"\x01",
            "undecodable",
        ),
        ("prediction-requests", b"r1", value_of(ASKED) + b"\0", "trailing-bytes"),
        ("prediction-requests", b"r1", value_of(ASKED)[:-1], "undecodable"),
        ("prediction-requests", b"r1", value_of(ASKED).replace(b"\x04r1", b"\x04r\xff"), "undecodable"),
        ("prediction-requests", b"r2", value_of(ASKED), "key-mismatch"),
        ("prediction-requests", None, value_of(ASKED), "key-mismatch"),
        ("prediction-requests", b"", value_of(replace(ASKED, request_id="")), "request-id-empty"),
        ("prediction-requests", b"x" * 1001, value_of(replace(ASKED, request_id="x" * 1001)), "request-id-too-long"),
        ("prediction-requests", b"r1", value_of(replace(ASKED, event_time=2**60)), "time-out-of-range"),
        ("prediction-requests", b"r1", value_of(replace(ASKED, event_time=-(2**60))), "time-out-of-range"),
        ("prediction-requests", b"r1", None, "empty-value"),
        ("prediction-requests", b"r1", b" " * (LIMIT + 1), "record-too-large"),
        ("prediction-requests", b"r1", value_of(GOOD), "unknown-schema"),
        ("predictions", b"r1", b"{}", "json-not-a-record"),
        ("metrics", b"r1", b"{}", "json-not-a-record"),
        ("commands", b"n", value_of(ASKS), "key-mismatch"),
        ("commands", None, value_of(ASKS), "key-mismatch"),
        ("commands", b"m", value_of(replace(ASKS, command_id="")), "command-id-empty"),
        ("commands", b"m", b"{}", "json-not-a-record"),
    ],
)
@pytest.mark.parametrize("times", [1, FEW_REQUESTS + 1])
def test_what_cannot_be_used_says_why(topic, key, value, reason, times):
    good = {"outcomes": [(b"r1", value_of(GOOD))], "prediction-requests": [(b"r1", value_of(ASKED))]}.get(topic, [])
    good *= times
    batch, letters = decode(run_of(topic, [*good, (key, value), *good]), LIMIT)
    assert [letter.reason for letter in letters] == [reason]
    assert len(batch) == 2 * len(good)
    assert dict(to_record(letters[0], "leadline", "join")[2])[REASON_HEADER] == reason.encode()


def test_the_detail_of_a_dead_letter_is_short():
    text = json.dumps({"request_id": "r1", "model": "m", "event_time": 5, "features": {"x" * 100_000: "1"}})
    _, letters = decode(run_of("prediction-requests", [(b"r1", text.encode())]), LIMIT)
    assert len(letters[0].detail) <= 300


def test_a_score_that_is_not_finite():
    record = prediction("r1", model_version="v", score=math.nan, predicted_label=None, features=[math.nan])
    _, letters = decode(run_of("predictions", [(b"r1", value_of(record))]), LIMIT)
    assert [letter.reason for letter in letters] == ["score-not-finite"]


@pytest.mark.parametrize("times", [1, FEW_REQUESTS])
def test_json_rows_stand_in_log_order_beside_avro_ones(times):
    text = json.dumps(
        {
            "request_id": "ü",
            "model": "m",
            "event_time": "1969-12-31T23:59:59.5Z",
            "features": {"a": 1, "b": None},
            "more": 1,
        }
    )
    avro = PredictionRequest("r2", "m", 7, {"x": 2.0})
    pairs = [("ü".encode(), text.encode()), (b"r2", value_of(avro))] * times
    batch, letters = decode(run_of("prediction-requests", pairs), LIMIT)
    assert not letters
    assert [row["request_id"] for row in rows(batch)] == ["ü", "r2"] * times
    assert [row["event_time"] for row in rows(batch)] == [-500, 7] * times
    assert [row["features"] for row in rows(batch)] == [{"a": 1.0}, {"x": 2.0}] * times


@pytest.mark.parametrize("times", [1, FEW_REQUESTS + 1])
def test_legal_but_unusual_blocks_are_read(times):
    """A map written in two blocks, the first with its size in bytes, as some writers do."""
    body = b"\x04r1\x02m\0\x0e" + b"\x01\x14\x02a" + bytes(8) + b"\x02\x02b" + bytes(8) + b"\0" + b"\0"
    batch, letters = decode(run_of("prediction-requests", [(b"r1", head("PredictionRequest") + body)] * times), LIMIT)
    assert not letters
    assert [row["features"] for row in rows(batch)] == [{"a": 0.0, "b": 0.0}] * times


def test_arrival_and_clock():
    clock = [(ARRIVAL_HEADER, b"-77")]
    run = Run("outcomes", 0, [1, 2], [5, 6], [b"r1", b""], [value_of(GOOD), None], [[(ARRIVAL_HEADER, b"-99")], clock])
    batch, letters = decode(run, LIMIT)
    assert not letters
    assert (batch.arrival_ms.tolist(), batch.arrival_max_ms, batch.last_offset) == ([-99], -77, 2)


def test_an_arrival_header_that_is_no_number_is_passed_over():
    for said in (None, b"", b"soon", b"9" * 5000):
        batch, letters = decode(run_of("outcomes", [(b"r1", value_of(GOOD))], [(ARRIVAL_HEADER, said)]), LIMIT)
        assert not letters
        assert batch.arrival_ms.tolist() == [5]


def test_huge_claimed_counts_end_at_once():
    rng = random.Random(3)
    for name, topic in ((name, topic) for topic, name in MANY.items()):
        for _ in range(300):
            value = (
                head(name)
                + b"\x02a" * rng.randint(0, 6)
                + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"[: rng.randint(1, 9)]
                + rng.randbytes(rng.randint(0, 9))
            )
            for times in (1, FEW_RECORDS + 1, FEW_REQUESTS + 1):
                batch, letters = decode(run_of(topic, [(b"a", value)] * times), LIMIT)
                assert len(batch) + len(letters) == times


def test_nulls_and_slices_keep_their_rows():
    columns = pa.record_batch(
        {
            "request_id": ["a", "b", "c"],
            "outcome": pa.array([1.0, None, 0.0]),
            "class_name": pa.array([None, "yes", None]),
            "outcome_time": pa.array(np.array([1, 2, 3])),
        }
    ).slice(1, 2)
    batch, _ = decode(
        run_of(
            "outcomes",
            list(zip([b"b", b"c"], encode(Output("outcomes", [b"b", b"c"], 0, columns=columns)), strict=True)),
        ),
        LIMIT,
    )
    assert batch.columns["outcome"].to_pylist() == [None, 0.0]
