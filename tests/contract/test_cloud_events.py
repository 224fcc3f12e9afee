"""Every decision is a CloudEvent, as the SDK of CloudEvents reads it from Kafka, and the same one however often it is written."""

from datetime import UTC, datetime

import numpy as np
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings

from any_records import records
from leadline.core.processor import Output
from leadline.core.release.audit import DECISIONS
from leadline.kafka.sender import Sender
from leadline.records import Alert, Command, Rollout
from leadline.settings import load_settings
from leadline.wire.cloud_events import headers_of
from leadline.wire.codec import WIRE
from leadline.wire.topics import BY_NAME, TOPICS
from leadline.wire.writing import wire_of

NAMES = {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "partitionkey"}
AT = 1_790_000_000_123


def event(topic, record, wire=WIRE, key=b"m"):
    """A record as its sender sends it, read by the SDK, which checks what a CloudEvent has to have."""
    output = Output(topic, records=[record])
    [headers] = headers_of(output, "leadline", wire.content_type)
    assert len(dict(headers)) == len(headers)
    [value] = wire.encode(output)
    return from_binary(KafkaMessage(dict(headers), key, value), JSONFormat())


@pytest.mark.parametrize("topic", DECISIONS)
def test_the_sdk_takes_every_decision(topic):
    [name] = BY_NAME[topic].schemas

    @given(records(name))
    @settings(max_examples=25)
    def check(record):
        read = event(topic, record)
        assert set(read.get_attributes()) <= NAMES
        assert read.get_specversion() == "1.0"
        assert read.get_subject() == (record.model or None)
        again = event(topic, record, wire_of(load_settings(format="json"), {}))
        assert (read.get_id(), read.get_source(), read.get_type()) == (
            again.get_id(),
            again.get_source(),
            again.get_type(),
        )

    check()


def test_what_the_headers_say():
    rollout = Rollout("delays", "v2", AT, "ann", "better")
    read = event("rollouts", rollout)
    assert (read.get_source(), read.get_type(), read.get_subject()) == (
        "/leadline/leadline",
        "leadline.rollout",
        "delays",
    )
    assert read.get_time() == datetime.fromtimestamp(AT / 1000, UTC)
    assert read.get_datacontenttype() == "application/avro"
    as_json = event("rollouts", rollout, wire_of(load_settings(format="json"), {}))
    assert (as_json.get_datacontenttype(), as_json.get_data()["champion"]) == ("application/json", "v2")


def test_another_record_or_topic_is_another_event():
    one, other = Rollout("m", "v2", AT, "ann", ""), Rollout("m", "v2", AT, "ann", "", revision=1)
    assert len({event("rollouts", each).get_id() for each in (one, other, one)}) == 2


def test_commands_stay_in_avro_and_say_so():
    wire = wire_of(load_settings(format="json"), {})
    asked = Command("c1", "promote", "m", "ann", "", {}, AT)
    assert event("commands", asked, wire).get_datacontenttype() == "application/avro"


def test_what_is_no_decision_has_no_headers():
    for topic in TOPICS:
        assert (headers_of(Output(topic.name), "p") is None) == (topic.name not in DECISIONS)


def test_a_sender_adds_them_to_the_arrival_time():
    alert = Alert("a1", "performance", "warning", "opened", "m", "v1", "*", 0, 1, 1, {}, "", at=AT)
    output = Output("alerts", records=[alert], arrival_ms=np.array([7]))
    [headers] = Sender(None, "p", pass_on_arrival=True)._headers(output)
    assert headers[0] == ("leadline-arrival-ms", b"7")
    assert dict(headers)["ce_type"] == b"leadline.alert"
    assert dict(headers)["ce_time"] == b"2026-09-21T14:13:20.123Z"
