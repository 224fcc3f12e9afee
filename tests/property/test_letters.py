"""A dead letter fits into its topic, whatever its record was."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from leadline.kafka.private import fill
from leadline.settings import SettingsError, load_settings
from leadline.wire.dead_letters import stub, to_record
from leadline.wire.limits import (
    BATCH_BYTES,
    CHANGELOG_BYTES,
    HEADER_BYTES,
    LETTER_KEY_BYTES,
    LETTER_VALUE_BYTES,
    MESSAGE_BYTES,
    MOST_RECORD_BYTES,
)
from leadline.wire.run import DeadLetter

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
