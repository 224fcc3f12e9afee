"""Live windows counted in the bins of the reference: feature values and scores of each version, as they were when it predicted.

A window is told when stage time has passed its end, and again whenever a later record changes it, until the join would no longer take
that record in either. Versions without a reference profile are not counted.
"""

import json
import struct
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from leadline.core.batch import Batch, Effects, Output, Store
from leadline.core.catalog import Catalog, Version
from leadline.core.columns import Bools, Floats, Ints, floats, ints
from leadline.core.profile import FeatureBins
from leadline.core.progress import NEVER
from leadline.core.windows import window_start
from leadline.records import FeatureCounts, WindowProfile, identity

_META = struct.Struct("<qq")
_DUE = struct.Struct(">Q")
_BIAS = 2**63
_SOURCE = "predictions"


class _Window(NamedTuple):
    """One window of one version."""

    model: str
    version: str
    start: int

    @property
    def key(self) -> bytes:
        return b"w" + json.dumps(self).encode()


class _Counted(NamedTuple):
    """What a window holds: the number of predictions, then the bins of each feature of the profile."""

    closed: bool
    counts: Ints

    def pack(self) -> bytes:
        return bytes([self.closed]) + self.counts.astype("<i8").tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "_Counted":
        return cls(value[0] == 1, np.frombuffer(value, "<i8", offset=1).astype(np.int64))


class Profiling:
    """Counts of one partition."""

    def __init__(self, partition: int, store: Store, catalog: Catalog) -> None:
        self._partition = partition
        self._store = store
        self._catalog = catalog
        self._counters: dict[tuple[str, str], _Counter] = {}
        held = store.get(b"m")
        self._revision, self._stage_ms = _META.unpack(held) if held else (0, NEVER)

    # -- the contract -------------------------------------------------------------------------------------------------

    @property
    def wake_at_ms(self) -> int | None:
        """When the next window ends, or is forgotten."""
        for key, _ in self._store.scan(b"d", b"d" + b"\xff" * 9):
            return _due_at(key)
        return None

    def on_batch(self, batch: Batch) -> Effects:
        """Count a run of predictions."""
        touched = self._count(batch.columns) if batch.columns is not None and len(batch) else []
        return self._end(batch.arrival_max_ms, touched)

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        """Close the windows that have ended, where no prediction is left to read."""
        due = self.wake_at_ms
        return self._end(now_ms, []) if _SOURCE in idle and due is not None and due <= now_ms else Effects()

    def _end(self, now_ms: int, touched: list[_Window]) -> Effects:
        self._revision += 1
        self._stage_ms = max(self._stage_ms, now_ms)
        self._store.put(b"m", _META.pack(self._revision, self._stage_ms))
        due = self._due()
        closed = [window for window in due if self._close(window)]
        told = sorted({*touched, *closed})
        profiles = [profile for profile in map(self._profile, told) if profile is not None]
        keys = [_key(profile) for profile in profiles]
        routes = [profile.model.encode() for profile in profiles]
        for window in set(due) - set(closed):
            self._store.delete(window.key)
        return Effects([Output("window-profiles", keys, records=profiles, routes=routes)] if profiles else [])

    # -- counting -----------------------------------------------------------------------------------------------------

    def _count(self, columns: pa.RecordBatch) -> list[_Window]:
        """Add a run to its windows; those that were closed before."""
        changed = []
        for (model, version), rows in _versions(columns):
            counter = self._counter(model, version)
            if counter is not None:
                for start, counts in counter.windows(rows, self._oldest(counter)):
                    window = _Window(model, version, start)
                    changed += [window] if self._add(window, counts, counter) else []
        return changed

    def _counter(self, model: str, version: str) -> "_Counter | None":
        if (model, version) not in self._counters:
            known = self._catalog.version(model, version)
            if known is None or known.profile is None:
                return None
            self._counters[model, version] = _Counter(known)
        return self._counters[model, version]

    def _oldest(self, counter: "_Counter") -> int:
        """Windows that end before are forgotten."""
        return NEVER if counter.keep_ms is None else max(NEVER, self._stage_ms - counter.keep_ms)

    def _add(self, window: _Window, counts: Ints, counter: "_Counter") -> bool:
        value = self._store.get(window.key)
        held = _Counted.unpack(value) if value else _Counted(False, np.zeros_like(counts))
        self._store.put(window.key, _Counted(held.closed, held.counts + counts).pack())
        if not value:
            self._watch(window, window.start + counter.size_ms)
        return held.closed

    # -- time ---------------------------------------------------------------------------------------------------------

    def _watch(self, window: _Window, when_ms: int) -> None:
        self._store.put(b"d" + _DUE.pack(when_ms + _BIAS) + window.key, b"")

    def _due(self) -> list[_Window]:
        """Windows to be closed now, or, where they are, to be forgotten."""
        keys = [key for key, _ in self._store.scan(b"d", b"d" + _DUE.pack(max(0, self._stage_ms + _BIAS + 1)))]
        for key in keys:
            self._store.delete(key)
        return [_Window(*json.loads(key[1 + _DUE.size + 1 :])) for key in keys]

    def _close(self, window: _Window) -> bool:
        """Whether the window was open until now; from here on it is kept as long as the join takes its records."""
        value, counter = self._store.get(window.key), self._counter(window.model, window.version)
        held = _Counted.unpack(value) if value else None
        if held is None or counter is None or held.closed:
            return False
        self._store.put(window.key, held._replace(closed=True).pack())
        if counter.keep_ms is not None:
            self._watch(window, max(window.start + counter.size_ms + counter.keep_ms, self._stage_ms) + 1)
        return True

    def _profile(self, window: _Window) -> WindowProfile | None:
        value, counter = self._store.get(window.key), self._counter(window.model, window.version)
        if value is None or counter is None:
            return None
        held = _Counted.unpack(value)
        return WindowProfile(
            *window, window.start + counter.size_ms, self._partition, self._revision, self._stage_ms, held.closed,
            int(held.counts[0]), counter.named(held.counts),
        )  # fmt: skip


class _Rows(NamedTuple):
    """Predictions of one version as columns; ``values`` are the features of all rows, ``lengths`` how many each has."""

    event_time: Ints
    score: Floats
    lengths: Ints
    values: Floats


class _Counter:
    """Bins of one version."""

    def __init__(self, version: Version) -> None:
        assert version.profile is not None
        settings, signature = version.settings, version.signature
        self.size_ms = settings.window
        self.keep_ms = None if settings.grace is None else settings.horizon + 2 * settings.grace
        self._width = len(signature.names)
        places = {name: place for place, name in enumerate(signature.names)}
        self._features = [
            (
                each.name,
                None if each.kind == "score" else places[each.name],
                FeatureBins.of(each, signature.categories.get(each.name, ())),
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
        for _, place, bins in self._features:
            values, at = (rows.score[kept], where) if place is None else (matrix[place], where[fits[kept]])
            spots = np.bincount(at * bins.size + bins(values), minlength=len(distinct) * bins.size)
            parts.append(spots.reshape(len(distinct), bins.size))
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


def _versions(columns: pa.RecordBatch) -> list[tuple[tuple[str, str], _Rows]]:
    """The rows of each version in a run."""
    models, versions = columns["model"].dictionary_encode(), columns["model_version"].dictionary_encode()
    codes = ints(models.indices) * len(versions.dictionary) + ints(versions.indices)
    features = columns["features"]
    table = _Rows(
        ints(columns["event_time"]),
        floats(columns["score"]),
        ints(features.value_lengths()),
        floats(features.flatten()),
    )
    found = []
    for code in np.unique(codes).tolist():
        model, version = divmod(code, len(versions.dictionary))
        names = models.dictionary[model].as_py(), versions.dictionary[version].as_py()
        found.append((names, _take(table, codes == code)))
    return found


def _take(table: _Rows, own: Bools) -> _Rows:
    if own.all():
        return table
    values = table.values[np.repeat(own, table.lengths)]
    return _Rows(table.event_time[own], table.score[own], table.lengths[own], values)


def _due_at(key: bytes) -> int:
    return int(_DUE.unpack_from(key, 1)[0]) - _BIAS


def _key(profile: WindowProfile) -> bytes:
    return identity(profile.model, profile.model_version, profile.window_start, profile.source_partition)
