"""The log of which a training set is made: which topic it is, and up to where it was read."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Log:
    """Labeled predictions before a cut.

    ``end``: by partition, the offset of the cut. ``start``: that of the oldest record there was. ``topic_ids``: which topic it is; empty
    where that is not known. ``unread``: how many of its records could not be read, by the reason, as far as it was read.
    """

    end: dict[str, int]
    start: dict[str, int] = field(default_factory=dict)
    topic_ids: dict[str, str] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)
