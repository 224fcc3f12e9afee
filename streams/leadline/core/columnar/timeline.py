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
MOST_BYTES = 1 << 20
"""Bytes of the keys that are taken at once: what becomes of them has to fit into one transaction."""


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

    def is_due(self, now_ms: int) -> bool:
        """Whether any key's time is before ``now_ms``."""
        return self._first is not None and self._first < now_ms

    def take(self, now_ms: int, sequence: int, most: int) -> tuple[NDArray[np.int64], list[bytes]]:
        """Remove and return times and keys whose time is before ``now_ms``: up to ``most``, and of `MOST_BYTES`; what is left `is_due`."""
        times: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        keys: list[bytes] = []
        if not self.is_due(now_ms):
            return times[0], keys
        room = MOST_BYTES
        for block, value in self._first_blocks(now_ms, most):
            block_times, block_keys = _unpack(value)
            all_due = np.flatnonzero(block_times < now_ms)
            due = all_due[: most - len(keys)]
            due = due[: _fitting([len(block_keys[i]) for i in due.tolist()], room)]
            taken = [block_keys[i] for i in due.tolist()]
            times.append(block_times[due])
            keys += taken
            room -= sum(map(len, taken))
            self._keep_rest(block, block_times, block_keys, due, sequence)
            if len(due) < len(all_due) or room <= 0:  # what is left may now be part of a block that was read above
                break
        self._first = self._scanned()
        return np.concatenate(times), keys

    def _keep_rest(
        self, block: bytes, times: NDArray[np.int64], keys: list[bytes], taken: NDArray[np.int64], sequence: int
    ) -> None:
        """Put a block back without what was taken of it."""
        self._store.delete(block)
        left = np.ones(len(keys), bool)
        left[taken] = False
        rest = np.flatnonzero(left)
        if len(rest):
            self._put(times[rest], [keys[i] for i in rest.tolist()], sequence)

    def _first_blocks(self, now_ms: int, most: int) -> list[tuple[bytes, bytes]]:
        """The first blocks that have something due, so many that they have ``most`` keys or more."""
        blocks, count = [], 0
        for block, value in self._blocks(now_ms):
            blocks.append((block, value))
            count += int((np.frombuffer(value, "<i8", *_times_of(value)) < now_ms).sum())
            if count >= most:
                break
        return blocks

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


def _times_of(value: bytes) -> tuple[int, int]:
    """How many times a block has, and where they begin."""
    return int(struct.unpack_from("<I", value)[0]), 4


def _fitting(sizes: list[int], room: int) -> int:
    """How many of the first sizes fit into so much room, one at least.

    >>> _fitting([3, 3, 3], 6), _fitting([9], 6), _fitting([], 6)
    (2, 1, 0)
    """
    fitting = int((np.cumsum(sizes) <= room).sum()) if sizes else 0
    return max(fitting, min(len(sizes), 1))


def _unpack(value: bytes) -> tuple[NDArray[np.int64], list[bytes]]:
    (count,) = struct.unpack_from("<I", value)
    times = np.frombuffer(value, "<i8", count, 4)
    ends = np.cumsum(np.frombuffer(value, "<u4", count, 4 + 8 * count)) + 4 + 12 * count
    starts = [4 + 12 * count, *ends.tolist()]
    return times, [value[a:b] for a, b in pairwise(starts)]
