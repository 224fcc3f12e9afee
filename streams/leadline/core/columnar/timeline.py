"""Keys that are due at a time, in a store: blocks of entries, sorted by their earliest time.

One run writes one block for each stretch of time, not one entry for each key.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from leadline.core.processor import Store

_BLOCK = struct.Struct(">QQ")
_BIAS = 2**63


class Timeline:
    """Keys by due time, under one prefix of a store. It remembers when the first is due: a scan costs as much as hundreds of records."""

    def __init__(self, store: Store, prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix
        self._first = self._scanned()

    def add(self, when_ms: NDArray[np.int64], keys: Sequence[bytes], width_ms: int, sequence: int) -> None:
        """File each key under its time, a block for each ``width_ms``; ``sequence`` tells the blocks of different runs apart."""
        if not len(keys):
            return
        stretch = when_ms // max(1, width_ms)
        if stretch.min() == stretch.max():
            self._put(when_ms, list(keys), sequence)
            return
        order = np.argsort(stretch, kind="stable")
        bounds = [0, *(np.flatnonzero(np.diff(stretch[order])) + 1).tolist(), len(order)]
        for start, stop in pairwise(bounds):
            part = order[start:stop]
            self._put(when_ms[part], [keys[i] for i in part.tolist()], sequence)

    def _put(self, when_ms: NDArray[np.int64], keys: list[bytes], sequence: int) -> None:
        earliest = int(when_ms.min())
        self._first = earliest if self._first is None else min(self._first, earliest)
        block = self._prefix + _BLOCK.pack(earliest + _BIAS, sequence)
        held = self._store.get(block)
        if held is not None:
            times, others = _unpack(held)
            when_ms, keys = np.concatenate([times, when_ms]), others + keys
        self._store.put(block, _pack(when_ms, keys))

    def take(self, now_ms: int, sequence: int) -> list[bytes]:
        """Remove and return the keys whose time is before ``now_ms``."""
        due: list[bytes] = []
        if self._first is None or self._first >= now_ms:
            return due
        for block, value in list(self._blocks(now_ms)):
            times, keys = _unpack(value)
            over = times < now_ms
            due += [keys[i] for i in np.flatnonzero(over).tolist()]
            self._store.delete(block)
            rest = np.flatnonzero(~over)
            if len(rest):
                self._put(times[rest], [keys[i] for i in rest.tolist()], sequence)
        self._first = self._scanned()
        return due

    def _blocks(self, now_ms: int) -> Iterator[tuple[bytes, bytes]]:
        return self._store.scan(self._prefix, self._prefix + _BLOCK.pack(min(now_ms, _BIAS - 1) + _BIAS, 0))

    def first(self) -> int | None:
        """The earliest time at which something is due; None: nothing is filed."""
        return None if self._first is None else self._first + 1

    def _scanned(self) -> int | None:
        """The time of the first block."""
        for block, _ in self._store.scan(self._prefix, self._prefix + b"\xff" * 17):
            return int(_BLOCK.unpack(block[len(self._prefix) :])[0]) - _BIAS
        return None


def _pack(when_ms: NDArray[np.int64], keys: Sequence[bytes]) -> bytes:
    sizes = np.array(list(map(len, keys)), "<u4")
    return struct.pack("<I", len(keys)) + when_ms.astype("<i8").tobytes() + sizes.tobytes() + b"".join(keys)


def _unpack(value: bytes) -> tuple[NDArray[np.int64], list[bytes]]:
    (count,) = struct.unpack_from("<I", value)
    times = np.frombuffer(value, "<i8", count, 4)
    ends = np.cumsum(np.frombuffer(value, "<u4", count, 4 + 8 * count)) + 4 + 12 * count
    starts = [4 + 12 * count, *ends.tolist()]
    return times, [value[a:b] for a, b in pairwise(starts)]
