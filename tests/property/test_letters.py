"""A dead letter fits into its topic, whatever its record was."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from leadline.kafka.private import fill
from leadline.settings import SettingsError, load_settings
from leadline.wire.dead_letters import stub, to_record
from leadline.wire.letters import Origin, Seen, Wanted, letters_of, why_not
from leadline.wire.limits import (
    BATCH_BYTES,
    CHANGELOG_BYTES,
    HEADER_BYTES,
    LETTER_KEY_BYTES,
    LETTER_VALUE_BYTES,
    MESSAGE_BYTES,
    MOST_RECORD_BYTES,
)
from leadline.wire.run import DeadLetter, Run

SIZES = st.sampled_from(
    [0, 1, 1000, LETTER_KEY_BYTES, LETTER_KEY_BYTES + 1, LETTER_VALUE_BYTES, (4 << 20) - 100, 20 << 20]
)
BYTES = st.none() | st.builds(lambda size, byte: bytes([byte]) * size, SIZES, st.integers(0, 255))
TEXT = st.text(max_size=20) | st.builds(
    lambda char, size: char * size, st.characters(codec=None), st.sampled_from([300, 1000, 1_000_000])
)
HOSTILE = st.builds(
    DeadLetter, st.just("prediction-requests"), st.integers(0, 2**31), st.integers(0, 2**63), BYTES, BYTES, TEXT, TEXT
)


def size_of(*rows):
    """Bytes of a batch of these rows."""
    builder = BatchBuilder(1 << 30, 0)
    assert fill(builder, *zip(*rows, strict=True), None) == len(rows)
    return builder.size()


@given(HOSTILE)
def test_a_letter_fits_and_says_what_was_cut(letter):
    key, value, headers = row = to_record(letter, "p" * 100, "scoring")
    assert size_of(row) + BATCH_BYTES <= MESSAGE_BYTES
    said = dict(headers)
    assert len(said) == len(headers)
    assert max(map(len, said.values())) <= HEADER_BYTES
    given_key = letter.key
    if given_key is None:
        assert said["leadline-no-key"] == b"true"
        given_key = f"prediction-requests/{letter.partition}/{letter.offset}".encode()
    assert key is not None
    for whole, cut, name in ((given_key, key, "leadline-key-bytes"), (letter.value, value, "leadline-value-bytes")):
        assert cut == (whole and whole[: len(cut)])
        assert said.get(name) == (b"%d" % len(whole) if whole != cut else None)
    bare = stub(*row)
    assert size_of(bare) <= 100 + 8 * (HEADER_BYTES + 50)
    assert not bare[0]
    assert not bare[1]
    for whole, name in ((given_key, "leadline-key-bytes"), (letter.value, "leadline-value-bytes")):
        assert dict(bare[2]).get(name) == (b"%d" % len(whole) if whole else None)


def test_the_largest_record_that_is_read_fits_behind_a_full_batch():
    assert load_settings(record_bytes=MOST_RECORD_BYTES).record_bytes == MOST_RECORD_BYTES
    with pytest.raises(SettingsError):
        load_settings(record_bytes=MOST_RECORD_BYTES + 1)
    assert BATCH_BYTES + MOST_RECORD_BYTES + 100_000 <= MESSAGE_BYTES <= CHANGELOG_BYTES


def letters(*headers):
    run = Run("dead-letters", 0, [4], [5], [b"r1"], [b"?"], [[*headers]])
    [letter] = letters_of(run, "leadline")
    return letter


def test_letters_of_kafka_streams_and_of_connect_say_where_their_records_were():
    """As ``errors.dead.letter.queue.topic.name`` of Kafka Streams and ``errors.deadletterqueue.topic.name`` of Connect write them."""
    streams = letters(
        ("__streams.errors.exception", b"org.apache.kafka.common.errors.SerializationException: no magic byte"),
        ("__streams.errors.message", b"no magic byte"),
        ("__streams.errors.stacktrace", b"..."),
        ("__streams.errors.topic", b"leadline.outcomes"),
        ("__streams.errors.partition", b"1"),
        ("__streams.errors.offset", b"7"),
    )
    connect = letters(
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.message", b"no magic byte"),
        ("__connect.errors.topic", b"leadline.outcomes"),
        ("__connect.errors.partition", b"1"),
        ("__connect.errors.offset", b"7"),
    )
    for letter, why in ((streams, "common.errors.SerializationException"), (connect, "connect.errors.DataException")):
        assert letter.origin == Origin("outcomes", 1, 7)
        assert (letter.reason, letter.detail) == (f"org.apache.kafka.{why}", "no magic byte")
        assert why_not(letter, Seen(there={letter.origin})) is None
        assert letter in Wanted(reason=f"org.apache.kafka.{why}", topic="outcomes")
    assert letters(("__streams.errors.message", None)).origin is None
    elsewhere = (
        ("__streams.errors.topic", b"other.outcomes"),
        ("__streams.errors.partition", b"0"),
        ("__streams.errors.offset", b"0"),
    )
    assert letters(*elsewhere).origin is None
