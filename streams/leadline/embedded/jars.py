"""Jars, exactly those that a lock names, from Maven Central into the user's cache; those of Kafka by `kafka.lock`."""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.embedded.errors import EmbeddedError
from leadline.settings import Settings
from leadline.settings.private import private_folder

if TYPE_CHECKING:
    from jgo.maven import Artifact

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are (0 = unknown)."""

_DOWNLOADS_AT_ONCE = 8
_TIMEOUT_S = 20
_OTHERWISE = "or set KAFKA_JARS_DIR to the libs folder of a Kafka 4, or KAFKA_BOOTSTRAP to a running Kafka"


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: a Maven coordinate and the digest that its jar must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The jar's file name.

        >>> Jar("org.apache.kafka", "kafka_2.13", "4.1.0", "00").file_name
        'kafka_2.13-4.1.0.jar'
        """
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked_jars(text: str) -> list[Jar]:
    r"""The jars that the text of a lock names, one ``group:artifact:version sha256`` a line.

    >>> [str(jar) for jar in locked_jars("# comment\norg.slf4j:slf4j-api:1.7.36 d3ef\n")]
    ['org.slf4j:slf4j-api:1.7.36']
    """
    lines = [line.replace(":", " ").split() for line in text.splitlines() if line and not line.startswith("#")]
    return [Jar(group, artifact, version, sha256) for group, artifact, version, sha256 in lines]


def kafka_jars(settings: Settings, progress: Progress | None = None) -> Path:
    """The folder with Kafka's jars: ``KAFKA_JARS_DIR`` as it is, else the locked ones, fetched once, each checked at every call.

    Safe to call from several processes at once. Raises EmbeddedError when a jar cannot be had or is not the locked one.
    """
    if settings.kafka_jars_dir is not None:
        return _own_jars(settings.kafka_jars_dir)
    lock = (files("leadline.embedded") / "kafka.lock").read_text("utf-8")
    return jars_of(lock, "kafka", settings.cache, progress)


def jars_of(lock: str, name: str, cache: Path, progress: Progress | None = None) -> Path:
    """The folder with the jars of the text of a lock, below ``cache``: fetched once, each checked at every call. Raises EmbeddedError."""
    folder = cache / f"{name}-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    missing = [jar for jar in locked_jars(lock) if not _is_locked(folder / jar.file_name, jar)]
    _fetch(missing, folder, progress)
    return folder


def _own_jars(folder: Path) -> Path:
    if not any(folder.glob("kafka_2.*.jar")):
        raise EmbeddedError(f"KAFKA_JARS_DIR={folder} has no kafka_2.*.jar: name the libs folder of a Kafka 4")
    return folder


def _is_locked(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _fetch(missing: list[Jar], folder: Path, progress: Progress | None) -> None:
    """Download what is missing beside the folder, check it, and move each jar in whole."""
    if not missing:
        return
    try:
        private_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as staging:
            for done, (jar, path) in enumerate(_downloads(missing, Path(staging)), start=1):
                if not _is_locked(path, jar):
                    raise EmbeddedError(f"{jar} from Maven Central is not the locked one: try again, {_OTHERWISE}")
                path.replace(folder / jar.file_name)
                if progress:
                    progress("Kafka's jars", done, len(missing))
    except OSError as error:
        message = f"cannot write Kafka's jars to {folder}: {error}; set LEADLINE_CACHE to a folder with 100 MB free"
        raise EmbeddedError(message) from None


def _downloads(jars: list[Jar], staging: Path) -> Iterator[tuple[Jar, Path]]:
    """Each jar with its downloaded, unchecked file, in the order of the lock."""
    try:
        from jgo.maven import MavenContext
    except ImportError:
        message = f"the embedded Kafka needs more: pip install 'leadline[embedded]', {_OTHERWISE}"
        raise EmbeddedError(message) from None
    maven = MavenContext(repo_cache=staging, timeout=_TIMEOUT_S)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        artifacts = [maven.project(jar.group, jar.artifact).at_version(jar.version).artifact() for jar in jars]
        futures = [pool.submit(artifact.resolve) for artifact in artifacts]
        try:
            for jar, future in zip(jars, futures, strict=True):
                yield jar, _downloaded(jar, future)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _downloaded(jar: Jar, future: Future[Path]) -> Path:
    try:
        return future.result()
    except (OSError, RuntimeError) as error:  # a requests error is an OSError whose name says more than its text
        reason = type(error).__name__ if isinstance(error, OSError) else str(error).splitlines()[0][:160]
        message = f"cannot fetch {jar} from Maven Central ({reason}): check the network, {_OTHERWISE}"
        raise EmbeddedError(message) from None


def lock_text(kafka_version: str) -> str:
    """A new lock for a version of Kafka: all that its server needs at run time, and slf4j-simple so that it logs."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as staging:
        maven = MavenContext(repo_cache=Path(staging))
        server = maven.create_dependency(f"org.apache.kafka:kafka_2.13:{kafka_version}")
        needed, more = maven.resolver.resolve([server])
        slf4j = next(d.version for d in more if d.artifactId == "slf4j-api")
        needed.append(maven.create_dependency(f"org.slf4j:slf4j-simple:{slf4j}"))
        needed += [dependency for dependency in more if dependency.scope in ("compile", "runtime")]
        lines = sorted(_lock_line(dependency.artifact) for dependency in needed)
    head = f"# The jars of the embedded Kafka. To renew: python -m leadline.embedded.jars {kafka_version} > this file"
    return "\n".join([head, *lines, ""])


def _lock_line(artifact: "Artifact") -> str:
    sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {sha256}"


if __name__ == "__main__":
    sys.stdout.write(lock_text(sys.argv[1]))
