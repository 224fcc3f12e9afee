"""Dead letters as records: the original bytes, with headers as Kafka Connect names them, and one more for the reason."""

from leadline.wire.run import DeadLetter, Headers

REASON_HEADER = "leadline-reason"


def to_record(letter: DeadLetter, prefix: str, step: str) -> tuple[bytes | None, bytes | None, Headers]:
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
    return letter.key, letter.value, [(name, text.encode(errors="replace")) for name, text in headers.items()]
