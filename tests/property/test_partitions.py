"""Keys go where Kafka's own clients put them."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from leadline.wire.partitions import _murmur2, partition_of


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_a_client(key):
    assert _murmur2(key) == murmur2(key)


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_a_key_has_a_partition(key, count):
    assert partition_of(key, count) == (murmur2(key) & 0x7FFFFFFF) % count
