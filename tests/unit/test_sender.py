"""Rows in a batch: as many as are counted, and in their order."""

import random

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from leadline.kafka.sender import _fill


@pytest.mark.parametrize("seed", range(40))
def test_what_is_counted_is_in_the_batch(seed):
    rng = random.Random(seed)
    count, fits, limit = (
        rng.choice([1, 40, 3000]),
        rng.choice([300, 16_384, 1 << 20]),
        rng.choice([200, 9_000, 2 << 20]),
    )
    keys = [rng.choice([None, b"k%d" % i]) for i in range(count)]
    values = [rng.choice([None, rng.randbytes(rng.randrange(200))]) for _ in range(count)]
    headers = rng.choice([None, [[("h", b"%d" % i)] for i in range(count)]])
    builder = BatchBuilder(fits, 0)
    filled = _fill(builder, keys, values, headers, limit)
    assert builder.record_count() == filled
    held = list(MemoryRecords(bytes(builder._build())).next_batch()) if filled else []
    assert [(r.offset, r.key, r.value) for r in held] == list(zip(range(filled), keys, values, strict=False))
    assert [list(r.headers) for r in held] == (headers[:filled] if headers else [[]] * filled)
    whole = builder.size()
    assert filled == count or whole > min(fits, limit) - 300  # the next one would be too much
