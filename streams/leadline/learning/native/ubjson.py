"""Universal Binary JSON as XGBoost writes it: read with a bound on all that is claimed, and written anew.

>>> decode(encode({"a": [1, "x"], "b": np.array([1.5, 2.0], np.float32)}))["b"].tolist()
[1.5, 2.0]
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError

_DTYPES = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_CODES = {np.dtype(kind).newbyteorder("="): code for code, kind in _DTYPES.items()}
_CONSTANTS = {"Z": None, "T": True, "F": False}
_DEEP = 32
_MOST = 8_000_000
"""Values that are no part of an array of numbers."""


def decode(data: bytes) -> Any:
    """The value in these bytes; an array of numbers is one of numpy. Raises NativeError."""
    reader = _Reader(data)
    found = reader.value(reader.code(), 0)
    if reader.at != len(data):
        raise NativeError("has bytes behind its end")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._read = 0

    def code(self) -> str:
        return chr(self._take(1)[0])

    def value(self, code: str, depth: int) -> Any:
        self._read += 1
        if depth > _DEEP or self._read > _MOST:
            raise NativeError("is nested too deeply, or has too many values")
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _DTYPES:
            return self._numbers(code, 1)[0].item()
        if code == "S":
            return self._text()
        if code == "[":
            return self._array(depth)
        if code == "{":
            return self._object(depth)
        raise NativeError(f"has an unknown value at byte {self.at}")

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self.at:
            raise NativeError("ends too early")
        self.at += size
        return self._data[self.at - size : self.at]

    def _numbers(self, code: str, count: int) -> NDArray[Any]:
        kind = np.dtype(_DTYPES[code])
        found = np.frombuffer(self._take(count * kind.itemsize), kind)
        return found.astype(kind.newbyteorder("="))

    def _size(self) -> int:
        code = self.code()
        if code not in "iUIlL":
            raise NativeError(f"has no size at byte {self.at}")
        return int(self._numbers(code, 1)[0])

    def _text(self) -> str:
        try:
            return self._take(self._size()).decode()
        except UnicodeDecodeError:
            raise NativeError("has a text that is no UTF-8") from None

    def _array(self, depth: int) -> Any:
        code = self.code()
        if code == "$":
            kind = self.code()
            if kind not in _DTYPES or self.code() != "#":
                raise NativeError(f"has an array of an unknown kind at byte {self.at}")
            return self._numbers(kind, self._size())
        if code == "#":
            return [self.value(self.code(), depth + 1) for _ in range(self._size())]
        found = []
        while code != "]":
            found.append(self.value(code, depth + 1))
            code = self.code()
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._data[self.at : self.at + 1] != b"}":
            name = self._text()
            if name in found:
                raise NativeError(f"has {name[:50]!r} twice")
            found[name] = self.value(self.code(), depth + 1)
        self._take(1)
        return found


def encode(value: Any) -> bytes:
    """A value as bytes."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    if isinstance(value, dict):
        parts.append(b"{")
        for name, each in value.items():
            parts.append(_said(name))
            _write(each, parts)
        parts.append(b"}")
    elif isinstance(value, list):
        parts.append(b"[#L" + struct.pack(">q", len(value)))
        for each in value:
            _write(each, parts)
    elif isinstance(value, np.ndarray):
        code = _CODES[value.dtype]
        parts.append(
            b"[$" + code.encode() + b"#L" + struct.pack(">q", value.size) + value.astype(_DTYPES[code]).tobytes()
        )
    elif isinstance(value, str):
        parts.append(b"S" + _said(value))
    elif isinstance(value, float):
        parts.append(b"d" + struct.pack(">f", value))
    else:
        parts.append(b"L" + struct.pack(">q", value))


def _said(text: str) -> bytes:
    data = text.encode()
    return b"L" + struct.pack(">q", len(data)) + data
