"""Which partition a key belongs to: the murmur2 hash that Kafka's own clients take."""

import struct

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_32_BITS = 0xFFFFFFFF


def partition_of(key: bytes, count: int) -> int:
    """The partition that Kafka's own clients give a key.

    >>> partition_of(b"r3", 4)
    3
    """
    return (_murmur2(key) & 0x7FFFFFFF) % count


def _murmur2(key: bytes) -> int:
    count, left = divmod(len(key), 4)
    mixed = _SEED ^ len(key)
    for word in struct.unpack_from(f"<{count}I", key):
        word = (word * _FACTOR) & _32_BITS
        word ^= word >> 24
        mixed = ((mixed * _FACTOR) & _32_BITS) ^ ((word * _FACTOR) & _32_BITS)
    if left:
        mixed = ((mixed ^ int.from_bytes(key[-left:], "little")) * _FACTOR) & _32_BITS
    mixed ^= mixed >> 13
    mixed = (mixed * _FACTOR) & _32_BITS
    return mixed ^ (mixed >> 15)
