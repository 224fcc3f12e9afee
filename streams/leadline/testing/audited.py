"""The chain of decisions against the topics that it is of: whole, and each decision in it exactly once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from leadline.core.release.chain import Chain, first_wrong
from leadline.records import AuditEntry

Place = tuple[str, int, int]
"""Topic without prefix, partition, offset."""
Held = tuple[bytes | None, bytes | None]
"""Key and value of a record."""


def wrong_chain(entries: Iterable[AuditEntry], decisions: Mapping[Place, Held]) -> Iterator[str]:
    """What is wrong with a chain of which no part is left out, each in one line.

    >>> list(wrong_chain([], {("alerts", 0, 3): (b"k", b"v")}))
    ['of alerts 0/3 there are 0 entries']
    """
    found = list(entries)
    wrong = first_wrong(Chain(), found)
    if wrong is not None:
        yield f"entry {wrong.sequence}: {wrong.what}"
    times = Counter((each.topic, each.partition, each.offset) for each in found)
    for place in sorted(decisions.keys() | times.keys()):
        if place not in decisions:
            yield f"the chain has {_at(place)}, which is not there"
        elif times[place] != 1:
            yield f"of {_at(place)} there are {times[place]} entries"
    for each in found:
        place = each.topic, each.partition, each.offset
        if decisions.get(place, (each.key, each.value)) != (each.key, each.value):
            yield f"the entry of {_at(place)} has other bytes than the log"


def _at(place: Place) -> str:
    topic, partition, offset = place
    return f"{topic} {partition}/{offset}"
