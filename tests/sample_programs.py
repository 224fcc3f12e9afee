"""The samples of docs/clients.md as commands, with what they need: locked jars and packages, kcat or what stands in for it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from leadline.embedded.errors import EmbeddedError
from leadline.embedded.jars import jars_of
from leadline.embedded.java import find_java
from leadline.settings import load_settings
from leadline.wire.asyncapi import document
from pages import ROOT

SAMPLES = ROOT / "samples"


@dataclass(frozen=True)
class Sample:
    """A program, the forms of topics that it reads, and in which it writes; ``endless``: it goes on until Ctrl-C."""

    client: str
    program: str
    forms: tuple[str, ...]
    writes: str = "JSON"
    endless: bool = False

    @property
    def model(self):
        """A model that nobody else asks."""
        return Path(self.program).stem


ALL = [
    Sample("leadline.client", "python/with_leadline_client.py", ("avro", "confluent", "json"), "Avro"),
    Sample("Faust, with leadline.client.faust", "python/with_faust.py", ("avro", "confluent", "json"), "Avro", True),
    Sample("confluent-kafka", "python/with_confluent_kafka.py", ("avro",)),
    Sample("confluent-kafka with its AvroDeserializer", "python/with_schema_registry.py", ("confluent",)),
    Sample("aiokafka", "python/with_aiokafka.py", ("avro",)),
    Sample("a client and the module json", "python/with_json.py", ("json",)),
    Sample("kafkajs (Node.js)", "node/with_kafkajs.js", ("avro",)),
    Sample("kafka-clients (Java)", "java/WithKafkaClients.java", ("avro",)),
    Sample("kcat and jq (shell)", "shell/with_kcat.sh", ("json",)),
]


def table():
    """Client x form x what was done: each row is tried by tests/integration/test_samples.py."""
    head = ["client", "topics in", "writes", "request out", "prediction in", "outcome out", "incident in"]
    rows = [
        [
            f"{each.client}: [{Path(each.program).name}](../samples/{each.program})",
            f"`{form}`",
            each.writes,
            *["yes"] * 4,
        ]
        for each in ALL
        for form in each.forms
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def command_of(sample, folder):
    """The command of a sample that runs in ``folder``; skips the test where this machine cannot run it."""
    path = SAMPLES / sample.program
    made = {".py": _python, ".js": _node, ".java": _java, ".sh": _shell}[path.suffix]
    return made(path, folder)


def _python(path, folder):
    return [sys.executable, path]


def _node(path, folder):
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js")
    (folder / "node_modules").symlink_to(_packages(path.parent) / "node_modules")
    for name in (path.name, "package.json"):
        shutil.copy(path.with_name(name), folder)
    messages = document("leadline", "1")["components"]["messages"]
    (folder / "leadline.json").write_text(json.dumps({"components": {"messages": messages}}))
    return ["node", path.name]


def _packages(source):
    """A folder with the packages that package-lock.json names, with their digests; fetched once into the cache of the embedded servers."""
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    folder = load_settings().cache / f"node-{digest[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "node.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as staging:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(source / name, staging)
                subprocess.run(["npm", "ci", "--silent", "--prefer-offline"], cwd=staging, check=True, timeout=180)
                shutil.copytree(staging, folder)
    return folder


def _java(path, folder):
    try:
        java = find_java()
    except EmbeddedError as error:
        pytest.skip(str(error))
    modules = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60).stdout
    if "jdk.compiler" not in modules:
        pytest.skip(f"needs a Java that compiles: {java} has no jdk.compiler")
    jars = jars_of(path.with_name("jars.lock").read_text("utf-8"), "java", load_settings().cache)
    return [java, "-cp", f"{jars}/*", path]


def _shell(path, folder):
    if shutil.which("jq") is None:
        pytest.skip("needs jq")
    if shutil.which("kcat") is None:
        (folder / "kcat").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/kcat_stand_in.py "$@"\n')
        (folder / "kcat").chmod(0o755)
    return ["env", f"PATH={folder}:{os.environ['PATH']}", path]
