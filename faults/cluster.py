"""The world with three brokers: each topic on all of them, and a write is done when two have it."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from faults.topics import PARTITIONS
from faults.traffic import Traffic
from faults.world import World
from leadline.embedded.cluster import EmbeddedCluster
from leadline.settings import load_settings

_REPLICAS_S = 60.0


class ClusterWorld(World):
    """Workers and harness go straight to the brokers; ``nodes`` are the brokers' numbers."""

    replication = 3

    def _make_kafka(self, folder: Path, _seed: int) -> Traffic:
        self.cluster = EmbeddedCluster(load_settings(), folder / "kafka")
        self._servers.append(self.cluster)
        return Traffic(self.cluster.bootstrap, self.prefix, PARTITIONS, self.rng)

    @property
    def bootstrap(self) -> str:
        return self.cluster.bootstrap

    @property
    def for_workers(self) -> str:
        return self.cluster.bootstrap

    @property
    def nodes(self) -> list[int]:
        return list(self.cluster.nodes)

    def pid_of(self, node: int) -> int:
        pid = self.cluster.nodes[node].pid
        assert pid is not None
        return pid

    async def leader(self) -> int:
        """The broker that leads one of the partitions of predictions or outcomes."""
        topic = self.rng.choice(["predictions", "outcomes", "prediction-requests"])
        partitions = await asyncio.to_thread(self._partitions, f"{self.prefix}.{topic}")
        return int(self.rng.choice(partitions).leader.id)

    async def kill_node(self, node: int) -> None:
        """kill -9 of a broker; returns when its port and its disk are free."""
        os.kill(self.pid_of(node), signal.SIGKILL)
        while self.cluster.nodes[node].pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def stop_node(self, node: int) -> None:
        """Ask a broker to end, and wait."""
        await asyncio.to_thread(self.cluster.nodes[node].stop)

    async def start_node(self, node: int) -> None:
        """Start a broker on its port and its disk."""
        await asyncio.to_thread(self.cluster.nodes[node].start)

    def wipe_node(self, node: int) -> None:
        """Delete the disk of a broker that is dead."""
        shutil.rmtree(self.folder / "kafka" / str(node) / "data")

    async def wait_for_replicas(self) -> None:
        """Until each broker has all of the topics that the faults watch, or a minute has passed."""
        deadline = asyncio.get_running_loop().time() + _REPLICAS_S
        topics = [f"{self.prefix}.{topic}" for topic in ("predictions", "outcomes", "labeled-predictions")]
        while asyncio.get_running_loop().time() < deadline:
            partitions = [each for topic in topics for each in await asyncio.to_thread(self._partitions, topic)]
            if all(len(each.isr) == self.replication for each in partitions):
                return
            await asyncio.sleep(0.5)

    def _partitions(self, topic_name: str) -> list[Any]:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        described = admin.describe_topics(TopicCollection([topic_name]), request_timeout=30)
        return list(described[topic_name].result().partitions)
