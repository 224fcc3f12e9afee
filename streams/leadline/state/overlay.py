"""What every store does before a commit: keep the changes of the run apart, and let reads see them."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence

Change = tuple[bytes, bytes | None]
Changes = dict[bytes, bytes | None]
"""What each key holds from now on; None deletes."""
ByKind = defaultdict[int, Changes]
"""Changes by the first byte of the key."""


class Overlay(ABC):
    """Uncommitted changes over committed entries. Subclasses read and write the committed ones.

    Changes are kept apart by the first byte of the key, so that a scan looks only at its own kind.
    """

    def __init__(self) -> None:
        self._changed: ByKind = defaultdict(dict)

    @abstractmethod
    def _read_many(self, keys: list[bytes]) -> list[bytes | None]:
        """What keys of one kind hold."""

    @abstractmethod
    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]: ...

    @abstractmethod
    def _write(self, changed: ByKind, local: Changes) -> None:
        """Take over the changes, which are this store's own from now on, all at once."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and locks; uncommitted changes are lost."""

    def get(self, key: bytes) -> bytes | None:
        changed = self._changed[key[0]]
        return changed[key] if key in changed else self._read_many([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What some keys hold; all have the same first byte."""
        values = self._read_many(list(keys)) if keys else []
        changed = self._changed.get(keys[0][0]) if keys else None
        if changed:
            values = list(map(changed.get, keys, values))
        return values

    def put(self, key: bytes, value: bytes) -> None:
        self._changed[key[0]][key] = value

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Put all; the keys have the same first byte."""
        if keys:
            self._changed[keys[0][0]].update(zip(keys, values, strict=True))

    def delete(self, key: bytes) -> None:
        self._changed[key[0]][key] = None

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop in key order; both have the same first byte."""
        return merged(self._read_range(start, stop), self._changed[start[0]], start, stop)

    def changes(self) -> Changes:
        """The uncommitted changes."""
        merged: Changes = {}
        for kind in self._changed.values():
            merged.update(kind)
        return merged

    def commit(self, local: Changes | None = None) -> None:
        """Keep the changes, together with entries of this disk alone; what a crash takes of them comes from the changelog."""
        self._write(self._changed, local or {})
        self._changed = defaultdict(dict)

    @abstractmethod
    def load(self, entries: Changes) -> None:
        """Keep entries of the changelog; nobody has asked for them yet."""

    def rollback(self) -> None:
        """Forget the uncommitted changes."""
        self._changed.clear()


def merged(
    held: Iterator[tuple[bytes, bytes]], changed: Changes, start: bytes, stop: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Held entries of a range in key order, with changes over them."""
    fresh = sorted(key for key in changed if start <= key < stop)
    return _merge(held, [(key, changed[key]) for key in fresh]) if fresh else held


def _merge(held: Iterator[tuple[bytes, bytes]], fresh: list[Change]) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for key, value in held:
        while at < len(fresh) and fresh[at][0] < key:
            yield from _present(fresh[at])
            at += 1
        if at < len(fresh) and fresh[at][0] == key:
            yield from _present(fresh[at])
            at += 1
        else:
            yield key, value
    for change in fresh[at:]:
        yield from _present(change)


def _present(change: Change) -> Iterator[tuple[bytes, bytes]]:
    key, value = change
    if value is not None:
        yield key, value
