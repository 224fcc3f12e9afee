"""Dead letters as records: the original bytes, with headers as Kafka Connect names them, and more for the reason and what was cut.

A letter always fits into its topic, whatever its record was: value, key and each header are bounded (`leadline.wire.limits`).
"""

from leadline.wire.limits import HEADER_BYTES, LETTER_KEY_BYTES, LETTER_VALUE_BYTES
from leadline.wire.run import DeadLetter, Headers

REASON_HEADER = "leadline-reason"
VALUE_BYTES_HEADER = "leadline-value-bytes"
KEY_BYTES_HEADER = "leadline-key-bytes"
"""The length that a value or key had before it was cut; on letters where that was done."""
NO_KEY_HEADER = "leadline-no-key"
"""On the letter of a record without key. The letter has the record's place as its key: a compacted topic refuses what has none."""


Row = tuple[bytes | None, bytes | None, Headers]


def to_record(letter: DeadLetter, prefix: str, step: str) -> Row:
    """Key, value and headers of a dead letter that a stage puts out.

    >>> letter = DeadLetter("outcomes", 1, 7, b"r1", b"?", "undecodable", "no record of a known schema")
    >>> dict(to_record(letter, "leadline", "join")[2])["__connect.errors.topic"]
    b'leadline.outcomes'
    """
    headers = {
        "__connect.errors.connector.name": f"{prefix}.{step}",
        "__connect.errors.topic": f"{prefix}.{letter.topic}",
        "__connect.errors.partition": str(letter.partition),
        "__connect.errors.offset": str(letter.offset),
        "__connect.errors.exception.message": letter.detail,
        REASON_HEADER: letter.reason,
    }
    key = letter.key
    if key is None:
        key = f"{letter.topic}/{letter.partition}/{letter.offset}".encode()
        headers[NO_KEY_HEADER] = "true"
    return _cut(key, letter.value, [(name, _bounded(text)) for name, text in headers.items()])


def stub(key: bytes | None, value: bytes | None, headers: Headers) -> Row:
    """A dead letter without key and value, for a topic that takes less than it should.

    >>> stub(b"r1", b"?", [])
    (b'', b'', [('leadline-key-bytes', b'2'), ('leadline-value-bytes', b'1')])
    """
    return _cut(key, value, headers, 0, 0)


def _cut(
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    key_bytes: int = LETTER_KEY_BYTES,
    value_bytes: int = LETTER_VALUE_BYTES,
) -> Row:
    """The first bytes of key and value; where that is not all, a header says how many there were."""
    parts = (KEY_BYTES_HEADER, key, key_bytes), (VALUE_BYTES_HEADER, value, value_bytes)
    known = dict(headers)
    lengths = [(name, b"%d" % len(given)) for name, given, most in parts if given and len(given) > most]
    cut = [given and given[:most] for _, given, most in parts]
    return cut[0], cut[1], [*headers, *((name, length) for name, length in lengths if name not in known)]


def _bounded(text: str) -> bytes:
    r"""The text in UTF-8, cut between two characters.

    >>> len(_bounded("é" * 2000)), _bounded("\ud800")
    (1000, b'?')
    """
    written = text[:HEADER_BYTES].encode(errors="replace")
    return written if len(written) <= HEADER_BYTES else written[:HEADER_BYTES].decode(errors="ignore").encode()
