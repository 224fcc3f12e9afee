"""The wire form of Protocol Buffers, as far as ONNX needs it: read with a bound on all that is claimed, and written anew.

A message is the values of its fields by number; a schema says which fields there are, and others are left out.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError

Field = Literal["int", "ints", "float", "floats", "bytes", "many bytes"] | tuple[Literal["one", "many"], "Schema"]
Schema = Mapping[int, Field]
Message = dict[int, Any]
_DEEP = 12
_MOST = 4_000_000
"""Fields that are no part of a list of numbers."""


def decode(data: bytes, schema: Schema) -> Message:
    """The message in these bytes. Raises NativeError."""
    return _Reader().message(data, schema, 0)


class _Reader:
    def __init__(self) -> None:
        self._read = 0

    def message(self, data: bytes, schema: Schema, depth: int) -> Message:
        found: Message = {}
        if depth > _DEEP:
            raise NativeError("is nested too deeply")
        at = 0
        while at < len(data):
            self._read += 1
            if self._read > _MOST:
                raise NativeError("has too many fields")
            start = at
            tag, at = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            kind = schema.get(number)
            if (kind, wire) in (("ints", 0), ("floats", 5)):
                if number in found:
                    raise NativeError(f"has field {number} in pieces")
                at = _run(data, start, tag, str(kind), found.setdefault(number, []))
                continue
            value, at = _value(data, at, wire)
            if kind is not None:
                self._keep(found, number, kind, wire, value, depth)
        return {number: _joined(schema[number], value) for number, value in found.items()}

    def _keep(self, found: Message, number: int, kind: Field, wire: int, value: Any, depth: int) -> None:
        if _WIRE[kind if isinstance(kind, str) else "message"] != wire:
            raise NativeError(f"has field {number} in another form")
        if kind in ("ints", "floats"):
            found.setdefault(number, []).append(_packed_ints(value) if kind == "ints" else _packed_floats(value))
        elif kind == "many bytes":
            found.setdefault(number, []).append(value)
        elif isinstance(kind, tuple) and kind[0] == "many":
            found.setdefault(number, []).append(self.message(value, kind[1], depth + 1))
        elif number in found:
            raise NativeError(f"has field {number} twice")
        else:
            found[number] = self.message(value, kind[1], depth + 1) if isinstance(kind, tuple) else _single(kind, value)


_WIRE = {"int": 0, "float": 5, "bytes": 2, "many bytes": 2, "ints": 2, "floats": 2, "message": 2}


def _joined(kind: Field, value: Any) -> Any:
    return np.concatenate(value) if kind in ("ints", "floats") else value


def _single(kind: Field, value: Any) -> Any:
    return struct.unpack("<f", value)[0] if kind == "float" else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise NativeError("ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return _signed(value), at
    raise NativeError("has a number that does not end")


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _value(data: bytes, at: int, wire: int) -> tuple[Any, int]:
    if wire == 0:
        return _varint(data, at)
    if wire == 2:
        size, at = _varint(data, at)
    elif wire in (1, 5):
        size = 8 if wire == 1 else 4
    else:
        raise NativeError("has a field of an unknown form")
    if not 0 <= size <= len(data) - at:
        raise NativeError("ends too early")
    return data[at : at + size], at + size


def _run(data: bytes, at: int, tag: int, kind: str, found: list[NDArray[Any]]) -> int:
    """A run of single numbers, each behind the same tag of one byte; where it ends."""
    if tag > 0x7F:
        raise NativeError("has a list in another form")
    rest = np.frombuffer(data, np.uint8, offset=at)
    if kind == "floats":
        some = rest[: len(rest) // 5 * 5].reshape(-1, 5)
        count = _leading(some[:, 0] == tag)
        found.append(np.ascontiguousarray(some[:count, 1:]).view("<f4").ravel())
        return at + 5 * count if count else _early()
    ends = np.flatnonzero(rest < 0x80)
    ends = ends[: len(ends) // 2 * 2]
    tags, values = ends[0::2], ends[1::2]
    starts = np.concatenate([[0], values[:-1] + 1])
    count = _leading((tags == starts[: len(tags)]) & (rest[tags] == tag))
    if not count:
        return _early()
    size = int(values[count - 1]) + 1
    inside = np.delete(rest[:size], tags[:count])
    found.append(_packed_ints(inside.tobytes()))
    return at + size


def _early() -> int:
    raise NativeError("ends too early")


def _leading(true: NDArray[np.bool_]) -> int:
    return len(true) if true.all() else int(np.argmin(true))


def _packed_ints(data: bytes) -> NDArray[np.int64]:
    """Numbers of varying length, one behind the other."""
    rest = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(rest < 0x80)
    if len(rest) and (not len(ends) or ends[-1] != len(rest) - 1):
        raise NativeError("has a number that does not end")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 10:
        raise NativeError("has a number that does not end")
    place = np.arange(len(rest)) - np.repeat(starts, lengths)
    parts = (rest & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    summed = np.add.reduceat(parts, starts) if len(starts) else np.zeros(0, np.uint64)
    return summed.view(np.int64)


def _packed_floats(data: bytes) -> NDArray[np.float32]:
    if len(data) % 4:
        raise NativeError("ends too early")
    return np.frombuffer(data, "<f4")


def encode(message: Message, schema: Schema) -> bytes:
    """A message as bytes."""
    return b"".join(part for number in sorted(message) for part in _field(number, schema[number], message[number]))


def _field(number: int, kind: Field, value: Any) -> Iterator[bytes]:
    if kind == "int":
        yield _number(number << 3) + _number(value)
    elif kind == "float":
        yield _number(number << 3 | 5) + struct.pack("<f", value)
    elif kind == "ints":
        yield _sized(number, b"".join(map(_number, value.tolist())))
    elif kind == "floats":
        yield _sized(number, value.astype("<f4").tobytes())
    elif isinstance(kind, tuple):
        yield from (_sized(number, encode(each, kind[1])) for each in (value if kind[0] == "many" else [value]))
    else:
        yield from (_sized(number, each) for each in (value if kind == "many bytes" else [value]))


def _sized(number: int, data: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(data)) + data


def _number(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
