"""Dead letters, read back: where each came from, and whether its record may go back there.

What people send goes back (`RETURNABLE`). What stages write for each other does not: the stage that wrote it writes it anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from leadline.foreign_text import as_text
from leadline.wire.dead_letters import KEY_BYTES_HEADER, NO_KEY_HEADER, REASON_HEADER, VALUE_BYTES_HEADER
from leadline.wire.run import Run
from leadline.wire.topics import JSON_TOPICS

RETURNABLE = JSON_TOPICS
REPLAYED_HEADER = "leadline-replayed"
"""On a record that was sent again: partition and offset of its dead letter, as ``0/12``."""
_BRIEF = 1000
_CONNECT, _STREAMS = "__connect.errors.", "__streams.errors."
_PLACES = tuple(tuple(f"{of}{name}" for name in ("topic", "partition", "offset")) for of in (_CONNECT, _STREAMS))
_WHAT = (f"{_CONNECT}exception.class.name", f"{_STREAMS}exception")
_MESSAGES = (f"{_CONNECT}exception.message", f"{_STREAMS}message")


class Origin(NamedTuple):
    """Where a record was; ``topic`` is without prefix."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} {self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. ``origin`` None: it does not say where its record was, so no stage wrote it.

    ``lengths``: of key and value of the record; None: there was none. ``is_cut``: the letter does not hold all of them.
    """

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, str | None], ...]
    origin: Origin | None
    lengths: tuple[int | None, int | None]
    is_cut: bool

    @property
    def at(self) -> str:
        """Where it is in the topic of the dead letters."""
        return f"{self.partition}/{self.offset}"

    def header(self, name: str) -> str:
        """A header; empty where there is none."""
        return dict(self.headers).get(name) or ""

    @property
    def reason(self) -> str:
        """The reason that a stage gave; of a letter of Kafka Connect or Kafka Streams the class of the exception."""
        return reason_of(dict(self.headers))

    @property
    def detail(self) -> str:
        return _first(dict(self.headers), _MESSAGES)

    def is_of(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether a record may be that of the letter; another one is there where a topic was made anew."""
        begins = (key or b"").startswith(self.key or b"") and (value or b"").startswith(self.value or b"")
        return begins and (_length(key), _length(value)) == self.lengths

    def brief(self) -> "Letter":
        """The same with the beginnings of key and value alone: many of them fit into memory."""
        return replace(self, key=self.key and self.key[:_BRIEF], value=self.value and self.value[:_BRIEF])


def reason_of(headers: Mapping[str, str | None]) -> str:
    """The reason in the headers of a letter; empty where they have none."""
    return headers.get(REASON_HEADER) or _first(headers, _WHAT).partition(":")[0]


def topic_of(headers: Mapping[str, str | None]) -> str:
    """The whole name of the topic of its record; empty where they have none."""
    return _first(headers, [topic for topic, *_ in _PLACES])


def _first(headers: Mapping[str, str | None], names: Iterable[str]) -> str:
    return next(filter(None, map(headers.get, names)), "")


def letters_of(run: Run, prefix: str) -> Iterator[Letter]:
    """The letters in a run of the topic of dead letters."""
    columns = zip(run.offsets, run.timestamps, run.keys, run.values, run.headers, strict=True)
    for offset, timestamp, key, value, given in columns:
        headers = {name: as_text(said) for name, said in given}
        key = None if NO_KEY_HEADER in headers else key
        here = _length(key), _length(value)
        said_key, said_value = (_number(headers.get(name)) for name in (KEY_BYTES_HEADER, VALUE_BYTES_HEADER))
        lengths = None if key is None else said_key or here[0], said_value or here[1]
        origin = _origin(headers, prefix)
        yield Letter(
            run.partition, offset, timestamp, key, value, tuple(headers.items()), origin, lengths, lengths != here
        )


def _length(part: bytes | None) -> int | None:
    return None if part is None else len(part)


def _origin(headers: dict[str, str | None], prefix: str) -> Origin | None:
    """Where a record was, as a stage and Kafka Connect say it, or as Kafka Streams does."""
    for name, *numbers in _PLACES:
        topic = headers.get(name) or ""
        partition, offset = (_number(headers.get(each)) for each in numbers)
        if topic.startswith(f"{prefix}.") and partition is not None and offset is not None:
            return Origin(topic.removeprefix(f"{prefix}."), partition, offset)
    return None


def _number(text: str | None) -> int | None:
    """A number in plain digits; None where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters somebody asks for; empty and None ask for all. Times are those of the letters, in milliseconds."""

    reason: str = ""
    topic: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def __contains__(self, letter: Letter) -> bool:
        topic = letter.origin.topic if letter.origin else ""
        since, until = self.since_ms, self.until_ms
        fits = self.reason in ("", letter.reason) and self.topic in ("", topic)
        return fits and (since is None or letter.timestamp >= since) and (until is None or letter.timestamp < until)


def once(letters: Iterable[Letter]) -> list[Letter]:
    """The first letter of each record: after a crash scoring may write a letter again."""
    first: dict[Origin | str, Letter] = {}
    for letter in sorted(letters, key=lambda each: (each.timestamp, each.partition, each.offset)):
        first.setdefault(letter.origin or letter.at, letter)
    return list(first.values())


@dataclass(slots=True)
class Seen:
    """What the topics hold: of which letters the records were sent again (``returned``), which records of letters are still there
    (``there``), and which of those were themselves sent again (``again``).
    """

    returned: set[str] = field(default_factory=set)
    there: set[Origin] = field(default_factory=set)
    again: set[Origin] = field(default_factory=set)


def why_not(letter: Letter, seen: Seen) -> str | None:
    """Why the record of a letter is not sent again; None where it may be.

    >>> letter = Letter(0, 1, 0, b"r1", b"?", (), Origin("metrics", 0, 7), (2, 1), False)
    >>> why_not(letter, Seen())
    'metrics is not written by people: its stage writes it anew'
    """
    if letter.origin is None:
        return "it does not say where its record was"
    if letter.origin.topic not in RETURNABLE:
        return f"{letter.origin.topic} is not written by people: its stage writes it anew"
    if letter.origin in seen.again:
        return "its record was sent again before, and failed again: mend the cause, and send a new record"
    if letter.lengths[1] is None:
        return "its record had no value"
    if letter.is_cut and letter.origin not in seen.there:
        return f"its bytes were cut, and its record is not at {letter.origin} any more"
    return None
