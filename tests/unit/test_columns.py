"""What was fetched, as columns, whatever a producer put beside its records."""

import gc
import weakref

import pytest
from aiokafka import codec
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from leadline.kafka.columns import Columns, to_run
from leadline.kafka.private import Packed, Results

PACK = [None, codec.gzip_encode, codec.snappy_encode, codec.lz4_encode, codec.zstd_encode]


def test_what_the_broker_stamped_is_of_one_time():
    stamped = bytearray(written(["a", "b", "c"]))
    stamped[22] |= 8  # the attribute LogAppendTime
    read = list(MemoryRecords(bytes(stamped)).next_batch())
    columns = Columns(MemoryRecords(bytes(stamped)).next_batch(), 1, bytes(stamped))
    assert columns.timestamps == [record.timestamp for record in read][1:] == [1002, 1002]
    assert columns.offsets == [1, 2]


def written(names, number=0):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )  # fmt: skip
    for at, name in enumerate(names):
        builder.append(at, 1000 + at, b"k%d" % at, b"v%d" % at, [(name, b"x")])
    data = bytearray(bytes(builder.build()).replace(b"not-utf-8", b"not-utf-\xff"))
    if number:
        data[61:] = PACK[number](bytes(data[61:]))
        data[8:12] = (len(data) - 12).to_bytes(4)
        data[22] |= number
    return bytes(data)


@pytest.mark.parametrize("start", [0, 2])
def test_records_are_columns(start):
    data = written(["a", "b", "c"])
    run = to_run("outcomes", 1, [Columns(MemoryRecords(data).next_batch(), start, data)])
    assert run.offsets == [0, 1, 2][start:]
    assert run.keys == [b"k0", b"k1", b"k2"][start:]
    assert run.timestamps == [1000, 1001, 1002][start:]
    assert [list(headers) for headers in run.headers] == [[(name, b"x")] for name in "abc"[start:]]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("at", range(3))
def test_a_header_name_that_is_not_utf_8_is_replaced_and_all_else_is_read(at, number):
    names = ["a", "b", "c"]
    data = written([*names[:at], "not-utf-8", *names[at + 1 :]], number)
    run = to_run("outcomes", 1, [Columns(MemoryRecords(data).next_batch(), 0, data)])
    names[at] = "not-utf-\ufffd"
    assert run.offsets == [0, 1, 2]
    assert run.keys == [b"k0", b"k1", b"k2"]
    assert run.values == [b"v0", b"v1", b"v2"]
    assert run.timestamps == [1000, 1001, 1002]
    assert [list(headers) for headers in run.headers] == [[(name, b"x")] for name in names]


@pytest.mark.parametrize("extra", [2, 70, 75])
def test_one_that_even_so_cannot_be_read_is_one_record(extra):
    data = written(["not-utf-8", "b"])
    run = to_run("outcomes", 1, [Columns(MemoryRecords(data).next_batch(), 0, data[:-extra])])
    assert (run.offsets, run.values, list(run.unreadable)) == ([1], [None], [1])


class Fetched:
    """As aiokafka's FetchResult."""

    def __init__(self, records):
        self._partition_records = records


def test_what_was_fetched_goes_when_it_is_read_without_waiting_for_a_collection():
    partition = TopicPartition("t", 0)
    fetched = PartitionRecords(partition, Packed(written(["a", "b"])), [], 0, None, None, True, READ_COMMITTED)
    results, gone = Results(), weakref.ref(fetched)
    results[partition] = Fetched(fetched)
    gc.disable()
    try:
        assert to_run("outcomes", 0, list(fetched)).offsets == [0, 1]
        results.clear()
        del fetched
        assert gone() is None
    finally:
        gc.enable()
