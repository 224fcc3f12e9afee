"""The printed contract is a valid AsyncAPI document, and says what the topic table and the schemas say."""

import hashlib
import json
import shutil
import subprocess
import tarfile

import fastavro
import pytest
from jsonschema.validators import validator_for

import naive_avro
from leadline.wire.asyncapi import document
from leadline.wire.codec import read
from leadline.wire.json_form import read_json
from leadline.wire.schemas import schema
from leadline.wire.topics import BY_NAME, JSON_TOPICS, TOPICS

SPECS = "@asyncapi/specs@6.11.1"
SHA256 = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"


@pytest.fixture(scope="module")
def contract():
    return json.loads(json.dumps(document("leadline", "1.2.3")))


def follow(contract, ref):
    assert ref.startswith("#/")
    for part in ref[2:].split("/"):
        contract = contract[part]
    return contract


def refs(part):
    if isinstance(part, dict):
        for key, value in part.items():
            yield from [value] if key == "$ref" else refs(value)
    elif isinstance(part, list):
        for each in part:
            yield from refs(each)


def test_every_topic_is_a_channel_with_its_messages(contract):
    assert {c["address"] for c in contract["channels"].values()} == {f"leadline.{topic.name}" for topic in TOPICS}
    for topic in TOPICS:
        assert tuple(contract["channels"][topic.name]["messages"]) == (topic.schemas or ("DeadLetter",))
    actions = {name: operation["action"] for name, operation in contract["operations"].items()}
    assert {name for name, action in actions.items() if action == "send"} == {
        "send-prediction-requests",
        "send-outcomes",
    }


def test_every_channel_says_its_key_and_what_decides_the_partition(contract):
    said = {name: channel["description"] for name, channel in contract["channels"].items()}
    assert "Key: [model, model_version, window_start, feature, finding]. Partition by: model." in said["drift"]
    assert '["counts", model] (JoinCounts)' in said["metrics"]
    assert said["retrain-requests"].endswith("Key: model. Values are in Avro single-object encoding.")
    assert said["dead-letters"].endswith("Key: as it was.")
    assert said["outcomes"].endswith("encoding. Plain JSON and Confluent's wire format are accepted.")


def test_a_channel_says_the_form_of_its_values():
    said = {name: channel["description"] for name, channel in document("p", "1", "confluent")["channels"].items()}
    assert said["alerts"].endswith("Values are in Confluent's wire format; the subject is p.alerts-value.")
    assert said["window-partials"].endswith("Values are in Avro single-object encoding.")
    assert "Values are JSON" in document("p", "1", "json")["channels"]["predictions"]["description"]
    assert "Values are" not in said["dead-letters"]


def test_every_reference_leads_somewhere(contract):
    found = list(refs(contract))
    assert len(found) > len(TOPICS)
    assert all(follow(contract, ref) for ref in found)


def test_payloads_are_the_schemas_that_are_written(contract):
    for name, message in contract["components"]["messages"].items():
        if name != "DeadLetter":
            assert message["payload"]["schema"] == schema(name)
            fastavro.parse_schema(message["payload"]["schema"])


def test_every_example_is_a_record_that_a_reader_takes_by_its_fingerprint(contract):
    for topic in TOPICS:
        for name in topic.schemas:
            message = contract["components"]["messages"][name]
            [example] = message["examples"]
            head = bytes.fromhex(message["x-single-object-head"])
            assert head[:2] == b"\xc3\x01"
            assert head[2:][::-1].hex() == message["x-fingerprint"]
            made = read(topic.name, naive_avro.value(message, example["payload"]))
            assert type(made).__name__ == name
            assert all(getattr(made, field) is not None for field in ("model", "event_time") if hasattr(made, field))


def test_examples_of_topics_that_take_json_are_taken_as_json(contract):
    for topic in JSON_TOPICS:
        [name] = BY_NAME[topic].schemas
        payload = contract["components"]["messages"][name]["examples"][0]["payload"]
        assert read_json(name, json.dumps(payload).encode()) == payload


@pytest.mark.skipif(shutil.which("npm") is None, reason="the specification's JSON schema comes from npm")
def test_the_specification_accepts_it(contract, tmp_path):
    subprocess.run(["npm", "pack", "--silent", SPECS], cwd=tmp_path, check=True, timeout=120, stdout=subprocess.PIPE)
    [package] = tmp_path.glob("*.tgz")
    assert hashlib.sha256(package.read_bytes()).hexdigest() == SHA256
    with tarfile.open(package) as files:
        rules = json.load(files.extractfile("package/schemas/3.0.0.json"))
    valid = validator_for(rules)(rules)
    assert not [error.message for error in valid.iter_errors(contract)]
    contract["operations"]["send-outcomes"]["action"] = "throw"
    assert list(valid.iter_errors(contract))
