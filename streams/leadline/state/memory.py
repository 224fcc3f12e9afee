"""A store in memory, for tests and simulation."""

from bisect import bisect_left
from collections.abc import Iterator

from leadline.state.overlay import ByKind, Changes, Overlay


class MemoryStore(Overlay):
    """Keyed bytes in a dict.

    >>> store = MemoryStore()
    >>> store.put(b"a", b"1")
    >>> store.commit()
    >>> store.delete(b"a")
    >>> store.get(b"a"), store.changes()
    (None, {b'a': None})
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[bytes, bytes] = {}

    def _read_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self._entries.get(key) for key in keys]

    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        keys = sorted(key for key in self._entries if key[0] == start[0])
        for key in keys[bisect_left(keys, start) : bisect_left(keys, stop)]:
            yield key, self._entries[key]

    def _write(self, changed: ByKind, local: Changes) -> None:
        for changes in (*changed.values(), local):
            self.load(changes)

    def load(self, entries: Changes) -> None:
        for key, value in entries.items():
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value

    def close(self) -> None:
        """Nothing to let go of."""
