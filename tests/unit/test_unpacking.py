"""Every codec unpacks what others packed, up to a limit and in no more memory."""

import gzip
import struct
import tracemalloc
from contextlib import suppress

import cramjam
import pytest
from aiokafka import codec
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from leadline.kafka import private, unpacking
from leadline.kafka.columns import to_run
from leadline.kafka.private import Packed, Refusal, Results
from leadline.wire.codec import decode
from leadline.wire.limits import BATCH_UNPACKED_BYTES, FETCH_UNPACKED_BYTES
from leadline.wire.run import ARRIVAL_HEADER, Run

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PACK = {
    "gzip": gzip.compress,
    "snappy": codec.snappy_encode,
    "lz4": lambda data: bytes(cramjam.lz4.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("size", [0, 1, 100_000, BATCH_UNPACKED_BYTES])
def test_what_is_within_the_limit_is_unpacked(name, size):
    data = bytes(size)
    assert getattr(unpacking, name)(PACK[name](data)) == data


@pytest.mark.parametrize("name", CODECS)
def test_what_is_over_the_limit_is_not(name):
    packed = PACK[name](bytes(BATCH_UNPACKED_BYTES + 1))
    with pytest.raises(unpacking.TooMuchError, match="64 MiB"):
        getattr(unpacking, name)(packed)


@pytest.mark.parametrize("packed", [b"", b"\xff" * 20, b"\x82SNAPPY\x00" + b"\xff" * 12, b"\x82SNAPPY\x00" + bytes(9)])
@pytest.mark.parametrize("name", CODECS)
def test_bytes_that_are_no_packed_ones_are_an_error(name, packed):
    with suppress(cramjam.DecompressionError, ValueError, struct.error):
        assert getattr(unpacking, name)(packed) == b""


def written(first, count, name="", value=b"v"):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=CODECS.get(name, 0), is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1 << 30,
    )  # fmt: skip
    for at in range(count):
        builder.append(at, 1000 + at, b"k", value, [])
    data = bytearray(builder.build())
    data[:8] = first.to_bytes(8)
    return bytes(data)


class Fetched:
    """As aiokafka's FetchResult."""

    def __init__(self, records):
        self._partition_records = records


def fetched(data, left=FETCH_UNPACKED_BYTES):
    """What a consumer hands over of these bytes, and the offset at which it goes on."""
    partition, results = TopicPartition("t", 0), Results()
    records = PartitionRecords(partition, Packed(data), [], 0, None, None, True, READ_COMMITTED)
    results.left.size = left
    results[partition] = Fetched(records)
    return list(records), records.next_fetch_offset


@pytest.mark.parametrize("name", CODECS)
def test_a_batch_that_cannot_be_unpacked_is_one_record_and_the_next_is_read(name, monkeypatch):
    def broken(_):
        raise ValueError("of all kinds")

    good = written(3, 2)
    spoilt = written(0, 3, name, b"v" * 100)
    monkeypatch.setattr(private.default_records, f"{name}_decode", broken)
    batches, end = fetched(spoilt + good)
    run = to_run("outcomes", 0, batches)
    assert (run.offsets, run.values, end) == ([2, 3, 4], [None, b"v", b"v"], 5)
    assert run.unreadable == {2: "the batch of offsets 0 to 2 cannot be read: of all kinds"}


@pytest.mark.parametrize("at", [16, 17, 22, 23, 60, 80])
def test_a_damaged_batch_is_refused_and_nothing_behind_it_is_read(at):
    spoilt = bytearray(written(2, 3, "zstd", b"v" * 100))
    spoilt[at] ^= 0x41
    batches, _ = fetched(written(0, 2) + bytes(spoilt) + written(5, 2))
    assert to_run("outcomes", 0, batches[:1]).offsets == [0, 1]
    [refusal] = batches[1:]
    assert isinstance(refusal, Refusal)
    assert refusal.offset == 2


def test_of_many_bombs_one_is_unpacked_at_a_time():
    bombs = b"".join(written(at, 1, "zstd", bytes(30 << 20)) for at in range(20))
    tracemalloc.start()
    try:
        batches, end = fetched(bombs, left=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(batches), end) == (1, 1)
    assert peak < 200 << 20


def test_what_cannot_be_read_does_not_say_what_time_it_is():
    """In a log that is replayed its broker's time may be years after those of the records."""
    arrival = [(ARRIVAL_HEADER, b"1000")]
    run = Run("outcomes", 0, [7, 8], [10**13, 10**13], [None, b""], [None, None], [(), arrival], {7: "of all kinds"})
    batch, letters = decode(run, 1 << 20)
    assert batch.arrival_max_ms == 1000
    assert [letter.offset for letter in letters] == [7]
