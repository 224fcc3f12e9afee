"""Reads a record batch whose headers have names that are not UTF-8, which clients refuse with all records behind.

Only batches that a client has refused for that come here: it is slow.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.record.util import decode_varint

from leadline.kafka import unpacking

_HEAD = struct.Struct(">qiibIhiqqqhii")
_CODECS = {1: unpacking.gzip, 2: unpacking.snappy, 3: unpacking.lz4, 4: unpacking.zstd}
_CODEC = 7


class Record(NamedTuple):
    """As aiokafka's; what is not UTF-8 in the name of a header is a replacement character."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def records(batch: bytes | memoryview) -> Iterator[Record]:
    """The records of a batch of today's format. Raises errors of many kinds where it is none."""
    base, _, _, _, _, attributes, _, first_ms, _, _, _, _, count = _HEAD.unpack_from(batch)
    data, codec = bytes(batch[_HEAD.size :]), attributes & _CODEC
    at = _Cursor(_CODECS[codec](data) if codec else data)
    for _ in range(count):
        at.number(), at.number()  # length and attributes
        timestamp, offset = first_ms + at.number(), base + at.number()
        key, value = at.piece(), at.piece()
        headers = [((at.piece() or b"").decode(errors="replace"), at.piece()) for _ in range(at.number())]
        yield Record(offset, timestamp, key, value, headers)


class _Cursor:
    """Where reading of some bytes is."""

    def __init__(self, data: bytes) -> None:
        self._data = bytearray(data)
        self._at = 0

    def number(self) -> int:
        value, self._at = decode_varint(self._data, self._at)
        return int(value)

    def piece(self) -> bytes | None:
        """Bytes behind their length; None where that is negative."""
        length = self.number()
        if length < 0:
            return None
        end = self._at + length
        if end > len(self._data):
            raise ValueError(f"{length} bytes are said to follow, and are not there")
        piece, self._at = bytes(self._data[self._at : end]), end
        return piece
