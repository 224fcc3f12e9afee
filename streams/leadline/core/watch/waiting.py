"""Windows that wait to be judged: until all that is known of them is mature, and no older one can still come.

A window is judged once, on its counts as of maturity, in the order of time: so it makes no difference how the log was read. ``watermark``
is the log time that every partition known to the join has reached (`JoinCounts.as_of` of the sum): the join has told of what is due by
then, window by window and with its number of predictions (`JoinCounts.matured`). So it is known what still has to come, by whatever way.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from operator import add, attrgetter
from typing import Any, NamedTuple

from leadline.core.processor import Store
from leadline.core.store_keys import AlertingKeys
from leadline.core.windows.latest import holds
from leadline.records import MatureCounts, Metric, WindowMetrics, identity
from leadline.settings import ModelSettings

MOST_WAITING = 4096
"""Windows of a version that are waited for; of more, those furthest ahead are left out."""
PATIENT_MS, PATIENT_BLOCKS = 86_400_000, 8
"""A block that is held up is waited for so long after horizon and grace: a partition may have stopped, or lag behind the others."""
FACTS = ("estimated_accuracy", "auc")
"""Metrics of ``*`` that are judged beside the counts."""
OTHER, MOST_ROWS = "other", 4000
"""The segment of what is beyond the segments that are counted; segments of a window that are remembered."""
MOST_VALUE = 1e9
"""A metric beyond this, or that is no number, is none."""
_COUNTS, _TOP, _TOP_SUM = 7, 1 << 62, 1 << 127
_values: Callable[[MatureCounts], tuple[int, ...]] = attrgetter(*(each.name for each in fields(MatureCounts)))


@dataclass(slots=True)
class Window:
    """What is known of a window by segment: its revision and `MatureCounts`, or nothing (None) until it is mature.

    ``predictions``: by how many it is judged, as the join has told so far.
    """

    end: int
    rows: dict[str, list[int] | None] = field(default_factory=dict)
    facts: dict[str, list[float | None]] = field(default_factory=dict)
    predictions: int = 0

    def is_whole(self, names: list[str]) -> bool:
        """Whether all partitions have told of it, and the segments of each of these names add up to ``*``: they come by different ways.

        A category without a name (``""``) has all segments. Where there were too many segments, those of a name are not all there.
        """
        overall = self.rows.get("*")
        if overall is None or None in self.rows.values():
            return False
        known = self.counts()
        if known["*"].predictions < self.predictions:
            return False
        if OTHER in known or len(known) >= MOST_ROWS:
            return True
        sums = dict.fromkeys(names, 0)
        for segment, counts in known.items():
            name = "" if "" in sums else segment.partition("=")[0]
            if name in sums and segment != "*":
                sums[name] += counts.predictions
        return all(each == known["*"].predictions for each in sums.values())

    def counts(self) -> dict[str, MatureCounts]:
        """The counts of the segments that are mature."""
        return {segment: MatureCounts(*row[1:]) for segment, row in self.rows.items() if row is not None}

    def take(self, record: WindowMetrics) -> bool:
        """Take in a record; whether it says anything new."""
        if record.segment not in {"*", *self.rows} and len(self.rows) >= MOST_ROWS:
            return False
        held = self.rows.get(record.segment)
        mature = mature_counts(record)
        if mature is None:
            is_new = record.segment not in self.rows
            self.rows.setdefault(record.segment, None)
            return is_new
        if held is not None and not holds(record.revision, held[0]):
            return False
        row = [record.revision, *_values(mature)]
        is_new = held is None or held[1:] != row[1:]
        self.rows[record.segment] = row
        if record.segment == "*" and is_new:
            self.facts = {name: values for name in FACTS if (values := _finite(getattr(record, name)))}
        return is_new


def mature_counts(record: WindowMetrics) -> MatureCounts | None:
    """The counts at maturity. None while one of the partitions does not know them; none at all where they cannot be."""
    found = record.mature
    if found is None:
        return None
    counts, sums = _values(found)[:_COUNTS], _values(found)[_COUNTS:]
    possible = all(0 <= each < _TOP for each in counts) and all(abs(each) < _TOP_SUM for each in sums)
    return found if possible else MatureCounts(*[0] * 9)


def counts_now(record: WindowMetrics) -> MatureCounts:
    """The counts of a window with all that is known by now; the error sums as far as the metrics tell them."""
    sums = [_sum(record.mae, record.matched, 1), _sum(record.rmse, record.matched, 2)]
    cells = (record.tp, record.fp, record.fn, record.tn)
    return MatureCounts(record.predictions, record.matched, record.predicted_positive, *cells, *sums)


def _sum(metric: Metric | None, rows: int, power: int) -> int:
    """In units of 1e-12."""
    known = metric is not None and abs(metric.value) <= MOST_VALUE
    return round(min(metric.value**power * rows * 1e12, 2.0**61)) if metric is not None and known else 0


def _finite(metric: Metric | None) -> list[float | None]:
    sides = [] if metric is None else [metric.value, metric.low, metric.high]
    return sides if all(each is None or abs(each) <= MOST_VALUE for each in sides) else []


class Block(NamedTuple):
    """Windows that are judged together: one, or those of a cycle."""

    start: int
    end: int
    windows: list[tuple[int, Window]]

    def counts(self) -> dict[str, MatureCounts]:
        """The sums by segment."""
        sums: dict[str, tuple[int, ...]] = {}
        for _, window in self.windows:
            for segment, counts in window.counts().items():
                before = sums.get(segment)
                values = _values(counts)
                sums[segment] = values if before is None else tuple(map(add, before, values))
        return {segment: MatureCounts(*values) for segment, values in sums.items()}

    def facts(self, name: str) -> list[float | None]:
        """What a metric of ``*`` was; of several windows the mean, by the rows that it is of. An AUC has none."""
        if len(self.windows) == 1:
            return self.windows[0][1].facts.get(name, [])
        known = [(window.facts.get(name, []), window.counts().get("*")) for _, window in self.windows]
        rows = [(found, counts) for found, counts in known if counts is not None]
        if name == "auc" or not all(found for found, _ in rows):
            return []
        weights = [counts.predictions for _, counts in rows]
        return [_mean(side, weights) for side in zip(*(found for found, _ in rows), strict=True)]


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """None where any value is not known, or nothing has a weight.

    >>> _mean([1.0, 4.0], [2, 1]), _mean([1.0, None], [2, 1])
    (2.0, None)
    """
    known = [value * weight for value, weight in zip(values, weights, strict=True) if value is not None]
    total = sum(weights)
    return sum(known) / total if total and len(known) == len(weights) else None


class Windows:
    """The windows that wait, by store key: read once, and written by `keep` where they have changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[bytes, Window] = {}
        self.changed: set[bytes] = set()

    def __getitem__(self, key: bytes) -> Window:
        if key not in self._known:
            value = self._store.get(key)
            self._known[key] = Window(0) if value is None else Window(*json.loads(value))
        return self._known[key]

    def add(self, key: bytes, end: int) -> None:
        """A window is new."""
        self._known[key] = Window(end)
        self.changed.add(key)

    def drop(self, key: bytes) -> None:
        """A window waits no more."""
        self._store.delete(key)
        self._known.pop(key, None)
        self.changed.discard(key)

    def keep(self) -> None:
        """Write what has changed, and forget what was read."""
        for key in sorted(self.changed):
            window = self._known[key]
            value: list[Any] = [window.end, window.rows, window.facts, window.predictions]
            self._store.put(key, json.dumps(value, ensure_ascii=False).encode())
        self._known, self.changed = {}, set()


@dataclass(slots=True)
class Waiting:
    """The windows of one version. ``starts``: those that wait, with their end. ``judged_to``: blocks before this time are done.

    ``held_up``: since when no block has been judged because it was due and known to be whole.
    """

    starts: dict[str, int] = field(default_factory=dict)
    judged_to: int | None = None
    held_up: int | None = None

    def take(self, windows: Windows, prefix: bytes, record: WindowMetrics) -> bool:
        """Take in a record of a window that is not judged yet; whether it may make one ready."""
        key = self._wait_for(windows, prefix, record.window_start, record.window_end)
        if key is None or not windows[key].take(record):
            return False
        windows.changed.add(key)
        return windows[key].rows[record.segment] is not None

    def expect(self, windows: Windows, prefix: bytes, start: int, end: int, predictions: int) -> None:
        """A window has become mature in some partitions, where it is judged by so many predictions."""
        key = self._wait_for(windows, prefix, start, end)
        if key is not None:
            windows[key].predictions += predictions
            windows.changed.add(key)

    def _wait_for(self, windows: Windows, prefix: bytes, start: int, end: int) -> bytes | None:
        """The key of a window that waits from now on; None where it is judged, or too far ahead."""
        name, key = str(start), prefix + str(start).encode()
        if self.judged_to is not None and start < self.judged_to:
            return None
        if name not in self.starts and len(self.starts) >= MOST_WAITING:
            furthest = max(self.starts, key=int)
            if int(furthest) <= start:
                return None
            windows.drop(prefix + furthest.encode())
            del self.starts[furthest]
        if name not in self.starts:
            windows.add(key, end)
        self.starts[name] = windows[key].end
        return key

    def next_block(
        self, held: Windows, prefix: bytes, settings: ModelSettings, watermark: int | None, clock: int
    ) -> Block | None:
        """The oldest block, if it can be judged now; it waits no more then.

        One that has been held up for long is taken as far as it is mature: what it lacks will not come, or not soon.
        """
        if not self.starts:
            return None
        size = settings.alerts.cycle or settings.window
        block = min(map(int, self.starts)) // size * size
        due = block + size + settings.mature_after
        if clock <= due and (watermark is None or watermark <= due):
            return None
        starts = sorted((start for start in self.starts if int(start) // size * size == block), key=int)
        windows = [(int(start), held[prefix + start.encode()]) for start in starts]
        whole = all(window.is_whole(settings.segments) for _, window in windows)
        is_due = watermark is not None and watermark > due and whole
        if not is_due and not self._held_up_for_long(due, clock, settings):
            return None
        self.held_up = None if is_due else self.held_up
        for start in starts:
            held.drop(prefix + start.encode())
            del self.starts[start]
        self.judged_to = block + size
        return Block(block, max(window.end for _, window in windows), windows)

    def _held_up_for_long(self, due: int, clock: int, settings: ModelSettings) -> bool:
        self.held_up = clock if self.held_up is None else self.held_up
        size = settings.alerts.cycle or settings.window
        patience = settings.horizon + (settings.grace or 0) + PATIENT_BLOCKS * size + PATIENT_MS
        return clock - max(self.held_up, due) > patience


def prefix_of(model: str, version: str) -> bytes:
    """Of the keys of a version's windows."""
    return AlertingKeys.WINDOW + identity(model, version) + b" "
