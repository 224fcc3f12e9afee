"""What every store does before a commit: keep the changes of the run apart, and let reads see them."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

Change = tuple[bytes, bytes | None]
Changes = dict[bytes, bytes | None]
"""What each key holds from now on; None deletes."""


class Overlay(ABC):
    """Uncommitted changes over committed entries. Subclasses read and write the committed ones.

    Changes are kept apart by the first byte of the key, so that a scan looks only at its own kind.
    """

    def __init__(self) -> None:
        self._changed: defaultdict[int, dict[bytes, bytes | None]] = defaultdict(dict)

    @abstractmethod
    def _read_many(self, keys: list[bytes]) -> list[bytes | None]: ...

    @abstractmethod
    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]: ...

    @abstractmethod
    def _write(self, changes: Changes) -> None:
        """Make all changes durable at once."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and locks; uncommitted changes are lost."""

    def get(self, key: bytes) -> bytes | None:
        changed = self._changed[key[0]]
        return changed[key] if key in changed else self._read_many([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        values = self._read_many(list(keys)) if keys else []
        if any(self._changed.values()):
            values = [self._changed[key[0]].get(key, value) for key, value in zip(keys, values, strict=True)]
        return values

    def put(self, key: bytes, value: bytes) -> None:
        self._changed[key[0]][key] = value

    def put_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        if keys:
            self._changed[keys[0][0]].update(zip(keys, values, strict=True))

    def delete(self, key: bytes) -> None:
        self._changed[key[0]][key] = None

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop in key order; both have the same first byte."""
        changed = self._changed[start[0]]
        fresh = sorted(key for key in changed if start <= key < stop)
        held = self._read_range(start, stop)
        yield from _merge(held, [(key, changed[key]) for key in fresh]) if fresh else held

    def changes(self) -> Changes:
        """The uncommitted changes."""
        merged: Changes = {}
        for kind in self._changed.values():
            merged.update(kind)
        return merged

    def commit(self, local: Mapping[bytes, bytes | None] | None = None) -> None:
        """Make the changes durable, together with entries of this disk alone."""
        changes = self.changes()
        changes.update(local or {})
        self._write(changes)
        self._changed.clear()

    def load(self, entries: Changes) -> None:
        """Make entries of the changelog durable; nobody has asked for them yet."""
        self._write(entries)

    def rollback(self) -> None:
        """Forget the uncommitted changes."""
        self._changed.clear()


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
