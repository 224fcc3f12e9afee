"""The windows and counts of one partition: kept, changed by the deltas of each run, and emitted as absolute numbers."""

import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from leadline.core.columnar.progress import Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.models import Models
from leadline.core.processor import Output, Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.aggregates import WindowCounts
from leadline.core.windows.keys import WindowKey, window_state
from leadline.records import JoinCounts, WindowPartial

EARLIEST = -62_135_596_800_000
CLASSES = [f.name for f in fields(JoinCounts)][4:]
"""Every class of record that the join counts."""


class Partials:
    """Absolute counts of one partition; `outputs` applies what a run changed."""

    def __init__(self, partition: int, store: Store, models: Models) -> None:
        self._partition = partition
        self._store = store
        self._models = models
        self._changes = Timeline(store, JoinKeys.WINDOW_CHANGE)

    def first(self) -> int | None:
        """When the next window changes its state."""
        return self._changes.first()

    def turn(self, progress: Progress) -> set[WindowKey]:
        """Windows that have become mature or sealed by now."""
        turned = {WindowKey(*json.loads(key)) for key in self._changes.take(progress.stage_ms, progress.sequence)}
        self._watch(sorted(turned), progress)
        return turned

    def _watch(self, keys: list[WindowKey], progress: Progress) -> None:
        """File windows under the time when their state changes next."""
        ahead = [(key, self._ahead(key, progress.stage_ms)) for key in keys]
        known = [(key, time) for key, time in ahead if time is not None]
        times, due = (
            np.array([time for _, time in known], np.int64),
            [key.pack() for key, _ in known],
        )
        self._changes.add(times, due, 1, progress.sequence)

    def _ahead(self, key: WindowKey, stage_ms: int) -> int | None:
        settings = self._models.settings(key.model)
        if settings is None:
            return None
        due = key.start + settings.window + settings.horizon
        times = [due] if settings.grace is None else [due, due + settings.grace, due + 2 * settings.grace]
        return next((time for time in times if time >= stage_ms), None)

    def outputs(
        self,
        deltas: Mapping[WindowKey, WindowCounts],
        classes: Mapping[tuple[str, str], int],
        turned: set[WindowKey],
        progress: Progress,
    ) -> list[Output]:
        """Apply what a run changed; returns the partials of windows that it changed or that turned, and the join counts of its models."""
        windows = sorted(set(deltas) | turned)
        records: list[WindowPartial | JoinCounts] = []
        held = self._store.get_many([_window_key(key) for key in windows])
        self._watch([key for key, value in zip(windows, held, strict=True) if value is None], progress)
        for key, value in zip(windows, held, strict=True):
            partial = self._partial(key, value, deltas.get(key), progress)
            if partial is not None:
                records.append(partial)
        models = sorted({model for model, _ in classes})
        records += [self._join_counts(model, classes, progress) for model in models]
        return [Output("window-partials", records=records)] if records else []

    def _partial(
        self, key: WindowKey, held: bytes | None, delta: WindowCounts | None, progress: Progress
    ) -> WindowPartial | None:
        settings = self._models.settings(key.model)
        if settings is None or (held is None and delta is None):
            return None
        counts = WindowCounts.total([*([WindowCounts.unpack(held)] if held else []), *([delta] if delta else [])])
        if delta is not None:
            self._store.put(_window_key(key), counts.pack())
        end = key.start + settings.window
        stage_ms = progress.stage_ms
        if settings.grace is not None and stage_ms > end + settings.horizon + 2 * settings.grace:
            self._store.delete(_window_key(key))
        return WindowPartial(
            *key[:3], key.start, end, self._partition, progress.sequence, max(stage_ms, EARLIEST),
            window_state(end, settings.horizon, settings.grace, stage_ms), settings.task, **counts.fields(),
        )  # fmt: skip

    def _join_counts(self, model: str, classes: Mapping[tuple[str, str], int], progress: Progress) -> JoinCounts:
        key = JoinKeys.JOIN_COUNTS + model.encode()
        held = self._store.get(key)
        totals = (
            Counter(dict(zip(CLASSES, struct.unpack(f"<{len(CLASSES)}q", held), strict=True))) if held else Counter()
        )
        for name in CLASSES:
            totals[name] += classes.get((model, name), 0)
        counts = [totals[name] for name in CLASSES]
        self._store.put(key, struct.pack(f"<{len(CLASSES)}q", *counts))
        return JoinCounts(model, self._partition, progress.sequence, max(progress.stage_ms, EARLIEST), *counts)


def _window_key(key: WindowKey) -> bytes:
    return JoinKeys.WINDOW + key.pack()
