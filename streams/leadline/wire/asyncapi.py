"""The topic table and the schemas as an AsyncAPI 3.0 document, for users of any language."""

from typing import Any

from leadline.wire.examples import example
from leadline.wire.schemas import head, schema
from leadline.wire.topics import JSON_TOPICS, TOPICS, Topic

_AVRO = "application/vnd.apache.avro;version=1.9.0"


_FORMS = {
    "avro": "Values are in Avro single-object encoding.",
    "confluent": "Values are in Confluent's wire format; the subject is {}-value.",
    "json": "Values are JSON: the fields of the schema by name, times in ISO-8601, features of predictions as objects.",
}


def document(prefix: str, version: str, form: str = "avro") -> dict[str, Any]:
    """What an application can send to Leadline and receive from it. ``form``: of the topics that people read (``LEADLINE_FORMAT``).

    >>> document("leadline", "1")["operations"]["send-outcomes"]["channel"]
    {'$ref': '#/channels/outcomes'}
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leadline",
            "version": version,
            "description": "Produce requests and outcomes; consume predictions, live metrics, drift, alerts and retrain requests. "
            "Each channel says the form of its values. In Avro single-object encoding the first ten bytes of a value are "
            "x-single-object-head of its message: two of marker, eight of the schema's CRC-64-AVRO fingerprint, little endian; "
            "x-fingerprint is that number. Examples are plain JSON. "
            "Decisions carry the headers of CloudEvents 1.0 (ce_type, ce_id, ...). "
            "Keys are UTF-8; a key in brackets is a JSON array without spaces. "
            "The partition is the murmur2 hash of the key, or of what the channel names.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/avro",
        "channels": {topic.name: _channel(topic, prefix, form) for topic in TOPICS},
        "operations": dict(_operation(topic) for topic in TOPICS),
        "components": {"messages": {name: _message(name) for name in _names()} | {"DeadLetter": _dead_letter()}},
    }


def _names() -> list[str]:
    return sorted({name for topic in TOPICS for name in topic.schemas})


def _channel(topic: Topic, prefix: str, form: str) -> dict[str, Any]:
    names = topic.schemas or ("DeadLetter",)
    partition = f" Partition by: {topic.route.words}." if topic.route else ""
    name = f"{prefix}.{topic.name}"
    kafka = {
        "topic": name,
        "topicConfiguration": {"cleanup.policy": [topic.cleanup]},
        "bindingVersion": "0.5.0",
    }
    said = f" {_FORMS[form if topic.has_form else 'avro'].format(name)}" if topic.records else ""
    also = " Plain JSON and Confluent's wire format are accepted." if topic.name in JSON_TOPICS else ""
    return {
        "address": name,
        "description": f"{topic.description} Key: {topic.key_words}.{partition}{said}{also}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": kafka},
    }


def _operation(topic: Topic) -> tuple[str, dict[str, Any]]:
    action = "send" if topic.sent_by == "producer" else "receive"
    return f"{action}-{topic.name}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": topic.description,
    }


def _message(name: str) -> dict[str, Any]:
    written, first = schema(name), head(name)
    return {
        "name": name,
        "summary": written["doc"],
        "contentType": "application/avro",
        "payload": {"schemaFormat": _AVRO, "schema": written},
        "examples": [{"payload": example(name)}],
        "x-single-object-head": first.hex(),
        "x-fingerprint": f"{int.from_bytes(first[2:], 'little'):016x}",
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "summary": "The original bytes; headers leadline-reason and __connect.errors.* say where they stood and why they cannot be used. "
        "Where leadline-value-bytes or leadline-key-bytes says how many there were, they are cut. "
        "A record without key has its place as key, and the header leadline-no-key.",
        "contentType": "application/octet-stream",
    }
