"""How ids of a schema registry become known, and what a registry that is away or hostile can do: hold a lane up for seconds, no more."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog
from pydantic import SecretStr

from leadline.kafka import schemas
from leadline.kafka.schema_registry import MOST_BYTES, SchemaRegistry
from leadline.kafka.schemas import AGAIN_S, MOST_UNKNOWN, WAIT_S, Learner
from leadline.settings import SettingsError, load_settings
from leadline.wire.registered import MAGIC, Known
from leadline.wire.schemas import schema
from leadline.wire.unreadable import UnreadableError

OUTCOME = json.dumps({"schema": json.dumps(schema("Outcome"))}).encode()


@contextmanager
def answering(answers):
    """A server that is no registry: it gives these answers, (status, body) by path, and keeps who asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            status, body = answers.get(self.path, answers.get("*", (404, b"{}")))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(schemas.time, "sleep", clock.sleep)
    return clock


def value(schema_id):
    return MAGIC + schema_id.to_bytes(4, "big") + b"x"


def learn(learner, *ids):
    lacking = learner.lacks([None, b"{}", *map(value, ids)])
    learner.ask(lacking)
    return lacking


def why(known, schema_id):
    with pytest.raises(UnreadableError) as error:
        known.of(schema_id)
    return error.value.reason, error.value.detail


def test_an_id_is_asked_for_once_with_the_password_that_no_log_has(clock, monkeypatch):
    with answering({"/base/schemas/ids/7": (200, OUTCOME)}) as (port, asked):
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://ann:s3%2Fcret@127.0.0.1:{port}/base/")
        known = Known()
        learner = Learner(known, clock)
        assert [learn(learner, 7, 8, 7), learn(learner, 7, 8)] == [[7, 8], []]
        assert known.of(7).branches[0].name == "Outcome"
        assert asked == [("/base/schemas/ids/7", "Basic YW5uOnMzL2NyZXQ="), ("/base/schemas/ids/8", asked[0][1])]
        reason, detail = why(known, 8)
        assert (reason, "s3" in detail) == ("schema-unknown", False)
        clock.now += AGAIN_S
        assert learn(learner, 7, 8) == [8]


@pytest.mark.parametrize(
    ("status", "body", "reason", "says"),
    [
        (200, b"{}", "schema-not-usable", "answers otherwise than a schema registry"),
        (200, b"[", "schema-not-usable", "answers otherwise than a schema registry"),
        (200, b"[" * 100_000, "schema-not-usable", "answers otherwise than a schema registry"),
        (200, b" " * (MOST_BYTES + 1), "schema-not-usable", "longer than 1048576 bytes"),
        (200, b'{"schema": "x", "schemaType": "PROTOBUF\\u001b"}', "schema-not-usable", "it is PROTOBUF"),
        (200, b'{"schema": "x", "references": [1]}', "schema-not-usable", "register it whole"),
        (302, b"{}", "schema-registry-refuses", "refuses: HTTP 302"),
        (403, b'{"message": "no"}', "schema-registry-refuses", "refuses: HTTP 403 no"),
    ],
)
def test_what_a_registry_may_answer_instead(clock, monkeypatch, status, body, reason, says):
    with answering({"*": (status, body)}) as (port, asked):
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://127.0.0.1:{port}")
        known = Known()
        learn(Learner(known, clock), 7)
        assert len(asked) == 1
    assert why(known, 7)[0] == reason
    assert says in why(known, 7)[1]
    assert "\x1b" not in why(known, 7)[1]


@pytest.mark.parametrize("status", [None, 500, 429])
def test_one_that_is_away_is_waited_for_a_little_and_then_left_alone(clock, monkeypatch, status):
    with answering({"*": (status or 0, b"")}) as (port, asked), structlog.testing.capture_logs() as said:
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://127.0.0.1:{port if status else 1}")
        known = Known()
        learner = Learner(known, clock)
        learn(learner, 7)
        assert WAIT_S <= clock.now < WAIT_S + 1
        assert why(known, 7)[0] == "schema-registry-away"
        before, tries = clock.now, len(asked)
        assert learn(learner, 7, *range(100, 100 + MOST_UNKNOWN)) == list(range(100, 100 + MOST_UNKNOWN))
        assert (clock.now, len(asked)) == (before, tries)
        assert why(known, 100)[0] == "schema-registry-away"
    assert [each["event"] for each in said] == ["the schema registry is away"]
    with answering({"*": (200, OUTCOME)}) as (port, asked):
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://127.0.0.1:{port}")
        clock.now += AGAIN_S
        assert learn(learner, 7, 100) == [7, 100]
        assert [known.of(each).branches[0].name for each in (7, 100)] == ["Outcome"] * 2


def test_ids_by_chance_are_not_all_asked_for(clock, monkeypatch):
    with answering({}) as (port, asked):
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://127.0.0.1:{port}")
        known = Known()
        learner = Learner(known, clock)
        learn(learner, *range(1000, 3000))
        assert len(asked) == MOST_UNKNOWN
        assert learn(learner, *range(1000, 3000)) == []
        learn(learner, *range(4000, 5000))
        assert len(asked) == MOST_UNKNOWN
        assert why(known, 4999) == (
            "schema-unknown",
            "schema id 4999: it is not asked for: too many before it were unknown",
        )
        clock.now += AGAIN_S
        learn(learner, 4999)
        assert len(asked) == MOST_UNKNOWN + 1


def test_without_a_registry_nobody_is_asked(clock, monkeypatch):
    monkeypatch.delenv("LEADLINE_SCHEMA_REGISTRY", raising=False)
    known = Known()
    learner = Learner(known, clock)
    assert [learn(learner, 7), learn(learner, 7)] == [[7], []]
    assert why(known, 7) == (
        "no-schema-registry",
        "schema id 7: set LEADLINE_SCHEMA_REGISTRY to the registry that knows it",
    )


def test_a_command_that_has_to_write_does_not_wait():
    here = load_settings(format="confluent", schema_registry="http://ann:s3cret@127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"http://127.0.0.1:1 does not answer \(\w+\): check LEADLINE") as error:
        schemas.registered_ids(here)
    assert "s3cret" not in str(error.value)
    assert schemas.registered_ids(load_settings()) == {}


async def test_a_worker_waits_at_its_start_and_says_so_once(monkeypatch):
    answers = iter([False, False, True])

    def at_start(registry, _):
        if not next(answers):
            registry.schema(1)
        return {"alerts": 1}

    monkeypatch.setattr(schemas, "_at_start", at_start)
    monkeypatch.setattr(schemas, "_TRY_S", 0)
    with structlog.testing.capture_logs() as said:
        assert await schemas.known_ids(load_settings(schema_registry="http://ann:s3cret@127.0.0.1:1")) == {"alerts": 1}
    [line] = said
    assert line["event"] == "waits for the schema registry"
    assert "s3cret" not in str(line)


def test_over_tls_the_host_is_checked():
    assert SchemaRegistry(SecretStr("https://h"))._tls.check_hostname
