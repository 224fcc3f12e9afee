"""Every record in every form is read by the one decoder, alone and as columns, in topics that hold all forms at once."""

import io
import json
import math

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any_records import records
from factories import prediction
from leadline.core.models import Signature, Version
from leadline.core.processor import Output
from leadline.records import LabeledPrediction, Outcome, PredictionRequest
from leadline.settings import SettingsError, load_settings
from leadline.wire import registered
from leadline.wire.codec import decode, encode, key_of, read, value_of
from leadline.wire.decoding import FEW_REQUESTS
from leadline.wire.forms import to_dict
from leadline.wire.registered import MAGIC, Known, schema_of, start_of
from leadline.wire.run import Run
from leadline.wire.schemas import released
from leadline.wire.topics import BY_NAME, JSON_TOPICS, TOPICS
from leadline.wire.writing import wire_of

REGISTRY = "http://registry:8081"
IDS = {topic.name: number for number, topic in enumerate(TOPICS, 1) if topic.records}
FORMS = {
    "avro": load_settings(),
    "confluent": load_settings(format="confluent", schema_registry=REGISTRY),
    "json": load_settings(format="json"),
}
SIGNATURE = Signature.of(["age", "sum"], ["land"], {"land": ["de", "fr"]})
ALL = [(topic.name, name) for topic in TOPICS for name in topic.schemas]
LIMIT = 1 << 20


class Served:
    def version(self, model, version):
        return Version(None, version, SIGNATURE, None) if (model, version) == ("m", "v1") else None


WIRES = {name: wire_of(chosen, IDS, Served()) for name, chosen in FORMS.items()}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """What another process learned of its registry."""
    known = Known()
    monkeypatch.setattr(registered, "KNOWN", known)
    for topic, schema_id in IDS.items():
        known.learn(schema_id, json.dumps(schema_of(topic)))
    return known


def written(form, topic, record):
    [value] = WIRES[form].encode(Output(topic, records=[record]))
    return value


@pytest.mark.parametrize(("topic", "name"), ALL, ids=[f"{topic} {name}" for topic, name in ALL])
def test_every_record_comes_back_in_every_form(topic, name):
    @given(records(name))
    @settings(max_examples=25)
    def check(record):
        for form in FORMS:
            value = written(form, topic, record)
            if topic not in JSON_TOPICS:
                assert read(topic, value) == record
            is_ours = BY_NAME[topic].has_form
            assert value[:1] == {"confluent": MAGIC, "json": b"{"}.get(form if is_ours else "", b"\xc3")
            if form == "json" and is_ours:
                json.loads(value, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    check()


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS if topic.records])
def test_any_reader_of_avro_takes_the_body_by_the_registered_schema(topic):
    """The union too, as Confluent's deserializers read it: by the schema of the id, and nothing else."""

    @given(st.sampled_from(BY_NAME[topic].schemas).flatmap(records))
    @settings(max_examples=10)
    def check(record):
        name = type(record).__name__
        [value] = encode(Output(topic, records=[record]), lambda topic, name: start_of(topic, name, 7))
        assert value[:5] == b"\0\0\0\0\x07"
        whole = fastavro.parse_schema(plain(schema_of(topic)))
        stream = io.BytesIO(value[5:])
        assert fastavro.schemaless_reader(stream, whole) == to_dict(record)
        assert not stream.read()
        assert len(BY_NAME[topic].schemas) == 1 or value[5] == 2 * BY_NAME[topic].schemas.index(name)

    check()


def plain(part):
    if isinstance(part, list):
        return list(map(plain, part))
    if not isinstance(part, dict):
        return part
    return part["type"] if "logicalType" in part else {key: plain(value) for key, value in part.items()}


# -- columns ------------------------------------------------------------------------------------------------------------


def a_prediction(number):
    known = {"model": "m", "model_version": "v1", "signature": SIGNATURE.id} if number % 2 else {}
    return prediction(
        f"r{number}", 1000 * number, features=[1.5, math.nan, -1.0], categories=["é"], score=number / 7, **known
    )


def rows(batch):
    return [repr(row) for row in batch.columns.to_pylist(maps_as_pydicts="strict")]


def run_of(topic, pairs):
    keys, held = [key for key, _ in pairs], [value for _, value in pairs]
    return Run(topic, 0, list(range(len(pairs))), [5] * len(pairs), keys, held, [()] * len(pairs))


@pytest.mark.parametrize("topic", ["predictions", "labeled-predictions"])
@pytest.mark.parametrize("count", [1, 5, 50])
@pytest.mark.parametrize("order", [["avro"], ["confluent"], ["json"], ["avro", "confluent", "json"]], ids="-".join)
def test_columns_are_the_same_in_every_form_and_in_all_at_once(topic, count, order):
    made = [a_prediction(number) for number in range(count)]
    if topic == "labeled-predictions":
        made = [LabeledPrediction(each, 1.0, 7, None, 2) for each in made]
    keys = [key_of(topic, each) for each in made]
    default, _ = decode(run_of(topic, list(zip(keys, map(value_of, made), strict=True))), LIMIT)
    forms = [order[number % len(order)] for number in range(count)]
    batch, letters = decode(
        run_of(topic, [(key, written(f, topic, each)) for key, f, each in zip(keys, forms, made, strict=True)]), LIMIT
    )
    assert not letters
    assert rows(batch) == rows(default)
    assert batch.bodies == default.bodies
    for form in FORMS:
        output = Output(topic, keys, columns=default.columns)
        assert decode(run_of(topic, list(zip(keys, WIRES[form].encode(output), strict=True))), LIMIT)[0].bodies == (
            default.bodies
        )
        if topic == "labeled-predictions":  # as the join puts them out: each prediction with the bytes that it had
            bodies = [value_of(each.prediction)[10:] for each in made]
            tail = Output(topic, keys, columns=default.columns.drop_columns(["prediction"]), bodies=bodies)
            again, _ = decode(run_of(topic, list(zip(keys, WIRES[form].encode(tail), strict=True))), LIMIT)
            assert again.bodies == default.bodies


def test_json_has_features_by_name_or_by_place_and_no_nan():
    [named, placed] = [json.loads(written("json", "predictions", a_prediction(number))) for number in (1, 0)]
    assert named["features"] == {"age": 1.5, "sum": None, "land": -1.0}
    assert named["categories"] == {"land": "é"}
    assert named["event_time"] == "1970-01-01T00:00:01.000Z"
    assert placed["features"] == {"0": 1.5, "1": None, "2": -1.0}


def test_a_topic_of_two_classes_says_which_a_json_record_is():
    for value in (b"{}", b'{"record": "Alert"}', b'{"record": ["JoinCounts"]}'):
        with pytest.raises(ValueError, match="json-not-a-record: record names none of WindowMetrics, JoinCounts"):
            read("metrics", value)


def test_older_schemas_are_read_by_their_ids(known):
    for number, (name, older) in enumerate(released().values(), 1000):
        known.learn(number, json.dumps(older))
        [branch] = known.of(number).branches
        assert branch.name == name


# -- what others send ---------------------------------------------------------------------------------------------------

OWN_SCHEMA = {
    "type": "record", "name": "Ask", "namespace": "shop",
    "fields": [
        {"name": "request_id", "type": "string"},
        {"name": "model", "type": {"type": "enum", "name": "Which", "symbols": ["m", "n"]}},
        {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "more", "type": ["null", "string"], "default": None},
        {"name": "features", "type": {"type": "record", "name": "Basket", "fields": [
            {"name": "age", "type": "int"}, {"name": "sum", "type": ["null", "float"]},
        ]}},
        {"name": "categories", "type": {"type": "map", "values": ["null", "string"]}},
    ],
}  # fmt: skip
ASKED = {
    "request_id": "r1", "model": "m", "event_time": 1_790_000_000_123_456, "more": "x",
    "features": {"age": 40, "sum": None}, "categories": {"land": "de", "none": None},
}  # fmt: skip


def foreign(schema_id, written, body):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(plain(written)), body)
    return MAGIC + schema_id.to_bytes(4, "big") + stream.getvalue()


@pytest.mark.parametrize("times", [1, FEW_REQUESTS + 1])
def test_a_request_by_a_schema_of_its_senders_own(times, known):
    known.learn(500, json.dumps(OWN_SCHEMA))
    value = foreign(500, OWN_SCHEMA, ASKED)
    batch, letters = decode(run_of("prediction-requests", [(b"r1", value)] * times), LIMIT)
    assert not letters
    expected = PredictionRequest("r1", "m", 1_790_000_000_123, {"age": 40.0}, "", {"land": "de"})
    found = batch.records or [PredictionRequest(**row) for row in batch.columns.to_pylist(maps_as_pydicts="strict")]
    assert found == [expected] * times


def a_schema(**fields):
    made = [{"name": name, "type": kind} for name, kind in fields.items()]
    return {"type": "record", "name": "R", "fields": made}


ITSELF = a_schema(request_id="string", next=["null", "R"])
NOTHING = {"type": "record", "name": "N", "fields": []}
DEEP = "string"
for _ in range(60):
    DEEP = {"type": "array", "items": DEEP}
MANY_NULLS = a_schema(a={"type": "record", "name": "A0", "fields": []})
for depth in range(5):
    inside = [{"name": f"f{n}", "type": MANY_NULLS["fields"][0]["type"] if not n else f"A{depth}"} for n in range(10)]
    MANY_NULLS = a_schema(a={"type": "record", "name": f"A{depth + 1}", "fields": inside})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"string"', "its values are no records"),
        ("[]", "its values are no records"),
        ("{", "it is no Avro schema"),
        ('{"type": "record"}', "it is no Avro schema"),
        ("[" * 100_000, "it is no Avro schema"),
        (json.dumps(ITSELF), "it contains itself"),
        (json.dumps(a_schema(a={"type": "array", "items": "null"})), "items have no size"),
        (json.dumps(a_schema(a={"type": "array", "items": NOTHING})), "items have no size"),
        (json.dumps(a_schema(a=DEEP)), "more than 10000 parts, or nests deeper"),
        (json.dumps(MANY_NULLS), "more than 10000 parts, or nests deeper"),
    ],
)
def test_a_schema_that_would_be_dangerous_to_read_by_is_refused(text, says, known):
    known.learn(501, text)
    value = MAGIC + (501).to_bytes(4, "big") + b"\2" * 100_000
    _, [letter] = decode(run_of("outcomes", [(b"r1", value)]), LIMIT)
    assert letter.reason == "schema-not-usable"
    assert says in letter.detail


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (MAGIC, "unknown-schema", "no schema id"),
        (MAGIC + b"\0\0\xff\xff" + b"x", "schema-unknown", "schema id 65535: nobody asked a registry"),
        (foreign(502, a_schema(id="string"), {"id": "r1"}), "avro-not-a-record", "outcome is missing"),
        (foreign(502, a_schema(id="string"), {"id": "r1"})[:-1], "undecodable", "EOFError"),
        (foreign(502, a_schema(id="string"), {"id": "r1"}) + b"x", "undecodable", "1 bytes behind"),
        (MAGIC + IDS["metrics"].to_bytes(4, "big") + b"\0", "unknown-schema", "neither Outcome in Avro"),
        (MAGIC + IDS["metrics"].to_bytes(4, "big") + b"\4", "undecodable", "none of its records is named"),
        (MAGIC + IDS["metrics"].to_bytes(4, "big"), "undecodable", "none of its records is named"),
        (MAGIC + IDS["outcomes"].to_bytes(4, "big") + b"\4r", "undecodable", ""),
    ],
)
@pytest.mark.parametrize("good", [0, 40])
def test_hostile_values_in_confluents_format_say_why(value, reason, says, good, known):
    known.learn(502, json.dumps(a_schema(id="string")))
    fine = [(b"r2", written("avro", "outcomes", Outcome("r2", 1.0, 5)))] * good
    batch, [letter] = decode(run_of("outcomes", [*fine, (b"r1", value), *fine]), LIMIT)
    assert (letter.reason, len(batch)) == (reason, 2 * good)
    assert says in letter.detail


def test_a_record_behind_the_first_64_of_a_union_is_not_taken_for_another_one(known):
    union = [a_schema(id="string") | {"name": f"R{number}"} for number in range(70)]
    known.learn(503, json.dumps(union))
    _, [letter] = decode(
        run_of("outcomes", [(b"r1", MAGIC + (503).to_bytes(4, "big") + bytes([0x82, 1, 2, 97]))]), LIMIT
    )
    assert (letter.reason, "none of its records is named" in letter.detail) == ("undecodable", True)


def test_others_schemas_are_taken_on_the_topics_that_others_write_alone(known):
    known.learn(500, json.dumps(OWN_SCHEMA))
    _, [letter] = decode(run_of("rollouts", [(b"m", foreign(500, OWN_SCHEMA, ASKED))]), LIMIT)
    assert letter.reason == "unknown-schema"


def test_what_is_known_of_refused_ids_is_bounded():
    known = Known()
    for number in range(5000):
        known.refuse(number, "schema-unknown", "")
    assert len(known._refused) <= 1000


# -- settings -----------------------------------------------------------------------------------------------------------


def test_confluent_wants_a_registry(monkeypatch):
    monkeypatch.setenv("LEADLINE_FORMAT", "confluent")
    with pytest.raises(SettingsError, match="LEADLINE_SCHEMA_REGISTRY: name your registry's URL"):
        load_settings()


@pytest.mark.parametrize(
    "url", ["https://me:half/s3cret@host", "http://host/?token=s3cret", "ftp://me:s3cret@h", "s3cret"]
)
def test_a_registry_url_that_cannot_be_used_is_refused_and_not_repeated(url, monkeypatch):
    monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", url)
    with pytest.raises(SettingsError, match="schema_registry: write https://") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)
