"""The pairs of two versions: absolute counts of each partition, added up."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import zip_longest
from typing import Any

from leadline.core.processor import Store
from leadline.core.release.evidence.columns import Columns
from leadline.core.windows.latest import holds
from leadline.records import Comparison, PairCounts, PairPartial

_Counts = list[list[int]]
"""The numbers, and the two tallies."""


class Pairs:
    """Pairs by window, segment and sampling rate, under a ``prefix`` of a store. Of each partition the highest revision holds."""

    def __init__(self, store: Store, prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix
        self._columns: dict[tuple[str, str, str], Columns] = {}

    def take(self, partial: PairPartial, champion: str, challenger: str, rollout_id: str) -> Comparison:
        """Take in what one partition counted; the sum over all partitions, with the champion's counts as ``first``."""
        key = self._key(
            partial.model, partial.first, partial.second, partial.segment, partial.window_start, partial.sample
        )
        stored = self._store.get(key)
        held: dict[str, Any] = json.loads(stored) if stored else {"parts": {}}
        before = held["parts"].get(str(partial.source_partition))
        if holds(partial.revision, before and before[0]):
            mature = None if partial.mature is None else _listed(partial.mature)
            part = [partial.revision, partial.as_of, _listed(partial.counts), mature]
            held["parts"][str(partial.source_partition)] = part
            held |= {"end": partial.window_end, "task": partial.task}
            self._store.put(key, json.dumps(held).encode())
        found = _compared(key[len(self._prefix) :], held, champion, challenger, rollout_id)
        columns = self._columns.get((partial.model, champion, challenger))
        if columns is not None:
            columns.put(found)
        return found

    def of(self, model: str, champion: str, challenger: str) -> Columns:
        """All that is known of the pairs of two versions: read from the store once, then kept as it goes on."""
        names = model, champion, challenger
        if names not in self._columns:
            columns = self._columns[names] = Columns()
            for key, value in self._scan(model, *sorted((champion, challenger))):
                columns.put(_compared(key[len(self._prefix) :], json.loads(value), champion, challenger, ""))
        return self._columns[names]

    def forget(self, model: str) -> None:
        """All pairs of a model."""
        self._columns = {names: each for names, each in self._columns.items() if names[0] != model}
        for key, _ in list(self._scan(model)):
            self._store.delete(key)

    def _key(self, *parts: str | float) -> bytes:
        return self._prefix + json.dumps(parts).encode()

    def _scan(self, *parts: str) -> Iterator[tuple[bytes, bytes]]:
        start = self._key(*parts)[:-1] + b", "
        return self._store.scan(start, start + b"\xff")


def _compared(key: bytes, held: dict[str, Any], champion: str, challenger: str, rollout_id: str) -> Comparison:
    model, first, _, segment, window_start, sample = json.loads(key)
    parts = held["parts"].values()
    swapped = first != champion
    due = all(part[3] is not None for part in parts)
    return Comparison(
        model=model,
        rollout_id=rollout_id,
        champion=champion,
        challenger=challenger,
        segment=segment,
        window_start=window_start,
        window_end=held["end"],
        sample=sample,
        revision=sum(part[0] for part in parts),
        as_of=max(part[1] for part in parts),
        task=held["task"],
        counts=_summed((part[2] for part in parts), swapped),
        mature=_summed((part[3] for part in parts), swapped) if due else None,
    )


def _listed(counts: PairCounts) -> _Counts:
    *numbers, lower, upper = astuple(counts)
    return [numbers, lower, upper]


def _summed(parts: Iterable[_Counts], swapped: bool) -> PairCounts:
    """The sum, seen from the other version where it is swapped: then losses differ the other way, and what was rounded down is up."""
    numbers, lower, upper = (
        [sum(each) for each in zip_longest(*rows, fillvalue=0)] for rows in zip(*parts, strict=True)
    )
    both, first, second, neither, alike, unlike, first_score, second_score = numbers
    if swapped:
        first, second, first_score, second_score = second, first, second_score, first_score
        lower, upper = upper[::-1], lower[::-1]
    return PairCounts(both, first, second, neither, alike, unlike, first_score, second_score, lower, upper)
