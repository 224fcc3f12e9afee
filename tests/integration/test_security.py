"""A Kafka that wants TLS, a password and rights, and a Redis that wants TLS and a password."""

import asyncio
import os
import secrets
import ssl
import subprocess
import sys
import threading
import time
import uuid

import numpy as np
import pyarrow as pa
import pytest
import redis.asyncio as redis
import trustme
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from typer.testing import CliRunner

from leadline.cli import app
from leadline.embedded import EmbeddedKafka, EmbeddedRedis
from leadline.embedded.child import free_ports
from leadline.embedded.jars import kafka_jars
from leadline.embedded.java import find_java
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.connections import connection
from leadline.learning.add import add_version
from leadline.learning.train import train
from leadline.records import PROMOTE, Command, Outcome, PredictionRequest, Rollout, WindowMetrics
from leadline.report.collect import Collected
from leadline.report.read import read_topics
from leadline.settings import Lookup, ModelSettings, load_settings
from leadline.topology import STEPS
from leadline.wire.codec import key_of, read, value_of

pytestmark = pytest.mark.integration

HOUR = 3_600_000
SETTINGS = ModelSettings(
    name="m", numeric=["x", "y"], horizon=HOUR, grace=HOUR, window=HOUR,
    lookups={"view": Lookup(key="who", features=["y"])}, missing="refuse",  # so that a Redis that is slow is asked again
)  # fmt: skip
RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}
NAMES = [step.name for step in STEPS]


class TlsProxy:
    """TLS in front of a plain server of 127.0.0.1: the Redis at hand speaks none."""

    def __init__(self, certificate, target):
        self.context, self.target = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), target
        certificate.configure_cert(self.context)
        [self.port] = free_ports(0)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        serving = asyncio.start_server(self.accept, "127.0.0.1", self.port, ssl=self.context)
        asyncio.run_coroutine_threadsafe(serving, self.loop).result()

    async def accept(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self.pass_on(reader, far_writer), self.pass_on(far_reader, writer))

    async def pass_on(self, reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


class Secured:
    """The servers, a password for each user, and what each user's environment says."""

    def __init__(self, folder):
        self.folder, self.prefix = folder, f"test-{uuid.uuid4().hex[:8]}"
        self.passwords = {user: secrets.token_hex(12) for user in ("producer", "worker", "reader", "admin", "stranger")}
        self.direct, self.secure = free_ports(0, 0)
        authority, self.certificate = trustme.CA(), None
        authority.cert_pem.write_to_path(folder / "ca.pem")
        trustme.CA().cert_pem.write_to_path(folder / "other-ca.pem")
        self.certificate = authority.issue_cert("127.0.0.1")
        users = " ".join(f'user_{u}="{p}"' for u, p in self.passwords.items() if u != "worker")
        listener = "listener.name.secure"
        key = load_pem_private_key(self.certificate.private_key_pem.bytes(), None)
        key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # Kafka reads no other form
        (folder / "server.pem").write_bytes(key + b"".join(blob.bytes() for blob in self.certificate.cert_chain_pems))
        addresses = f"PLAINTEXT://127.0.0.1:{self.direct},SECURE://127.0.0.1:{self.secure}"
        self.kafka = EmbeddedKafka(
            load_settings(),
            folder / "kafka",
            self.direct,
            properties={
                "listeners": addresses + ",CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": addresses,
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
                f"{listener}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                f"{listener}.plain.sasl.jaas.config": f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};",
                f"{listener}.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                f"{listener}.ssl.keystore.type": "PEM",
                f"{listener}.ssl.keystore.location": str(folder / "server.pem"),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
        )
        self.redis = EmbeddedRedis(folder / "redis")

    def environment(self, user, **changes):
        """What a process of that user is given."""
        return {
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.secure}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512" if user == "worker" else "PLAIN",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": self.passwords[user],
            "KAFKA_SSL_CAFILE": str(self.folder / "ca.pem"),
            "REDIS_URL": f"rediss://worker:{self.passwords['worker']}@127.0.0.1:{self.redis_tls.port}/0",
            "REDIS_SSL_CAFILE": str(self.folder / "ca.pem"),
            "LEADLINE_PREFIX": self.prefix,
            "LEADLINE_MODELS": str(self.folder / "models"),
        } | changes

    def prepare(self):
        """Tell Kafka the worker's password for SCRAM, then the rights, then Redis who may do what."""
        tool = [find_java(), "-cp", f"{kafka_jars(load_settings())}/*", "kafka.admin.ConfigCommand"]
        tool += ["--bootstrap-server", f"127.0.0.1:{self.direct}", "--alter", "--entity-type", "users"]
        scram = f"SCRAM-SHA-512=[password={self.passwords['worker']}]"
        subprocess.run([*tool, "--entity-name", "worker", "--add-config", scram], check=True, capture_output=True)
        emitted = CliRunner().invoke(app, ["topics", "acls"], env={"LEADLINE_PREFIX": self.prefix})
        asyncio.run(self.allow(emitted.output.splitlines()))
        asyncio.run(self.fill_redis())

    async def fill_redis(self):
        client = redis.from_url(self.redis.url)
        await client.hset(f"{self.prefix}:features:view:ada", mapping={"y": "0.5", "updated_ms": "1"})
        rights = [f"~{self.prefix}:features:*", "+hmget"]
        await client.execute_command("ACL", "SETUSER", "worker", "on", f">{self.passwords['worker']}", *rights)
        await client.execute_command("ACL", "SETUSER", "default", "off")
        await client.aclose()

    async def allow(self, commands):
        """What Kafka's own tool would do with the commands."""
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.direct}")
        await admin.start()
        for words in map(str.split, commands):
            [(kind, name)] = [(word[2:], words[i + 1]) for i, word in enumerate(words) if word[2:] in RESOURCES]
            pattern = 4 if "--resource-pattern-type" in words else 3
            principal = words[words.index("--allow-principal") + 1]
            for operation in [words[i + 1] for i, word in enumerate(words) if word == "--operation"]:
                request = CreateAclsRequest(RESOURCES[kind], name, pattern, principal, "*", OPERATIONS[operation], 3)
                answer = await admin._send_request(request)
                assert answer.creation_responses[0][0] == 0, answer
        await admin.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    made = Secured(tmp_path_factory.mktemp("secured"))
    with made.kafka, made.redis:
        made.redis_tls = TlsProxy(made.certificate, made.redis.port)
        made.prepare()
        yield made
        made.redis_tls.close()


@pytest.fixture
def become(secured, monkeypatch):
    def change(user):
        for name, value in secured.environment(user).items():
            monkeypatch.setenv(name, value)
        return connection(f"127.0.0.1:{secured.secure}")

    return change


async def test_each_role_does_its_part_with_the_rights_that_are_printed_for_it(secured, become, tmp_path):
    models, bootstrap = secured.folder / "models", f"127.0.0.1:{secured.secure}"
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, 500), rng.normal(0, 1, 500)
    data = pa.table({"x": x, "y": y, "outcome": (x + y > 0).astype(float)})
    add_version(models, SETTINGS, "v1", train(data, SETTINGS, "outcome"), data, "outcome")
    become("admin")
    await apply_topics(bootstrap, secured.prefix, 2, 1, None, [step.name for step in STEPS if step.stateful])
    async with AIOKafkaProducer(**become("admin")) as kafka:
        asked, at_once = (
            Command("c", PROMOTE, "m", "ann", "first", {"version": "v1"}, 0),
            Rollout("m", "v1", 0, "ann", ""),
        )
        await kafka.send_and_wait(f"{secured.prefix}.commands", value_of(asked), key=key_of("commands", asked))
        with pytest.raises(TopicAuthorizationFailedError):
            await kafka.send_and_wait(f"{secured.prefix}.rollouts", value_of(at_once), key=b"m", partition=0)
    environment = secured.environment("worker")
    with Workers(1, NAMES, environment, tmp_path / "state", tmp_path / "logs", lambda _: None) as workers:
        async with AIOKafkaProducer(**become("producer")) as kafka:
            at = int(time.time() * 1000)
            asked = PredictionRequest(
                request_id="r1", model="m", event_time=at, features={"x": 0.1}, user_id="", categories={"who": "ada"}
            )
            await kafka.send_and_wait(f"{secured.prefix}.prediction-requests", value_of(asked), key=b"r1", partition=0)
            known = Outcome("r1", 1.0, at + 1)
            await kafka.send_and_wait(f"{secured.prefix}.outcomes", value_of(known), key=b"r1", partition=0)
            await kafka.send_and_wait(f"{secured.prefix}.outcomes", b"?", key=b"r2", partition=0)
        become("reader")
        async with asyncio.timeout(120):
            while not any(is_matched(record) for record in await emitted(bootstrap, secured.prefix, "metrics")):
                workers.tend()
                await asyncio.sleep(0.5)
        made, *_ = await emitted(bootstrap, secured.prefix, "predictions")
        seen = Collected(SETTINGS, "*")
        await read_topics(bootstrap, secured.prefix, seen)
    assert made.features == [0.1, 0.5]
    assert (len(seen.windows), len(seen.delays), seen.has_partials) == (1, 1, False)
    log = (tmp_path / "logs" / "worker-0.log").read_text("utf-8")
    assert '"assigned"' in log
    assert not [password for password in secured.passwords.values() if password in log]


async def emitted(bootstrap, prefix, topic):
    return [read(topic, record.value) async for record in cluster.read_all(bootstrap, f"{prefix}.{topic}")]


def is_matched(record):
    """Whether it is the window that has its outcome; the counts of the join, which lie beside it, come before the prediction."""
    return isinstance(record, WindowMetrics) and record.matched == 1


WRONG = {
    "password": ({"KAFKA_SASL_PASSWORD": "not-the-password"}, "Authentication failed"),
    "authority": ({"KAFKA_SSL_CAFILE": "other-ca.pem"}, "certificate verify failed"),
    "protocol": (
        {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD": "", "KAFKA_SSL_CAFILE": ""},
        "does not answer",
    ),
    "rights": ({"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "stranger"}, "no right to a topic"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "command"),
    [
        *((what, "worker --step=join") for what in WRONG),
        ("password", "doctor"),
        ("rights", "doctor"),
        ("authority", "metrics --once"),
    ],
)
def test_without_one_of_them_it_ends_clearly_and_tells_no_secret(secured, what, command):
    changes, reason = WRONG[what]
    environment = secured.environment("worker", **changes)
    if what == "authority":
        environment["KAFKA_SSL_CAFILE"] = str(secured.folder / "other-ca.pem")
    if what == "rights":
        environment["KAFKA_SASL_PASSWORD"] = secured.passwords["stranger"]
    done = subprocess.run(
        [sys.executable, "-m", "leadline", *command.split()], env=os.environ | environment | {"COLUMNS": "400"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert environment["KAFKA_SASL_PASSWORD"] not in said or what == "protocol"
    assert not [password for password in secured.passwords.values() if password in said]
    if command == "doctor":
        assert (reason if what != "rights" else "missing") in said
    else:
        assert [line for line in said.splitlines() if line.startswith("error: ") and reason in line]
        assert "Traceback" not in said
