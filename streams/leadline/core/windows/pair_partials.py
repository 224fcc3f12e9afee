"""The windows of pairs of one partition: kept, changed by the deltas of each run, and emitted as absolute numbers."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.models import Models
from leadline.core.processor import Output, Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.keys import window_state
from leadline.core.windows.pair_tally import PairTally
from leadline.core.windows.partials import EARLIEST, turns
from leadline.records import PairPartial
from leadline.settings import ModelSettings

_MOST = 1000
"""Windows that turn in one step; each is emitted."""


class PairKey(NamedTuple):
    """One window of one segment of two versions, ``first`` before ``second`` by name, whose pairs are of one share of the requests."""

    model: str
    first: str
    second: str
    segment: str
    start: int
    sample: float

    def pack(self) -> bytes:
        """The key as bytes; ``PairKey(*json.loads(...))`` reads them."""
        return json.dumps(self).encode()


class PairPartials:
    """Absolute counts of the pairs of one partition; `outputs` applies what a run changed. Its time is `Progress.pairs_ms`."""

    def __init__(self, partition: int, store: Store, models: Models) -> None:
        self._partition = partition
        self._store = store
        self._models = models
        self._changes = Timeline(store, JoinKeys.PAIR_CHANGE)

    def first(self) -> int | None:
        """When the next window changes its state."""
        return self._changes.first()

    def is_due(self, pairs_ms: int) -> bool:
        """Whether a window has another state by then, and has not turned."""
        return self._changes.is_due(pairs_ms)

    def turn(self, progress: Progress) -> set[PairKey]:
        """Windows that have become mature or sealed by now, as many as turn at once."""
        _, due = self._changes.take(progress.pairs_ms, progress.sequence, _MOST)
        turned = {PairKey(*json.loads(key)) for key in due}
        self._watch(sorted(turned), progress.pairs_ms, progress)
        return turned

    def outputs(
        self, deltas: Mapping[PairKey, PairTally], turned: set[PairKey], progress: Progress, drained: bool
    ) -> list[Output]:
        """Apply what a run changed; the partials of windows that it changed or that turned. ``drained`` as for window partials.

        They arrive at stage time, which is when they are made; their own time, which waits for shadows, may be behind it.
        """
        keys = sorted(set(deltas) | turned)
        if not keys:
            return []
        stored = dict(zip(keys, self._store.get_many([_window_key(key) for key in keys]), strict=True))
        self._watch([key for key in keys if stored[key] is None], progress.pairs_ms if drained else NEVER, progress)
        records = []
        for key in keys:
            settings, parts = self._models.settings(key.model), _parts(stored[key], deltas.get(key))
            if settings is not None and parts:
                tally = _judged(PairTally.merge(parts), turns(key.start, settings)[0], progress, drained)
                self._keep(key, tally, settings, key in turned, progress)
                records.append(self._partial(key, settings, tally, progress))
        arrival_ms = np.full(len(records), max(progress.stage_ms, EARLIEST), np.int64)
        return [Output("pair-partials", records=records, arrival_ms=arrival_ms)] if records else []

    def _watch(self, keys: list[PairKey], after_ms: int, progress: Progress) -> None:
        """File windows under the time when their state changes next, at ``after_ms`` or later."""
        ahead = [(key, self._ahead(key, after_ms)) for key in keys]
        known = [(key.pack(), time) for key, time in ahead if time is not None]
        times = np.array([time for _, time in known], np.int64)
        self._changes.add(times, [key for key, _ in known], 1, progress.sequence)

    def _ahead(self, key: PairKey, after_ms: int) -> int | None:
        settings = self._models.settings(key.model)
        times = () if settings is None else turns(key.start, settings)
        return next((time for time in times if time is not None and time >= after_ms), None)

    def _keep(self, key: PairKey, tally: PairTally, settings: ModelSettings, turned: bool, progress: Progress) -> None:
        """Keep the counts of a window, until it has turned for the last time."""
        last = turns(key.start, settings)[2]
        if turned and last is not None and progress.pairs_ms > last:
            self._store.delete(_window_key(key))
        else:
            self._store.put(_window_key(key), tally.pack())

    def _partial(self, key: PairKey, settings: ModelSettings, tally: PairTally, progress: Progress) -> PairPartial:
        mature_ms, sealed_ms, _ = turns(key.start, settings)
        counts, mature = tally.counts()
        return PairPartial(
            model=key.model,
            first=key.first,
            second=key.second,
            segment=key.segment,
            window_start=key.start,
            window_end=key.start + settings.window,
            source_partition=self._partition,
            sample=key.sample,
            revision=progress.sequence,
            as_of=max(progress.pairs_ms, EARLIEST),
            state=window_state(mature_ms, sealed_ms, progress.pairs_ms),
            task=settings.counted_as,
            counts=counts,
            mature=mature,
        )


def _parts(stored: bytes | None, delta: PairTally | None) -> list[PairTally]:
    """What the counts of a window are the sum of; empty where nothing is known of it."""
    held = None if stored is None else PairTally.unpack(stored)
    return [each for each in (held, delta) if each is not None]


def _judged(tally: PairTally, mature_ms: int, progress: Progress, drained: bool) -> PairTally:
    """The counts of a window, which knows from its maturity on what it is judged by."""
    return tally.at_maturity() if drained and progress.pairs_ms > mature_ms else tally


def _window_key(key: PairKey) -> bytes:
    return JoinKeys.PAIR + key.pack()
