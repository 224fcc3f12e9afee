"""The windows and counts of one partition: kept, changed by each run's ledger, and told as absolute numbers."""

import json
import struct
from collections import Counter
from dataclasses import fields

import numpy as np

from leadline.core.batch import Output, Store
from leadline.core.catalog import Catalog
from leadline.core.groups import Groups
from leadline.core.ledger import Ledger, Place
from leadline.core.progress import Progress
from leadline.core.timeline import Timeline
from leadline.core.windows import WindowCounts, window_state
from leadline.records import JoinCounts, WindowPartial

EARLIEST = -62_135_596_800_000
CLASSES = [f.name for f in fields(JoinCounts)][4:]
"""Every class of record that the join counts."""


class Partials:
    """Absolute counts of one partition; `outputs` applies what a run changed."""

    def __init__(self, partition: int, store: Store, catalog: Catalog, groups: Groups) -> None:
        self._partition = partition
        self._store = store
        self._catalog = catalog
        self._groups = groups
        self._changes = Timeline(store, b"s")

    def first(self) -> int | None:
        """When the next window changes its state."""
        return self._changes.first()

    def turn(self, progress: Progress) -> set[Place]:
        """Windows that have become mature or sealed by now."""
        turned = {Place(*json.loads(key)) for key in self._changes.take(progress.stage_ms, progress.sequence)}
        self._watch(sorted(turned), progress)
        return turned

    def _watch(self, places: list[Place], progress: Progress) -> None:
        """File windows under the time when their state changes next."""
        ahead = [(place, self._ahead(place, progress.stage_ms)) for place in places]
        known = [(place, time) for place, time in ahead if time is not None]
        times, keys = (
            np.array([time for _, time in known], np.int64),
            [json.dumps(place).encode() for place, _ in known],
        )
        self._changes.add(times, keys, 1, progress.sequence)

    def _ahead(self, place: Place, stage_ms: int) -> int | None:
        settings = self._catalog.settings(place.model)
        if settings is None:
            return None
        due = place.start + settings.window + settings.horizon
        times = [due] if settings.grace is None else [due, due + settings.grace, due + 2 * settings.grace]
        return next((time for time in times if time >= stage_ms), None)

    def outputs(self, ledger: Ledger, turned: set[Place], progress: Progress) -> list[Output]:
        """Apply a run's ledger; the windows that it changed or that turned, and the join counts of the models concerned."""
        deltas = ledger.windows(self._groups)
        places = sorted(set(deltas) | turned)
        records: list[WindowPartial | JoinCounts] = []
        held = self._store.get_many([_window_key(place) for place in places])
        self._watch([place for place, value in zip(places, held, strict=True) if value is None], progress)
        for place, value in zip(places, held, strict=True):
            partial = self._partial(place, value, deltas.get(place), progress)
            if partial is not None:
                records.append(partial)
        models = sorted({model for model, _ in ledger.classes})
        records += [self._join_counts(model, ledger, progress) for model in models]
        return [Output("window-partials", records=records)] if records else []

    def _partial(
        self, place: Place, held: bytes | None, delta: WindowCounts | None, progress: Progress
    ) -> WindowPartial | None:
        settings = self._catalog.settings(place.model)
        if settings is None or (held is None and delta is None):
            return None
        counts = WindowCounts.total([*([WindowCounts.unpack(held)] if held else []), *([delta] if delta else [])])
        if delta is not None:
            self._store.put(_window_key(place), counts.pack())
        end = place.start + settings.window
        stage_ms = progress.stage_ms
        if settings.grace is not None and stage_ms > end + settings.horizon + 2 * settings.grace:
            self._store.delete(_window_key(place))
        return WindowPartial(
            *place[:3], place.start, end, self._partition, progress.sequence, max(stage_ms, EARLIEST),
            window_state(end, settings.horizon, settings.grace, stage_ms), settings.task, **counts.fields(),
        )  # fmt: skip

    def _join_counts(self, model: str, ledger: Ledger, progress: Progress) -> JoinCounts:
        key = b"c" + model.encode()
        held = self._store.get(key)
        totals = (
            Counter(dict(zip(CLASSES, struct.unpack(f"<{len(CLASSES)}q", held), strict=True))) if held else Counter()
        )
        for name in CLASSES:
            totals[name] += ledger.classes.get((model, name), 0)
        counts = [totals[name] for name in CLASSES]
        self._store.put(key, struct.pack(f"<{len(CLASSES)}q", *counts))
        return JoinCounts(model, self._partition, progress.sequence, max(progress.stage_ms, EARLIEST), *counts)


def _window_key(place: Place) -> bytes:
    return b"w" + json.dumps(place).encode()
