"""A store on disk: one RocksDB for each task."""

import shutil
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from weakref import WeakSet

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

from leadline.state.overlay import Changes, Overlay

_CACHE_BYTES = 80 << 20
_MEMTABLES_BYTES = 64 << 20
_RECENT_BYTES = 32 << 20
log = structlog.get_logger("leadline.state")
_cache = Cache(_CACHE_BYTES)
_memtables = WriteBufferManager.new_write_buffer_manager_with_cache(_MEMTABLES_BYTES, False, _cache)
_open_stores: "WeakSet[RocksStore]" = WeakSet()


class StoreError(Exception):
    """The state on disk cannot be used; the message says where and what to do."""


def _options() -> Options:
    """Memory is bounded: one block cache for the process, and the memtables of all tasks are part of it.

    Many small files at level 0 cost little to read (each has a bloom filter) and save rewriting.
    """
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_manager(_memtables)
    options.set_write_buffer_size(_MEMTABLES_BYTES // 4)
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
    path.mkdir(parents=True, exist_ok=True)
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


def _set_aside(path: Path) -> Path:
    """Rename the folder to the first free name."""
    number = next(n for n in count(1) if not path.with_name(f"{path.name}.damaged-{n}").exists())
    return path.rename(path.with_name(f"{path.name}.damaged-{number}"))


def discard_stale(path: Path, before_s: float) -> bool:
    """Delete a state that nobody has touched since a time (epoch seconds); whether there was one.

    The changelog tells of a deletion for some days only: an older state would keep what was deleted meanwhile.
    """
    touched = max((each.stat().st_mtime for each in path.glob("*")), default=None)
    if touched is None or touched >= before_s:
        return False
    shutil.rmtree(path)
    return True


class RocksStore(Overlay):
    """Keyed bytes in RocksDB under ``path``; a commit is one atomic write batch.

    What was written lately is kept in memory too, in two generations of which the older is dropped whole: a label often comes soon. All
    stores of the process share the memory for it, and age together: each has what it wrote in the same last while.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._write_options = _without_log()
        self._young: dict[bytes, bytes | None] = {}
        self._old: dict[bytes, bytes | None] = {}
        self._young_bytes = 0
        try:
            self._db = _open(path)
        except _DamagedError as error:
            aside = _set_aside(path)
            log.warning(
                "damaged state is set aside, and read anew from the changelog", now_in=str(aside), why=str(error)
            )
            self._db = _open(path)
        _open_stores.add(self)

    def _read_many(self, keys: list[bytes]) -> list[bytes | None]:
        values = list(map(self._young.get, keys))
        if None in values:
            old = self._old.get
            values = [old(key) if value is None else value for key, value in zip(keys, values, strict=True)]
        absent = [i for i, value in enumerate(values) if value is None]
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
        self.close()
        return StoreError(f"{self.path}: state is damaged ({error}); it is now in {_set_aside(self.path)}: start again")

    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(stop)
        try:
            yield from self._db.items(from_key=start, read_opt=bounds)
        except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
            raise self._damaged(error) from None

    def load(self, entries: Changes) -> None:
        """Without keeping them in memory: a restore would fill it with what may never be asked for."""
        self._young, self._young_bytes, self._old = {}, 0, {}
        self._put(entries)

    def _write(self, changes: Changes) -> None:
        self._young_bytes += self._put(changes)
        self._young.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            self._old.pop(key, None)
        if sum(each._young_bytes for each in _open_stores) > _RECENT_BYTES // 2:
            for each in _open_stores:
                each._age()

    def _age(self) -> None:
        self._young, self._young_bytes, self._old = {}, 0, self._young

    def _put(self, changes: Changes) -> int:
        """Write to disk; the bytes written."""
        batch, gone = WriteBatch(raw_mode=True), {key for key, value in changes.items() if value is None}
        for key in gone:
            batch.delete(key)
        kept = sorted(changes.keys() - gone if gone else changes)
        deque(map(batch.put, kept, map(changes.__getitem__, kept)), maxlen=0)  # in order: half the cost of the memtable
        size = int(batch.size_in_bytes())
        self._db.write(batch, self._write_options)
        return size

    def close(self) -> None:
        self._young, self._young_bytes, self._old = {}, 0, {}
        _open_stores.discard(self)
        self._db.close()

    def destroy(self) -> None:
        """Delete the state from this disk."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
