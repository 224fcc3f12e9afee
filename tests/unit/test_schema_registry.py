"""How ids of a schema registry become known, and what a registry that is away or hostile can do: hold a lane up for seconds, no more."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog
from pydantic import SecretStr

from leadline.cli.checkup.findings import Level
from leadline.cli.checkup.look_at_registry import look_at_registry
from leadline.kafka import schemas
from leadline.kafka.schema_registry import MOST_BYTES, RegistryAwayError, SchemaRegistry
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

        do_POST = do_GET  # noqa: N815

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


def test_an_answer_that_comes_byte_by_byte_holds_nobody_up_for_long(monkeypatch):
    monkeypatch.setattr("leadline.kafka.schema_registry._WITHIN_S", 0.5)
    with slow(OUTCOME, len(OUTCOME)) as port:
        began = time.monotonic()
        with pytest.raises(RegistryAwayError, match="does not answer"):
            SchemaRegistry(SecretStr(f"http://127.0.0.1:{port}")).schema(7)
        assert time.monotonic() - began < 2


@contextmanager
def slow(body, length):
    """Gives an answer at one byte in 20 ms."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        with suppress(OSError):
            taken, _ = server.accept()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
            for each in head + body:
                taken.sendall(bytes([each]))
                time.sleep(0.02)
            taken.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=answer, daemon=True).start()
    with server:
        yield server.getsockname()[1]


def test_an_answer_that_is_cut_short_is_asked_for_again():
    with slow(OUTCOME[:3], length=100) as port, pytest.raises(RegistryAwayError, match="IncompleteRead"):
        SchemaRegistry(SecretStr(f"http://127.0.0.1:{port}")).schema(7)


def test_an_id_that_no_registry_gives_is_not_asked_for(clock, monkeypatch):
    with answering({}) as (port, asked):
        monkeypatch.setenv("LEADLINE_SCHEMA_REGISTRY", f"http://127.0.0.1:{port}")
        known = Known()
        learn(Learner(known, clock), 2**31, 2**32 - 1)
        assert (why(known, 2**32 - 1)[0], asked) == ("schema-unknown", [])


async def test_what_a_registry_has_of_our_topics_stops_a_worker_only_where_it_writes_by_it():
    with answering({"*": (403, b"{}")}) as (port, _), structlog.testing.capture_logs() as said:
        url = f"http://127.0.0.1:{port}"
        assert await schemas.known_ids(load_settings(schema_registry=url)) == {}
        assert {each["event"] for each in said} == {"the ids of a topic are not known before they come"}
        with pytest.raises(SettingsError, match="HTTP 403"):
            await schemas.known_ids(load_settings(schema_registry=url, format="confluent"))


NOT_THERE = (404, b'{"error_code": 40401}')
REFUSES = (200, b'{"is_compatible": false}')
COMPATIBLE = "/compatibility/subjects/leadline.alerts-value/versions/latest"


@pytest.mark.parametrize(
    ("answers", "found", "mend"),
    [
        ({"*": (200, b'{"id": 1}')}, [], ""),
        ({"*": NOT_THERE}, [], ""),
        ({"*": NOT_THERE, COMPATIBLE: REFUSES}, ["its rule refuses the schema of this release"], "loosen the compat"),
        ({"*": (404, b"<html>")}, ["answers with HTTP 404, and not as a schema registry does"], "check the path"),
        ({"*": (401, b'{"message": "who are you"}')}, ["refuses: HTTP 401 who are you"], "check the user"),
        ({"*": (503, b"")}, ["does not answer now (HTTP 503)"], "check LEADLINE_SCHEMA_REGISTRY, and that it runs"),
        (None, ["does not answer (ConnectionRefusedError)"], "check LEADLINE_SCHEMA_REGISTRY, and that it runs"),
    ],
)
async def test_doctor_looks_at_the_registry(answers, found, mend):
    with answering(answers or {}) as (port, _):
        url = f"http://ann:s3cret@127.0.0.1:{port if answers else 1}"
        told = await look_at_registry(load_settings(format="confluent", schema_registry=url))
    bad = [each for each in told if each.level is Level.WRONG]
    assert [each.found.partition(f":{port if answers else 1} ")[2] or each.found for each in bad] == found
    assert all(mend in each.mend for each in bad)
    assert "s3cret" not in str(told)


async def test_without_a_registry_doctor_has_nothing_to_say_of_it():
    assert await look_at_registry(load_settings()) == []
