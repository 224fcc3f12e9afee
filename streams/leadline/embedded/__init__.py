"""A real Kafka and a real Redis-compatible server as child processes, for whoever has none running."""

from leadline.embedded.cluster import EmbeddedCluster
from leadline.embedded.errors import EmbeddedError
from leadline.embedded.jars import Progress
from leadline.embedded.kafka import EmbeddedKafka
from leadline.embedded.redis import EmbeddedRedis
from leadline.embedded.servers import Servers, progress_bar, servers

__all__ = [
    "EmbeddedCluster",
    "EmbeddedError",
    "EmbeddedKafka",
    "EmbeddedRedis",
    "Progress",
    "Servers",
    "progress_bar",
    "servers",
]
