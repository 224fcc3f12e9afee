"""A store on disk: one RocksDB for each task."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, ReadOptions, WriteBatch

from leadline.state.overlay import Change, Overlay

_CACHE_BYTES = 64 << 20
_MEMTABLE_BYTES = 16 << 20
_cache = Cache(_CACHE_BYTES)


class StoreError(Exception):
    """The state on disk cannot be used; the message says where and what to do."""


def _options() -> Options:
    """Memory is bounded: one block cache for the process, at most three memtables a task."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    table = BlockBasedOptions()
    table.set_block_cache(_cache)
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options


class RocksStore(Overlay):
    """Keyed bytes in RocksDB under ``path``; a commit is one atomic write batch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(path), _options())
        except Exception as error:  # noqa: BLE001 - its Rust errors are plain Exceptions
            raise StoreError(
                f"{path}: state cannot be opened ({error}); stop the other worker that uses it, or delete the folder"
            ) from None

    def _read_many(self, keys: list[bytes]) -> list[bytes | None]:
        values: list[bytes | None] = self._db.get(keys)  # type: ignore[arg-type,assignment]
        return values

    def _read_range(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(stop)
        yield from self._db.items(from_key=start, read_opt=bounds)

    def _write(self, changes: list[Change]) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._db.write(batch)

    def close(self) -> None:
        self._db.close()

    def destroy(self) -> None:
        """Delete the state from this disk."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
