"""A real schema registry for tests: Apicurio Registry, from Maven Central, in memory, on 127.0.0.1 only. It speaks Confluent's routes.

Its release is the newest that Java 17 runs. The archive (142 MB) is fetched once into the cache of the embedded servers, and checked.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import signal
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from leadline.embedded.child import Child, free_ports
from leadline.embedded.java import find_java
from leadline.settings import load_settings

VERSION = "2.6.13.Final"
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
PATH = "/apis/ccompat/v7"


def fetched():
    """The folder of the unpacked registry."""
    folder = load_settings().cache / f"apicurio-{SHA256[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "apicurio.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as staging:
                unpack(Path(staging))
                (Path(staging) / "unpacked").rename(folder)
    return folder


def unpack(staging):
    from jgo.maven import MavenContext

    maven = MavenContext(repo_cache=staging / "maven", timeout=120)
    app = maven.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    archive = app.artifact("all", "tar.gz").resolve()
    with archive.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    with tarfile.open(archive) as files:
        files.extractall(staging / "unpacked")  # its digest is known


class Registry:
    """A running registry. What it knows is gone when it ends."""

    def __init__(self, port, child):
        self._port = port
        self._child = child

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}{PATH}"

    def ask(self, method, path, body=None):
        """Status and answer of a route."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, PATH + path, body and json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def register(self, subject, schema):
        """The id of a schema that is registered under a subject."""
        _, said = self.ask("POST", f"/subjects/{quote(subject, '')}/versions", {"schema": json.dumps(schema)})
        return said["id"]

    @contextmanager
    def away(self):
        """Connections are taken, and never answered."""
        self._send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(signal.SIGCONT)

    def _send(self, number):
        os.kill(self._child.pid, number)


@contextmanager
def registry(folder):
    """A registry, whose log is in ``folder``."""
    unpacked, (port,) = fetched(), free_ports(0)
    [jar] = unpacked.glob("*-runner.jar")
    options = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1", "-Xmx256m", "-XX:+UseSerialGC"]
    child = Child("the registry", [find_java(), *options, "-jar", jar], folder / "registry.log")
    try:
        running = Registry(port, child)
        child.wait_until(lambda: running.ask("GET", "/subjects")[0] == http.client.OK, 120)
        yield running
    finally:
        child.stop()


if __name__ == "__main__":  # for benchmarks: one that runs until Ctrl-C
    with (
        tempfile.TemporaryDirectory() as folder,
        registry(Path(folder)) as running,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(running.url, flush=True)
        signal.pause()
