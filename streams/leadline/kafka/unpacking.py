"""Compressed record batches unpacked into a bounded space (docs/decisions/0014).

A producer may pack 200 MB of zeros into six kilobytes, and the broker takes them: its limits are of packed bytes.
"""

import struct
from collections.abc import Callable

import cramjam
import numpy as np

from leadline.wire.limits import BATCH_UNPACKED_BYTES

_SNAPPY_MAGIC = b"\x82SNAPPY\x00"
_SNAPPY_HEAD = 16
_LENGTH = struct.Struct(">i")
_TOO_MUCH = f"it unpacks to more than {BATCH_UNPACKED_BYTES >> 20} MiB"


class TooMuchError(Exception):
    """A batch is more than is read; the message says how much that is."""


class _Unpacked:
    """Counts the bytes that were unpacked; who fetches may stop before there are too many at once."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, space: memoryview, length: int) -> bytes:
        self.size += length
        return bytes(space[:length])


unpacked = _Unpacked()


def _space(size: int) -> memoryview:
    """Room for so many bytes. The system gives it a page at a time, as it is written to; a bytearray would be written to at once."""
    return np.empty(size, np.uint8).data


def _by(unpack_into: Callable[[bytes, memoryview], int]) -> Callable[[bytes], bytes]:
    """A function that unpacks by one of cramjam's. They all say of too small a room that it cannot be written to."""

    def unpack(packed: bytes) -> bytes:
        space = _space(BATCH_UNPACKED_BYTES)
        try:
            length = unpack_into(packed, space)
        except cramjam.DecompressionError as error:
            if "write whole buffer" in str(error):
                raise TooMuchError(_TOO_MUCH) from None
            raise
        return unpacked.take(space, length)

    return unpack


gzip = _by(cramjam.gzip.decompress_into)
lz4 = _by(cramjam.lz4.decompress_into)
zstd = _by(cramjam.zstd.decompress_into)


def snappy(packed: bytes) -> bytes:
    r"""Unpack one block, or the frame of blocks that Java writes.

    >>> import cramjam
    >>> block = bytes(cramjam.snappy.compress_raw(b"abc"))
    >>> framed = b"\x82SNAPPY\x00" + bytes(8) + (len(block).to_bytes(4) + block) * 2
    >>> snappy(block), snappy(framed)
    (b'abc', b'abcabc')
    """
    blocks = _blocks(packed) if packed[: len(_SNAPPY_MAGIC)] == _SNAPPY_MAGIC else [memoryview(packed)]
    size = sum(map(cramjam.snappy.decompress_raw_len, blocks))
    if size > BATCH_UNPACKED_BYTES:
        raise TooMuchError(_TOO_MUCH)
    space, length = _space(size), 0
    for block in blocks:
        length += cramjam.snappy.decompress_raw_into(block, space[length:])
    return unpacked.take(space, length)


def _blocks(packed: bytes) -> list[memoryview]:
    """The blocks of a frame, each behind its length; behind one frame there may be another."""
    blocks, at, view = [], _SNAPPY_HEAD, memoryview(packed)
    while at < len(packed):
        if packed[at : at + len(_SNAPPY_MAGIC)] == _SNAPPY_MAGIC:
            at += _SNAPPY_HEAD
            continue
        [length] = _LENGTH.unpack_from(packed, at)
        if length < 0:
            raise ValueError(f"a block of {length} bytes")
        at += _LENGTH.size
        blocks.append(view[at : at + length])
        at += length
    return blocks
