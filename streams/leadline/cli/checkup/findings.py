"""What was found: fine, worth a note, or wrong; and what was seen on the cluster, for the judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from leadline.hosts.health import Told
from leadline.records import Rollout, Training


class Level(StrEnum):
    """WRONG makes the exit code 1."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One thing that was looked at: what was found, since when, and what to do."""

    what: str
    found: str
    mend: str = ""
    since_ms: int | None = None
    level: Level = Level.FINE


def note(what: str, found: str, mend: str, since_ms: int | None = None) -> Finding:
    """Something that may be meant so."""
    return Finding(what, found, mend, since_ms, Level.NOTE)


def wrong(what: str, found: str, mend: str, since_ms: int | None = None) -> Finding:
    """Something that somebody has to mend."""
    return Finding(what, found, mend, since_ms, Level.WRONG)


class Waiting(NamedTuple):
    """What a stage has not worked on yet: how many records, and since when the oldest of them waits (None: nobody knows)."""

    records: int
    since_ms: int | None


class Letters(NamedTuple):
    """Dead letters of one reason, of records of one topic, in the last hour."""

    reason: str
    topic: str
    number: int
    first_ms: int
    last_ms: int


class Feed(NamedTuple):
    """What comes in on a topic: when the newest record came, and the longest silence in the day before it (None: nothing came yet)."""

    newest_ms: int | None
    silence_ms: int
    seen: int = 0
    strays: int = 0


class Asked(NamedTuple):
    """The newest request of a model for a training, when it was made, and what a trainer told of it last and when, if anything."""

    model: str
    version: str
    retrain_id: str
    asked_ms: int
    state: str = ""
    told_ms: int | None = None

    def told(self, training: Training, at_ms: int) -> "Asked":
        """With what a trainer told, where it is of this request."""
        return self._replace(state=training.state, told_ms=at_ms) if training.retrain_id == self.retrain_id else self


@dataclass(frozen=True)
class Seen:
    """What was seen on the cluster at one time. ``waiting`` is by stage, with ``partitions``, the numbers that its tasks have.

    ``forms``: of the newest record of each topic that people read; ``form`` is the one of the settings here.
    """

    now_ms: int
    workers: Sequence[Told] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    partitions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    rollouts: Sequence[Rollout] = ()
    models: Sequence[str] = ()
    letters: Sequence[Letters] = ()
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    trainings: Sequence[Asked] = ()
    form: str = "avro"
    has_registry: bool = False
    forms: Mapping[str, str] = field(default_factory=dict)


def for_long(ms: int) -> str:
    """How long something is, for a person.

    >>> for_long(900), for_long(95_000), for_long(3_600_000), for_long(10 * 3_600_000), for_long(3 * 86_400_000)
    ('1 s', '95 s', '60 min', '10 h', '3 days')
    """
    seconds = max(0, round(ms / 1000))
    for most, unit, name in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < most:
            return f"{seconds // unit} {name}"
    return f"{seconds // 86_400} days"
