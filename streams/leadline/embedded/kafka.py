"""A real Apache Kafka as a child process: one node, KRaft, on 127.0.0.1 only."""

import re
import shutil
import struct
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from leadline.embedded.child import Child, ask, free_ports
from leadline.embedded.errors import EmbeddedError
from leadline.embedded.jars import Progress, kafka_jars
from leadline.embedded.java import find_java
from leadline.settings import Settings
from leadline.settings.private import private_folder

HEAP_MB = 384
_JVM = (
    "-XX:+UseSerialGC",
    "-XX:MetaspaceSize=96m",
)  # serial: a quarter less CPU on a small machine that the workers share
_LOGGING = tuple(
    f"-Dorg.slf4j.simpleLogger.{option}"
    for option in ("defaultLogLevel=warn", "showDateTime=true", "dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS")
)
_START_S = 60.0
_CLUSTER = "bGVhZGxpbmUtZW1iZWRkZQ"  # of the kept copy; each storage that is made of it gets an id of its own

# One node, one user, small machine: one replica of everything, few internal partitions, no waiting for more members.
# Retention is what each topic says, and without a word for ever: the time of a replayed record may lie years back.
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=8388608
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=16777216
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
"""


class Quorum(NamedTuple):
    """Which node of a cluster a broker is, and where the controllers of all nodes listen. A cluster's id tells it from all others."""

    node: int
    controllers: Mapping[int, int]
    cluster: str

    @property
    def controller(self) -> int:
        """The port of its own controller."""
        return self.controllers[self.node]

    @property
    def voters(self) -> str:
        """All controllers, as Kafka wants to read them."""
        return ",".join(f"{node}@127.0.0.1:{port}" for node, port in self.controllers.items())


def new_id() -> str:
    """A new id of a cluster or of a folder, as Kafka writes it; it must not look like an option."""
    return "L" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


class EmbeddedKafka:
    """A Kafka that starts with ``start()`` or ``with`` and ends with it, or with this process however it ends.

    With ``folder`` its topics stay there for the next start; without, they live in a temporary folder that ``stop()`` removes.
    ``port`` 0 means a free one. ``bootstrap`` is its address once it is started. ``properties`` come before those of this module. Each
    collection of garbage holds every client up for some 10 ms; a larger ``heap_mb`` makes them rarer. ``quorum``: it is one of
    several brokers.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path | None = None,
        port: int = 0,
        progress: Progress | None = None,
        properties: Mapping[str, str] | None = None,
        heap_mb: int = HEAP_MB,
        quorum: "Quorum | None" = None,
    ) -> None:
        self._settings = settings
        self._quorum = quorum
        self._heap = (f"-Xmx{heap_mb}m", f"-Xmn{heap_mb * 2 // 3}m")  # nearly all that a broker makes is short-lived
        self._properties = properties or {}
        self._progress = progress
        self._temporary = folder is None
        self._folder = folder
        self._port = port
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients; valid while it runs."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id of the broker, None while it does not run."""
        return self._child.pid if self._child and self._child.running else None

    def start(self) -> Self:
        """Start and wait until clients are served; raises EmbeddedError with the reason, or with the end of the broker's log."""
        java, jars = find_java(), kafka_jars(self._settings, self._progress)
        if self._progress:
            self._progress("starting Kafka", 0, 0)
        folder = self._folder or Path(tempfile.mkdtemp(prefix="leadline-kafka-"))
        self._folder = folder
        try:
            self._child = self._launch(java, jars, folder)
            self._child.wait_until(self._serves, _START_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the broker and wait for its end; again is no error."""
        if self._child:
            self._child.stop()
        if self._temporary and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self, java: Path, jars: Path, folder: Path) -> Child:
        self._port, controller = free_ports(self._port, self._quorum.controller if self._quorum else 0)
        quorum = self._quorum or Quorum(1, {1: controller}, new_id())
        data, properties = folder / "data", folder / "server.properties"
        private_folder(folder)
        text = _PROPERTIES.format(
            port=self._port, controller=controller, data=data.resolve(), node=quorum.node, voters=quorum.voters
        )
        own = [f"{name}={value.format(controller=controller)}\n" for name, value in self._properties.items()]
        properties.write_text(text + "".join(own))  # of a name given twice the last holds
        if not (data / "meta.properties").exists():
            locked = self._settings.kafka_jars_dir is None
            _format(java, jars, properties, data, kept=jars / "formatted" if locked and quorum.node == 1 else None)
            _name(data / "meta.properties", quorum)
        command: list[str | Path] = [java, *_JVM, *self._heap, *_LOGGING, "-cp", f"{jars}/*", "kafka.Kafka", properties]
        return Child("Kafka", command, folder / "kafka.log")

    def _serves(self) -> bool:
        """Whether the broker answers a Metadata request and counts itself in: only then it is unfenced."""
        return self.brokers() >= 1

    def brokers(self) -> int:
        """How many brokers it knows, itself included; raises OSError where it does not answer."""
        # length, Metadata, version 1, correlation id, no client id, no topics; the answer: length, correlation id, brokers
        answer = ask(self._port, struct.pack(">ihhihi", 14, 3, 1, 7, -1, 0))
        return int(struct.unpack_from(">i", answer, 8)[0]) if len(answer) >= 12 else 0


def _name(meta: Path, quorum: Quorum) -> None:
    """Give a formatted storage the ids of its node, its cluster and itself."""
    ids = {"node.id": str(quorum.node), "cluster.id": quorum.cluster, "directory.id": new_id()}
    text = meta.read_text("utf-8")
    for name, value in ids.items():
        text = re.sub(rf"(?m)^{re.escape(name)}=.*$", f"{name}={value}", text)
    meta.write_text(text, "utf-8")


def _format(java: Path, jars: Path, properties: Path, data: Path, kept: Path | None) -> None:
    """Format the storage; the result is kept, where that is given, and copied from then on: a second saved at each start."""
    if kept is not None and kept.is_dir():
        shutil.copytree(kept, data, dirs_exist_ok=True)
        return
    tool: list[str | Path] = [java, *_JVM, "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
    tool += ["format", "-t", _CLUSTER, "-c", properties]
    done = subprocess.run(tool, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise EmbeddedError(f"Kafka cannot format {data} (exit code {done.returncode}): {done.stdout.strip()[-500:]}")
    if kept is not None:
        with suppress(OSError), tempfile.TemporaryDirectory(dir=kept.parent, prefix="formatting-") as staging:
            shutil.copytree(data, Path(staging) / "data").rename(kept)
