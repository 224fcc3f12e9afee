"""The codec as others use it: records as bytes and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from leadline.core.processor import Batch, Output
from leadline.wire.cloud_events import AVRO
from leadline.wire.decoding import FEW_REQUESTS, decode, undecoded, unusual
from leadline.wire.encoding import FEW_RECORDS, encode, keys_of, routes_of
from leadline.wire.glances import NO_GLANCES, Glances
from leadline.wire.run import DeadLetter, Run
from leadline.wire.single import read, value_of
from leadline.wire.topics import FEW, JSON_TOPICS, MANY, key_of

__all__ = [
    "FEW",
    "FEW_RECORDS",
    "FEW_REQUESTS",
    "JSON_TOPICS",
    "MANY",
    "WIRE",
    "Wire",
    "decode",
    "encode",
    "key_of",
    "keys_of",
    "read",
    "routes_of",
    "undecoded",
    "unusual",
    "value_of",
]


class Decode(Protocol):
    """As `leadline.wire.decoding.decode`."""

    def __call__(
        self, run: Run, max_bytes: int, max_ahead_ms: int | None = None, glances: Glances = NO_GLANCES
    ) -> tuple[Batch, list[DeadLetter]]: ...


@dataclass(frozen=True, slots=True)
class Wire:
    """How a lane's records look outside: the names of their topics, and their bytes.

    Every form is read (`leadline.wire.single`); ``encode`` writes the one that an installation chose (`leadline.wire.writing`).
    ``content_type``: of the topics that people read, for the headers of decisions.
    ``names``: the whole name of each topic that is not called prefix, dot, topic.

    >>> Wire().topic("leadline", "outcomes"), Wire(names={"outcomes": "labels"}).topic("leadline", "outcomes")
    ('leadline.outcomes', 'labels')
    """

    decode: Decode = decode
    encode: Callable[[Output], list[bytes]] = encode
    names: Mapping[str, str] = field(default_factory=dict)
    content_type: str = AVRO

    def topic(self, prefix: str, topic: str) -> str:
        """The whole name of a topic."""
        return self.names.get(topic, f"{prefix}.{topic}")


WIRE = Wire()
