"""Records and batches that no well-meaning producer writes, and a broker takes all the same."""

import struct

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer

NOT_UTF_8 = "not-utf-8"
"""The name of a header; `send` writes it as bytes that are not UTF-8."""
CONTROL = "\x1b[31m\x00\u202e"

ROWS = {
    "no key": (None, b"x", []),
    "no value": (b"k", None, []),
    "nothing at all": (None, None, []),
    "empty": (b"", b"", []),
    "a header that is not UTF-8": (b"k", b"x", [(NOT_UTF_8, b"x")]),
    "a header without value": (b"k", b"x", [("leadline-arrival-ms", None), ("leadline-reason", None)]),
    "a header of control characters": (CONTROL.encode(), CONTROL.encode(), [(CONTROL, CONTROL.encode())]),
    "a huge header": (b"k", b"x", [("h" * 30_000, b"x" * 300_000)]),
    "a header twice": (b"k", b"x", [("leadline-reason", b"a"), ("leadline-reason", b"b")]),
    "a key that is no text": (b"\xff\xfe\x00", b"\xff", []),
    "a key that is JSON": (b'{"id": 1}', b'{"id": 1}', []),
    "a huge key": (b"k" * 100_000, b"x", []),
    "a time before all": (b"k", b"x", [("leadline-arrival-ms", b"-9223372036854775809")]),
}
"""What may be wrong with a record: key, value and headers."""


async def send_row(bootstrap, topic_name, partition, row):
    """Send one record as a batch of its own, exactly as it is."""
    key, value, headers = row
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=8 << 20) as producer:
        batch = producer.create_batch()
        batch.append(key=key, value=value, timestamp=1, headers=headers)
        batch._builder = Spoilt(batch._builder)
        await (await producer.send_batch(batch, topic_name, partition=partition))


def send_bomb(bootstrap, topic_name, partition, size, codec="zstd"):
    """Send a batch that is small where it is packed, and so many bytes of zeros where it is not."""
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "message.max.bytes": 1 << 29})
    failed = []
    producer.produce(topic_name, bytes(size), b"bomb", partition, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(120) == 0
    assert failed == [None]


class Spoilt:
    """A builder whose header names are no text."""

    def __init__(self, builder):
        self._builder = builder

    def __getattr__(self, name):
        return getattr(self._builder, name)

    def build(self):
        written = bytearray(bytes(self._builder.build()).replace(b"not-utf-8", b"not-utf-\xff"))
        struct.pack_into(">I", written, 17, calc_crc32c(bytes(written[21:])))
        return bytes(written)


class StandIn:
    """Stands for a task that is restored: it keeps what its store is given."""

    partition = 0

    def __init__(self):
        self.store, self.loaded, self.has_begun = self, {}, False

    def restored_to(self):
        return 0

    def load(self, changes):
        self.loaded |= changes

    def undo(self):
        self.has_begun = True
