"""From a run that fails to the least that fails, and the words that repeat it."""

from collections.abc import Callable
from typing import TypeVar

from fuzz.reference import Raw

_TRIES = 400
Part = TypeVar("Part", bytes, list[Raw])


def shrink(records: list[Raw], fails: Callable[[list[Raw]], bool]) -> list[Raw]:
    """The fewest records that still fail, and of their values the fewest bytes."""
    records = _fewer(records, fails)
    for i, record in enumerate(records):
        records = [*records[:i], _shorter(records, i, record, fails), *records[i + 1 :]]
    return records


def _shorter(records: list[Raw], i: int, record: Raw, fails: Callable[[list[Raw]], bool]) -> Raw:
    def with_value(value: bytes) -> list[Raw]:
        return [*records[:i], record._replace(value=value), *records[i + 1 :]]

    if record.value is None:
        return record
    return record._replace(value=_fewer(record.value, lambda value: fails(with_value(value))))


def _fewer(whole: Part, fails: Callable[[Part], bool]) -> Part:
    """Leave out halves, quarters and so on, as long as what remains fails."""
    tries, size = _TRIES, len(whole) // 2
    while size and tries:
        at = 0
        while at < len(whole) and tries:
            rest = whole[:at] + whole[at + size :]
            tries -= 1
            if fails(rest):
                whole = rest
            else:
                at += size
        size //= 2
    return whole


def to_text(topic: str, record: Raw) -> str:
    """A record as one word: topic, key and value, then headers with their names, in hex."""
    headers = [f"{name}={_hex(value)}" for name, value in record.headers]
    return ":".join([topic, _hex(record.key), _hex(record.value), *headers])


def from_text(text: str) -> tuple[str, Raw]:
    """Topic and record of a word."""
    topic, key, value, *headers = text.split(":")
    pairs = [header.split("=") for header in headers]
    return topic, Raw(_unhex(key), _unhex(value), tuple((name, _unhex(said)) for name, said in pairs))


def _hex(value: bytes | None) -> str:
    return "none" if value is None else value.hex()


def _unhex(text: str) -> bytes | None:
    return None if text == "none" else bytes.fromhex(text)
