"""A store on disk: one RocksDB for each task."""

import shutil
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from leadline.errors import LeadlineError
from leadline.settings.private import private_folder
from leadline.state.overlay import ByKind, Changes, Overlay, merged

_CACHE_BYTES = 48 << 20
_MEMTABLES_BYTES = 32 << 20
_RECENT_BYTES = 32 << 20
_SAVE_S = 3600.0
"""Commits are on disk after this time at the latest: the changelog keeps a deletion for some days only."""
_COMMIT_BYTES = 2000
"""What a commit takes besides its entries."""
_ABSENT = object()
log = structlog.get_logger("leadline.state")
_cache = Cache(_CACHE_BYTES)
_memtables = WriteBufferManager.new_write_buffer_manager_with_cache(_MEMTABLES_BYTES, False, _cache)


class StoreError(LeadlineError):
    """The state on disk cannot be used; the message says where and what to do."""


def _options() -> Options:
    """Memory is bounded: one block cache for the process, and the memtables of all tasks are part of it.

    Many small files at level 0 cost little to read (each has a bloom filter) and save rewriting.
    """
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_manager(_memtables)
    options.set_write_buffer_size(_MEMTABLES_BYTES // 2)
    options.set_allow_concurrent_memtable_write(False)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    options.set_level_zero_file_num_compaction_trigger(16)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    table = BlockBasedOptions()
    table.set_block_cache(_cache)
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options


def _without_log() -> WriteOptions:
    """The changelog topic is the log: what a killed process had not written out yet comes from there."""
    options = WriteOptions()
    options.disable_wal = True  # type: ignore[assignment,method-assign] # a property, whatever its stub says
    return options


class _DamagedError(Exception):
    pass


def _open(path: Path) -> Rdict:
    try:
        private_folder(path)
    except OSError as error:
        raise StoreError(
            f"{path}: state cannot be kept there ({error.strerror}); set LEADLINE_STATE to a folder that can be written"
        ) from None
    try:
        return Rdict(str(path), _options())
    except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
        if "lock" in str(error).lower():
            raise StoreError(
                f"{path}: another worker uses this state; stop it, or set another LEADLINE_STATE"
            ) from None
        if not str(error).startswith(("Corruption", "Not implemented", "Invalid argument")):
            raise StoreError(
                f"{path}: state cannot be opened ({error}); make room, or mend the folder's rights"
            ) from None
        raise _DamagedError(str(error)) from None


def set_aside(path: Path, why: str) -> Path:
    """Rename the folder to the first free name that says why."""
    number = next(n for n in count(1) if not path.with_name(f"{path.name}.{why}-{n}").exists())
    return path.rename(path.with_name(f"{path.name}.{why}-{number}"))


def discard_stale(path: Path, before_s: float) -> bool:
    """Delete a state that nobody has touched since a time (epoch seconds); whether there was one.

    The changelog keeps a deletion for some days only: an older state would keep what was deleted meanwhile.
    """
    touched = max((each.stat().st_mtime for each in path.glob("*")), default=None)
    if touched is None or touched >= before_s:
        return False
    shutil.rmtree(path)
    return True


class _Unsaved(NamedTuple):
    """What one commit changed, while it is in memory alone."""

    store: "RocksStore"
    changed: ByKind
    local: Changes
    size: int


class _Memory:
    """What is not saved, of all stores of the process, in the order of the commits."""

    def __init__(self) -> None:
        self._commits: deque[_Unsaved] = deque()
        self._size = 0

    def add(self, commit: _Unsaved) -> None:
        """Keep a commit, and save the oldest ones that are too much."""
        self._commits.append(commit)
        self._size += commit.size
        while self._size > _RECENT_BYTES:
            oldest = self._commits.popleft()
            self._size -= oldest.size
            oldest.store._save(oldest)

    def take(self, store: "RocksStore") -> list[_Unsaved]:
        """The commits of one store, which are not kept any more."""
        own = [commit for commit in self._commits if commit.store is store]
        self._commits = deque(commit for commit in self._commits if commit.store is not store)
        self._size -= sum(commit.size for commit in own)
        return own


_memory = _Memory()


class RocksStore(Overlay):
    """Keyed bytes in RocksDB under ``path``.

    What was committed lately is in memory first, and saved to disk in the order of the commits when the memory for it, which all stores of
    the process share, is full: a label often comes soon, and then its row is written once. A process that is killed loses no more than
    that, and reads it again from the changelog: the disk says by its own entries (``local``) how much of it it holds.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._write_options = _without_log()
        self._recent: ByKind = defaultdict(dict)
        self._saved_at = time.monotonic()
        try:
            self._db = _open(path)
        except _DamagedError as error:
            aside = set_aside(path, "damaged")
            log.warning(
                "damaged state is set aside, and read anew from the changelog", now_in=str(aside), why=str(error)
            )
            self._db = _open(path)

    def _read_many(self, keys: list[bytes]) -> list[bytes | None]:
        recent = self._recent.get(keys[0][0])
        if not recent:
            return self._held(keys)
        values: list[Any] = list(map(recent.get, keys, repeat(_ABSENT)))
        absent = [i for i, value in enumerate(values) if value is _ABSENT]
        if len(absent) == len(keys):
            return self._held(keys)
        for i, value in zip(absent, self._held([keys[i] for i in absent]) if absent else [], strict=True):
            values[i] = value
        return values

    def _held(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            values: list[bytes | None] = self._db.get(keys)  # type: ignore[arg-type,assignment]
        except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
            raise self._damaged(error) from None
        return values

    def _damaged(self, error: Exception) -> StoreError:
        """Set the files aside, so that the next start reads the changelog, and does not stumble again."""
        _memory.take(self)
        self._db.close()
        return StoreError(
            f"{self.path}: state is damaged ({error}); it is now in {set_aside(self.path, 'damaged')}: start again"
        )

    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return merged(self._held_range(start, stop), self._recent[start[0]], start, stop)

    def _held_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(stop)
        try:
            yield from self._db.items(from_key=start, read_opt=bounds)
        except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
            raise self._damaged(error) from None

    def load(self, entries: Changes) -> None:
        """To disk at once: in memory would be what may never be asked for."""
        self._save_all()
        self._put([(entries, entries)])

    def _write(self, changed: ByKind, local: Changes) -> None:
        for kind, changes in changed.items():
            self._recent[kind].update(changes)
        _memory.add(_Unsaved(self, changed, local, _COMMIT_BYTES + sum(map(_size, changed.values()))))
        if time.monotonic() - self._saved_at > _SAVE_S:
            self._save_all()
            self._db.flush()

    def _save(self, commit: _Unsaved) -> None:
        """Write the oldest commit to disk, but what a younger one wrote again: that comes with the younger one."""
        parts: list[tuple[Iterable[bytes], Changes]] = [(commit.local, commit.local)]
        for kind, changes in commit.changed.items():
            recent = self._recent[kind]
            still = [key for key, value in changes.items() if recent.get(key, _ABSENT) is value]
            deque(map(recent.__delitem__, still), maxlen=0)
            parts.append((still, changes))
        self._put(parts)

    def _put(self, parts: Iterable[tuple[Iterable[bytes], Changes]]) -> None:
        """Write what the keys of each part hold now."""
        batch = WriteBatch(raw_mode=True)
        for keys, changes in parts:
            _fill(batch, keys, changes)
        self._db.write(batch, self._write_options)

    def _save_all(self) -> None:
        for commit in _memory.take(self):
            self._save(commit)
        self._saved_at = time.monotonic()

    def close(self) -> None:
        try:
            self._save_all()
        except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
            log.warning("not saved, and read again from the changelog", path=str(self.path), why=str(error))
        self._db.close()


def _fill(batch: WriteBatch, keys: Iterable[bytes], changes: Changes) -> None:
    """What the keys hold now, in their order: half the cost of the memtable."""
    ordered = sorted(keys)
    values = list(map(changes.__getitem__, ordered))
    if values.count(None):
        for key, value in zip(ordered, values, strict=True):
            batch.delete(key) if value is None else batch.put(key, value)
    else:
        deque(map(batch.put, ordered, values), maxlen=0)


def _size(changes: Changes) -> int:
    return sum(map(len, changes)) + sum(map(len, filter(None, changes.values())))
