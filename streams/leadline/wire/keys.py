"""How the key of a record is made of its fields: for machines, and in words."""

import json
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from leadline.records import identity


class Key(NamedTuple):
    """``of`` makes the key of a record; ``words`` say it to people."""

    of: Callable[[Any], bytes]
    words: str


def text(field: str) -> Key:
    """A field as it is, in UTF-8; it may be a field of a field.

    >>> from leadline.records import Outcome
    >>> text("request_id").of(Outcome("r1", 1.0, 0))
    b'r1'
    """
    value = attrgetter(field)
    return Key(lambda record: value(record).encode(), field.rpartition(".")[2])


def array(*fields: str, kind: str | None = None) -> Key:
    """Fields as a JSON array; ``kind`` is a constant in front of them.

    >>> from leadline.records import Rollout
    >>> key = array("model", "event_time", kind="rollout")
    >>> key.of(Rollout("delays", "v1", 7, "ann", "better")), key.words
    (b'["rollout","delays",7]', '["rollout", model, event_time]')
    """
    values = attrgetter(*fields) if len(fields) > 1 else lambda record: [getattr(record, fields[0])]
    if kind is None:
        return Key(lambda record: identity(*values(record)), f"[{', '.join(fields)}]")
    return Key(lambda record: identity(kind, *values(record)), f"[{', '.join([json.dumps(kind), *fields])}]")


def same(word: str) -> Key:
    """The same for all records: they stay in one order.

    >>> same("audit").of(None)
    b'audit'
    """
    return Key(lambda _: word.encode(), json.dumps(word))


def by_class(keys: Mapping[type, Key]) -> Key:
    """A key of its own for each class of record."""
    words = "; ".join(f"{key.words} ({kind.__name__})" for kind, key in keys.items())
    return Key(lambda record: keys[type(record)].of(record), words)
