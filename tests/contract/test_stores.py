"""Every store behaves like a dict with commits."""

import os
import random
import time

import pytest

from leadline.state import rocksdb
from leadline.state.memory import MemoryStore
from leadline.state.rocksdb import RocksStore, StoreError, discard_stale


@pytest.fixture(params=["memory", "rocksdb", "rocksdb with little memory"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(rocksdb, "_COMMIT_BYTES", 0)
    if request.param.endswith("memory"):
        monkeypatch.setattr(rocksdb, "_RECENT_BYTES", 40)
    made = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "state")
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(5))
def test_reads_see_writes_and_rollback_forgets_them(store, seed):
    rng, committed, changed = random.Random(seed), {}, {}
    for i in range(1500):
        key = bytes([rng.choice(b"ab"), rng.randrange(40)])
        match rng.choice(["put", "put", "delete", "get", "scan", "commit", "rollback"]):
            case "put":
                store.put(key, b"%d" % i)
                changed[key] = b"%d" % i
            case "delete":
                store.delete(key)
                changed[key] = None
            case "commit" if rng.random() < 0.2:
                assert store.changes() == changed
                store.commit({b"z-local": b"%d" % i})
                committed = {k: v for k, v in (committed | changed).items() if v is not None}
                changed = {}
            case "rollback" if rng.random() < 0.2:
                store.rollback()
                changed = {}
        now = {k: v for k, v in (committed | changed).items() if v is not None}
        assert store.get(key) == now.get(key)
        other = key[:1] + b"\1"
        assert store.get_many([key, other]) == [now.get(key), now.get(other)]
        assert list(store.scan(b"a\5", b"a\x20")) == sorted((k, v) for k, v in now.items() if b"a\5" <= k < b"a\x20")


def test_what_is_loaded_takes_the_place_of_what_was_committed(store):
    store.put(b"a1", b"old")
    store.put(b"a2", b"kept")
    store.put(b"a3", b"old")
    store.commit()
    store.load({b"a1": b"new", b"a3": None, b"a4": b"new"})
    assert store.get_many([b"a1", b"a2", b"a3", b"a4"]) == [b"new", b"kept", None, b"new"]
    assert dict(store.scan(b"a", b"b")) == {b"a1": b"new", b"a2": b"kept", b"a4": b"new"}


def test_what_was_committed_survives_and_what_was_not_does_not(tmp_path):
    first = RocksStore(tmp_path / "state")
    first.put(b"a", b"1")
    first.commit()
    first.put(b"a", b"2")
    first.close()
    again = RocksStore(tmp_path / "state")
    assert again.get(b"a") == b"1"
    again.close()


def test_a_second_user_of_the_same_folder_is_refused(tmp_path):
    first = RocksStore(tmp_path / "state")
    with pytest.raises(StoreError, match="another worker uses this state"):
        RocksStore(tmp_path / "state")
    first.close()


def filled(path):
    store = RocksStore(path)
    for part in range(20):
        store.put_many([b"k%06d" % (part * 1000 + n) for n in range(1000)], [b"value" * 20] * 1000)
        store.commit()
    store.close()


def test_a_state_that_cannot_be_opened_is_set_aside(tmp_path):
    filled(tmp_path / "s")
    (tmp_path / "s" / "CURRENT").write_bytes(b"garbage")
    store = RocksStore(tmp_path / "s")
    assert store.get(b"k000001") is None
    store.close()
    assert (tmp_path / "s.damaged-1" / "CURRENT").read_bytes() == b"garbage"


def test_a_flipped_byte_is_found_when_it_is_read_and_the_next_start_is_clean(tmp_path):
    filled(tmp_path / "s")
    files = list((tmp_path / "s").glob("*.sst"))
    assert files
    for file in files:
        data = bytearray(file.read_bytes())
        data[100] ^= 0xFF
        file.write_bytes(data)
    store = RocksStore(tmp_path / "s")
    with pytest.raises(StoreError, match=r"damaged .* start again"):
        store.get_many([b"k%06d" % n for n in range(20_000)])
    store = RocksStore(tmp_path / "s")
    assert store.get(b"k000001") is None
    store.close()


def test_a_state_that_nobody_touched_for_long_is_discarded(tmp_path):
    filled(tmp_path / "s")
    now = time.time()
    assert not discard_stale(tmp_path / "s", now - 60)
    for file in (tmp_path / "s").iterdir():
        os.utime(file, (now - 3600, now - 3600))
    assert discard_stale(tmp_path / "s", now - 60)
    assert not (tmp_path / "s").exists()
    assert not discard_stale(tmp_path / "never-was", now)


def test_all_stores_of_a_process_share_the_memory_for_recent_entries(tmp_path, monkeypatch):
    monkeypatch.setattr(rocksdb, "_RECENT_BYTES", 40_000)
    rng, stores = random.Random(5), [RocksStore(tmp_path / str(number)) for number in range(4)]
    for turn in range(400):
        store = stores[0] if turn % 2 else rng.choice(stores)
        store.put(b"r%d" % turn, rng.randbytes(500))
        store.commit()
        held = [sum(map(len, each._recent[ord("r")].values())) for each in stores]
        assert sum(held) < 40_000
    assert held[0] == max(held) > 3_000
    for store in stores:
        store.close()
    assert not rocksdb._memory._commits
    assert rocksdb._memory._size == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_disk_of_a_killed_worker_holds_what_its_mark_says(tmp_path, monkeypatch, seed):
    """With the commits behind the mark, read again in order, it is what was committed: those before it are all there."""
    monkeypatch.setattr(rocksdb, "_COMMIT_BYTES", 0)
    monkeypatch.setattr(rocksdb, "_RECENT_BYTES", 300)
    rng, store, commits, wanted = random.Random(seed), RocksStore(tmp_path / "s"), [], {}
    for number in range(1, 80):
        changes = {b"k%d" % rng.randrange(12): rng.choice([None, b"", b"%d" % number, b"same"]) for _ in range(4)}
        for key, value in changes.items():
            store.delete(key) if value is None else store.put(key, value)
        store.commit({b"\0mark": b"%d" % number})
        commits.append(changes)
        wanted.update(changes)
        for key in rng.sample(range(12), 3):
            assert store.get(b"k%d" % key) == wanted.get(b"k%d" % key)
    rocksdb._memory.take(store)  # as kill -9 would
    store.close()
    found = RocksStore(tmp_path / "s")
    mark = int(found.get(b"\0mark") or 0)
    assert 0 < mark < 79
    for changes in commits[mark:]:
        found.load(changes)
    assert dict(found.scan(b"k", b"l")) == {key: value for key, value in wanted.items() if value is not None}
    found.close()


def test_a_store_that_cannot_save_closes_all_the_same(tmp_path, monkeypatch):
    store = RocksStore(tmp_path / "s")
    store.put(b"a", b"1")
    store.commit({b"\0mark": b"1"})

    def full(_):
        raise Exception("No space left on device")  # noqa: TRY002 - as RocksDB says it

    with monkeypatch.context() as patch:
        patch.setattr(store, "_put", full)
        store.close()
    again = RocksStore(tmp_path / "s")
    assert (again.get(b"a"), again.get(b"\0mark")) == (None, None)
    again.close()


def test_what_waits_for_long_is_saved(tmp_path, monkeypatch):
    store = RocksStore(tmp_path / "s")
    store.put(b"a", b"1")
    store.commit()
    assert store._db.get(b"a") is None
    monkeypatch.setattr(rocksdb, "_SAVE_S", 0)
    store.put(b"b", b"2")
    store.commit()
    assert (store._db.get(b"a"), store._db.get(b"b")) == (b"1", b"2")
    assert list((tmp_path / "s").glob("*.sst"))
    store.close()
