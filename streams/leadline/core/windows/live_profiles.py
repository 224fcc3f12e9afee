"""Live profiles: feature values and scores of each version, as they were when it predicted, counted in the bins of the reference.

The profile of a window is emitted when the time of the predictions has passed its end, and again whenever a later record changes it,
until that time is a horizon and twice the grace past its end. Versions without a reference profile are not counted.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Bools, Floats, Ints, floats, ints
from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.models import Models, Version
from leadline.core.processor import Output, Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.keys import VersionWindow, window_start
from leadline.core.windows.reference_bins import ReferenceBins
from leadline.records import FeatureCounts, WindowProfile

_FORMAT = b"\0"
"""Stands before the counts of a window; earlier releases wrote a 1 there for closed windows, which their end says as well."""
_MOST = 200
"""Windows that close in one step; each is emitted with the bins of all its features."""
_FORGET = b"-"
"""Stands before a window that is filed to be forgotten, and not to be closed."""


def _store_key(window: VersionWindow) -> bytes:
    return JoinKeys.WINDOW_PROFILE + window.pack()


def _pack(counts: Ints) -> bytes:
    """The value of a window: the number of its predictions, then the bins of each feature of the profile."""
    return _FORMAT + counts.astype("<i8").tobytes()


def _unpack(value: bytes) -> Ints:
    return np.frombuffer(value, "<i8", offset=len(_FORMAT)).astype(np.int64)


class LiveProfiles:
    """The profiles of one partition; its time is that of the predictions, whatever outcomes are still to be read."""

    def __init__(self, partition: int, store: Store, models: Models) -> None:
        self._partition = partition
        self._store = store
        self._models = models
        self._counters: dict[tuple[str, str], _Counter] = {}
        self._ends = Timeline(store, JoinKeys.WINDOW_END)

    def first(self) -> int | None:
        """When the next window ends, or is forgotten."""
        return self._ends.first()

    def is_due(self, predictions_ms: int) -> bool:
        """Whether a window has ended by then and is not closed, or is to be forgotten."""
        return self._ends.is_due(predictions_ms)

    # -- counting -----------------------------------------------------------------------------------------------------

    def count(
        self,
        columns: pa.RecordBatch,
        rows: Ints,
        versions: Sequence[tuple[str, str]],
        version: Ints,
        progress: Progress,
    ) -> list[VersionWindow]:
        """Add these rows of a run of predictions to their windows; returns those windows that were closed before.

        ``versions``: the (model, version) pairs among them; ``version``: the index of the pair of each row.
        """
        counters = [(rows[version == i], self._counter(*pair)) for i, pair in enumerate(versions)]
        parts = [(own, counter) for own, counter in counters if counter is not None]
        if not parts:
            return []
        table, changed = _Rows.of(columns), []
        for own, counter in parts:
            for start, counts in counter.windows(table.take(own), self._oldest(counter, progress)):
                window = VersionWindow(counter.model, counter.version, start)
                changed += [window] if self._add(window, counts, counter, progress) else []
        return changed

    def _counter(self, model: str, version: str) -> "_Counter | None":
        if (model, version) not in self._counters:
            known = self._models.version(model, version)
            if known is None or known.profile is None:
                return None
            self._counters[model, version] = _Counter(known)
        return self._counters[model, version]

    @staticmethod
    def _oldest(counter: "_Counter", progress: Progress) -> int:
        """Windows that end before are forgotten."""
        return NEVER if counter.keep_ms is None else max(NEVER, progress.predictions_ms - counter.keep_ms)

    def _add(self, window: VersionWindow, counts: Ints, counter: "_Counter", progress: Progress) -> bool:
        """Whether the window was closed before."""
        value, end = self._store.get(_store_key(window)), window.start + counter.size_ms
        self._store.put(_store_key(window), _pack(_unpack(value) + counts if value else counts))
        if not value:
            self._watch(window.pack(), end - 1, progress)
        return end <= progress.predictions_ms

    # -- time ---------------------------------------------------------------------------------------------------------

    def _watch(self, key: bytes, after_ms: int, progress: Progress) -> None:
        self._ends.add(np.array([after_ms], np.int64), [key], 1, progress.sequence)

    def outputs(self, changed: list[VersionWindow], progress: Progress) -> list[Output]:
        """Close and forget the windows that are due; returns the profiles of those that closed, or that `count` changed."""
        _, due = self._ends.take(progress.predictions_ms, progress.sequence, _MOST)
        closed = [VersionWindow(*json.loads(key)) for key in due if not key.startswith(_FORGET)]
        emitted = sorted({*changed, *closed})
        profiles = [profile for window in emitted if (profile := self._profile(window, progress)) is not None]
        for window in closed:
            self._keep(window, progress)
        for key in due:
            if key.startswith(_FORGET):
                self._store.delete(_store_key(VersionWindow(*json.loads(key[1:]))))
        return [Output("window-profiles", records=profiles)] if profiles else []

    def _keep(self, window: VersionWindow, progress: Progress) -> None:
        """Keep a closed window for the horizon and twice the grace; its counts, which may be many, are not written again."""
        counter = self._counter(window.model, window.version)
        if counter is None:
            self._store.delete(_store_key(window))
        elif counter.keep_ms is not None:
            end = window.start + counter.size_ms + counter.keep_ms
            self._watch(_FORGET + window.pack(), max(end, progress.predictions_ms), progress)

    def _profile(self, window: VersionWindow, progress: Progress) -> WindowProfile | None:
        value, counter = self._store.get(_store_key(window)), self._counter(window.model, window.version)
        if value is None or counter is None:
            return None
        counts, end = _unpack(value), window.start + counter.size_ms
        return WindowProfile(
            model=window.model,
            model_version=window.version,
            window_start=window.start,
            window_end=end,
            source_partition=self._partition,
            revision=progress.sequence,
            as_of=progress.predictions_ms,
            closed=end <= progress.predictions_ms,
            predictions=int(counts[0]),
            features=counter.named(counts),
        )


class _Rows(NamedTuple):
    """Predictions as columns; ``values`` are the features of all rows, ``lengths`` how many each has."""

    event_time: Ints
    score: Floats
    lengths: Ints
    values: Floats

    @classmethod
    def of(cls, columns: pa.RecordBatch) -> "_Rows":
        features = columns["features"]
        sizes, values = ints(features.value_lengths()), floats(features.flatten())
        return cls(ints(columns["event_time"]), floats(columns["score"]), sizes, values)

    def take(self, rows: Ints) -> "_Rows":
        """Some of the rows, each at most once, in the order of the run."""
        own = np.zeros(len(self.score), bool)
        own[rows] = True
        if own.all():
            return self
        values = self.values[np.repeat(own, self.lengths)]
        return _Rows(self.event_time[own], self.score[own], self.lengths[own], values)


class _Counter:
    """Bins of one version."""

    def __init__(self, version: Version) -> None:
        assert version.profile is not None
        settings, signature = version.settings, version.signature
        self.model, self.version = settings.name, version.version
        self.size_ms = settings.window
        self.keep_ms = None if settings.grace is None else settings.horizon + 2 * settings.grace
        self._width = len(signature.names)
        index = {name: i for i, name in enumerate(signature.names)}
        self._features = [
            (
                each.name,
                None if each.kind == "score" else index[each.name],
                ReferenceBins.of(each, signature.categories.get(each.name, ())),
            )
            for each in version.profile.features
        ]

    def windows(self, rows: _Rows, oldest_ms: int) -> list[tuple[int, Ints]]:
        """Counts of each window that ends at ``oldest_ms`` or later: predictions, then each feature's bins.

        A row whose features are not as many as the signature's counts in the score alone.
        """
        starts = window_start(rows.event_time, self.size_ms)
        kept = starts + self.size_ms >= oldest_ms
        distinct, where = np.unique(starts[kept], return_inverse=True)
        if not len(distinct):
            return []
        fits = kept & (rows.lengths == self._width)
        matrix = self._matrix(rows, fits)
        parts = [np.bincount(where, minlength=len(distinct))[:, None]]
        for _, index, bins in self._features:
            values, window = (rows.score[kept], where) if index is None else (matrix[index], where[fits[kept]])
            counts = np.bincount(window * bins.size + bins(values), minlength=len(distinct) * bins.size)
            parts.append(counts.reshape(len(distinct), bins.size))
        return list(zip(distinct.tolist(), np.concatenate(parts, axis=1), strict=True))

    def _matrix(self, rows: _Rows, wanted: Bools) -> Floats:
        """Features x rows; of the wanted rows, which all have as many values as the signature."""
        values = rows.values if wanted.all() else rows.values[np.repeat(wanted, rows.lengths)]
        return np.ascontiguousarray(values.reshape(int(wanted.sum()), self._width).T)

    def named(self, counts: Ints) -> list[FeatureCounts]:
        """The counts by feature."""
        stops = np.cumsum([1, *(bins.size for _, _, bins in self._features)])
        parts = np.split(counts, stops)[1:-1]
        return [FeatureCounts(name, part.tolist()) for (name, _, _), part in zip(self._features, parts, strict=True)]
