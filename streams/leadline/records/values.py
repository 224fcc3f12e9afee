"""Values of records as text."""

import json

import numpy as np

_BRIEF = 60
_compact = json.JSONEncoder(separators=(",", ":")).encode


def identity(*parts: str | int) -> bytes:
    """The key of a record that is not of one request: what it is about, as a JSON array.

    >>> identity("counts", "delays", 3)
    b'["counts","delays",3]'
    """
    return _compact(parts).encode()


def iso(time_ms: int) -> str:
    """A time as ISO-8601 in UTC, with milliseconds where there are any; of any year, unlike datetime.

    >>> iso(0), iso(-1), iso(-62_135_596_800_001), iso(2**53)
    ('1970-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '0000-12-31T23:59:59.999Z', '287396-10-12T08:59:00.992Z')
    """
    return str(np.datetime64(time_ms, "ms")).removesuffix(".000") + "Z"


def to_number(text: str) -> float:
    """The number that a text from outside is. Python's own ``float`` also takes ``1_0`` for 10, and digits of other scripts.

    Raises ValueError where it is none.

    >>> to_number("-2.5e3")
    -2500.0
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"{brief(text)} is no number")
    return float(text)


def brief(text: str) -> str:
    """Text that somebody else chose, in quotes, for a message: its beginning where it is long, and no control characters.

    >>> brief("fraud"), brief("a" * 1_000_000)[-6:]
    ("'fraud'", "aa'...")
    """
    return repr(text) if len(text) <= _BRIEF else f"{text[:_BRIEF]!r}..."
