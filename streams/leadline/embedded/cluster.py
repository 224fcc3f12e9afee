"""Several embedded brokers as one cluster: each topic on all of them, and a write is done when two have it."""

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from leadline.embedded.child import free_ports
from leadline.embedded.errors import EmbeddedError
from leadline.embedded.kafka import EmbeddedKafka, Quorum, new_id
from leadline.settings import Settings

_ALL_S = 60.0
_TOPICS = ("offsets.topic", "transaction.state.log")


class EmbeddedCluster:
    """Brokers that are controllers too; ``nodes`` has each by its number. Replication is their count, ``min.insync.replicas`` one less.

    Without ``folder`` nothing stays when it stops.
    """

    def __init__(self, settings: Settings, folder: Path | None = None, count: int = 3) -> None:
        self._temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="leadline-cluster-"))
        ports = free_ports(*[0] * 2 * count)
        controllers = dict(enumerate(ports[count:], 1))
        cluster, properties = new_id(), _replicated(count)
        self.nodes = {
            node: EmbeddedKafka(
                settings,
                self._folder / str(node),
                ports[node - 1],
                properties=properties,
                quorum=Quorum(node, controllers, cluster),
            )
            for node in controllers
        }

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> Self:
        """Start all brokers at once, and wait until each knows all. Raises EmbeddedError."""
        try:
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                list(pool.map(EmbeddedKafka.start, self.nodes.values()))
            self._wait_for_all()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all brokers; again is no error."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(EmbeddedKafka.stop, self.nodes.values()))
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_for_all(self) -> None:
        deadline = time.monotonic() + _ALL_S
        while any(node.brokers() < len(self.nodes) for node in self.nodes.values()):
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the brokers in {self._folder} do not find each other; look at their kafka.log")
            time.sleep(0.05)


def _replicated(count: int) -> dict[str, str]:
    least = str(max(1, count - 1))
    properties = {"default.replication.factor": str(count), "min.insync.replicas": least}
    for topic in _TOPICS:
        properties[f"{topic}.replication.factor"] = str(count)
    return properties | {"transaction.state.log.min.isr": least}
