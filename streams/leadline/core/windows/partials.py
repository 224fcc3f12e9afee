"""The windows and counts of one partition: kept, changed by the deltas of each run, and emitted as absolute numbers."""

import json
import struct
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.models import Models
from leadline.core.processor import Output, Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.aggregates.mature import Mature
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import WindowKey, window_state
from leadline.records import JoinCounts, MaturedWindow, WindowPartial
from leadline.settings import ModelSettings

EARLIEST = -62_135_596_800_000
CLASSES = [f.name for f in fields(JoinCounts)][4:-3]
"""Every class of record that the join counts."""
_MOST = 1000
"""Windows that turn in one step; each is emitted."""
_CLASSES = struct.Struct(f"<{len(CLASSES) + 2}q")
_LAST = {"prediction_records": "predictions_log_ms", "outcome_records": "outcomes_log_ms"}
"""The classes of which it is told when the last record came, and where that stands."""


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

    def is_due(self, stage_ms: int) -> bool:
        """Whether a window has another state by then, and has not turned."""
        return self._changes.is_due(stage_ms)

    def turn(self, progress: Progress) -> set[WindowKey]:
        """Windows that have become mature or sealed by now, as many as turn at once."""
        turned = {
            WindowKey(*json.loads(key)) for key in self._changes.take(progress.stage_ms, progress.sequence, _MOST)[1]
        }
        self._watch(sorted(turned), progress.stage_ms, progress)
        return turned

    def _watch(self, keys: list[WindowKey], after_ms: int, progress: Progress) -> None:
        """File windows under the time when their state changes next, at ``after_ms`` or later."""
        ahead = [(key, self._ahead(key, after_ms)) for key in keys]
        known = [(key, time) for key, time in ahead if time is not None]
        times, due = (
            np.array([time for _, time in known], np.int64),
            [key.pack() for key, _ in known],
        )
        self._changes.add(times, due, 1, progress.sequence)

    def _ahead(self, key: WindowKey, after_ms: int) -> int | None:
        settings = self._models.settings(key.model)
        if settings is None:
            return None
        times = turns(key.start, settings)
        return next((time for time in times if time is not None and time >= after_ms), None)

    def outputs(
        self,
        deltas: Mapping[WindowKey, WindowCounts],
        classes: Mapping[tuple[str, str], int],
        turned: set[WindowKey],
        progress: Progress,
        drained: bool,
    ) -> list[Output]:
        """Apply what a run changed; returns the partials of windows that it changed or that turned, and the join counts of their models.

        The counts come after the windows, and tell of each that has become mature: who has read them knows of all windows that were due by
        their ``as_of``. ``drained``: whether all predictions have expired, and are assumed to be labelled, that will by now. Before, a
        window that is past its maturity does not know its counts of then.
        """
        windows, matured = self._windows(deltas, turned, progress, drained)
        models = {model for model, _ in classes} | {key.model for key in turned}
        as_of, models = self._done(models, progress.stage_ms)
        counts = [
            self._join_counts(model, classes, matured.get(model, []), as_of, progress) for model in sorted(models)
        ]
        records: list[WindowPartial | JoinCounts] = [*windows, *counts]
        return [Output("window-partials", records=records)] if records else []

    def _done(self, models: set[str], stage_ms: int) -> tuple[int, set[str]]:
        """Up to when all windows that were due have turned, and the models to tell of it: those too that were told of it before all had."""
        held = self._store.get(JoinKeys.BEHIND)
        behind: set[str] = set(json.loads(held)) if held else set()
        first = self._changes.first()
        if first is None or not self._changes.is_due(stage_ms):
            if held:
                self._store.delete(JoinKeys.BEHIND)
            return stage_ms, models | behind
        if models - behind:
            self._store.put(JoinKeys.BEHIND, json.dumps(sorted(models | behind)).encode())
        return first - 1, models

    def _windows(
        self, deltas: Mapping[WindowKey, WindowCounts], turned: set[WindowKey], progress: Progress, drained: bool
    ) -> tuple[list[WindowPartial], dict[str, list[MaturedWindow]]]:
        """The partials of the windows that the deltas change or that turned, as they are with the deltas; which of them are mature now."""
        windows = sorted(set(deltas) | turned)
        stored = dict(zip(windows, self._store.get_many([_window_key(key) for key in windows]), strict=True))
        self._watch([key for key in windows if stored[key] is None], progress.stage_ms if drained else NEVER, progress)
        settings = {model: self._models.settings(model) for model in {key.model for key in windows}}
        parts = {key: _parts(stored[key], deltas.get(key)) for key in windows}
        known = [(key, of) for key in windows if parts[key] and (of := settings[key.model]) is not None]
        totals = WindowCounts.merge([parts[key] for key, _ in known])
        if drained:
            totals = [
                _judged(total, turns(each[0].start, each[1])[0], progress)
                for each, total in zip(known, totals, strict=True)
            ]
        for (key, _), total in zip(known, totals, strict=True):
            if key in deltas or key in turned:
                self._store.put(_window_key(key), total.pack())
        for key, of in known:
            if key in turned:
                self._forget(key, turns(key.start, of)[2], progress)
        matured: dict[str, list[MaturedWindow]] = {}
        for (key, _), total in zip(known, totals, strict=True):
            judged_by = _judged_by(parts[key] if stored[key] else [], total) if key.segment == "*" else 0
            if judged_by:
                matured.setdefault(key.model, []).append(MaturedWindow(key.version, key.start, judged_by))
        return [self._partial(*each, total, progress) for each, total in zip(known, totals, strict=True)], matured

    def _forget(self, key: WindowKey, after_ms: int | None, progress: Progress) -> None:
        """Delete the counts of a window that has turned for the last time: by then all of it has expired that will."""
        if after_ms is not None and progress.stage_ms > after_ms:
            self._store.delete(_window_key(key))

    def _partial(
        self, key: WindowKey, settings: ModelSettings, counts: WindowCounts, progress: Progress
    ) -> WindowPartial:
        """The record of a window."""
        stage_ms = progress.stage_ms
        mature_ms, sealed_ms, _ = turns(key.start, settings)
        return WindowPartial(
            model=key.model,
            model_version=key.version,
            segment=key.segment,
            window_start=key.start,
            window_end=key.start + settings.window,
            source_partition=self._partition,
            revision=progress.sequence,
            as_of=max(stage_ms, EARLIEST),
            state=window_state(mature_ms, sealed_ms, stage_ms),
            task=settings.counted_as,
            **counts.fields(),
        )

    def _join_counts(
        self,
        model: str,
        classes: Mapping[tuple[str, str], int],
        matured: list[MaturedWindow],
        as_of: int,
        progress: Progress,
    ) -> JoinCounts:
        key = JoinKeys.JOIN_COUNTS + model.encode()
        held = self._store.get(key)
        *before, prediction_at, outcome_at = _CLASSES.unpack(held) if held else [0] * len(CLASSES) + [NEVER, NEVER]
        totals = {name: count + classes.get((model, name), 0) for name, count in zip(CLASSES, before, strict=True)}
        last = [
            getattr(progress, log_ms) if classes.get((model, name)) else at
            for (name, log_ms), at in zip(_LAST.items(), (prediction_at, outcome_at), strict=True)
        ]
        self._store.put(key, _CLASSES.pack(*totals.values(), *last))
        return JoinCounts(
            model=model,
            source_partition=self._partition,
            revision=progress.sequence,
            as_of=max(as_of, EARLIEST),
            **totals,
            last_prediction_at=None if last[0] < EARLIEST else last[0],
            last_outcome_at=None if last[1] < EARLIEST else last[1],
            matured=matured,
        )


def _parts(stored: bytes | None, delta: WindowCounts | None) -> list[WindowCounts]:
    """What the counts of a window are the sum of; empty where nothing is known of it. What it is judged by stays once it is known."""
    held = None if stored is None else WindowCounts.unpack(stored)
    if held is not None and delta is not None and held.mature.counts() is not None:
        delta = delta._replace(mature=Mature.zero())
    return [each for each in (held, delta) if each is not None]


def _judged_by(before: list[WindowCounts], total: WindowCounts) -> int:
    """How many predictions a window is judged by that knows it now, and did not before; else none."""
    now = total.mature.counts()
    return 0 if now is None or (before and before[0].mature.counts() is not None) else now.predictions


def _judged(total: WindowCounts, mature_ms: int, progress: Progress) -> WindowCounts:
    """The counts of a window that knows from its maturity on what it is judged by."""
    if progress.stage_ms <= mature_ms or total.mature.counts() is not None:
        return total
    return total._replace(mature=total.mature.at_maturity())


def turns(start: int, settings: ModelSettings) -> tuple[int, int | None, int | None]:
    """The last moments before the window that starts then is mature, sealed, and forgotten; None: it never is."""
    end, grace = start + settings.window, settings.grace
    due = end + settings.horizon
    return (
        end + settings.mature_after,
        None if grace is None else due + grace,
        None if grace is None else due + 2 * grace,
    )


def _window_key(key: WindowKey) -> bytes:
    return JoinKeys.WINDOW + key.pack()
