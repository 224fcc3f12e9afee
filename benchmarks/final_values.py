"""How often the intervals of final values hold: part of ``scripts/bench coverage``.

Windows of one stream go through the performance stage at their end, when a share of the labels is there, or at several ages, and at
maturity. A cell has the share of the published intervals, at that age, that hold what is realised at maturity, and the share of windows
without an interval.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv
from rich.table import Table

from benchmarks.coverage import Held, counts_of
from leadline.core.columnar.columns import Bools, Floats, Ints, logistic
from leadline.core.models import LoadedVersion, Models, Signature, Version
from leadline.core.performance.performance import Performance
from leadline.core.processor import Batch
from leadline.core.reference import ReferenceProfile
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import window_start
from leadline.core.windows.reference_windows import calibration_of
from leadline.records import Metric, WindowMetrics, WindowPartial
from leadline.settings import ModelSettings
from leadline.settings.values import duration_ms
from leadline.state.memory import MemoryStore

Columns = dict[str, NDArray[Any]]
METRICS = ("accuracy", "f1", "auc")
SHARES = (0.25, 0.5, 0.75, 0.9)
_ROWS, _REFERENCE, _SEED = 400, 5000, 43


@dataclass(frozen=True, slots=True)
class _Stream:
    """Windows, a row each: scores, outcomes, which are labelled at the end, and which ever are."""

    scores: Floats
    outcomes: Floats
    early: Bools
    ever: Bools


class _One(Models):
    """One version, known by its calibration."""

    def __init__(self, profile: ReferenceProfile, settings: ModelSettings) -> None:
        self._version = Version(settings, "v1", Signature("s", [], [], {}), profile)

    def names(self) -> list[str]:
        return [self._version.settings.name]

    def settings(self, model: str) -> ModelSettings | None:  # noqa: ARG002
        return self._version.settings

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> Version | None:  # noqa: ARG002
        return self._version

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return None

    def fetched(self) -> int:
        return 0


def tables(windows: int, folders: Sequence[Path]) -> Iterator[Table]:
    """One of synthetic streams, and one of the streams in the folders, where there are any."""
    table = table_of("Final values from the end of the window, synthetic", "labels at the end")
    for by_outcome in (False, True):
        for share in SHARES:
            stream = _synthetic(windows, share, by_outcome)
            _add(table, f"{share:.0%} {'by outcome' if by_outcome else 'at random'}", stream, calibrated())
    yield table
    if folders:
        table = table_of("Final values from the end of the window, real streams", "stream")
        for folder in folders:
            _add_real(table, folder)
        yield table


def table_of(title: str, first: str) -> Table:
    return Table(first, "windows", "number", *METRICS, title=f"{title}, % that hold")


def _synthetic(windows: int, share: float, by_outcome: bool) -> _Stream:
    """Windows that differ by more than chance; by outcome, positives come a third as often as negatives."""
    chance = np.random.default_rng([_SEED, int(100 * share), by_outcome])
    shift = chance.normal(0, 0.15, (windows, 1))
    logits = chance.normal(-0.5, 2, (windows, _ROWS)) + shift
    outcomes = (chance.uniform(size=logits.shape) < logistic(logits + shift)).astype(np.float64)
    known = np.full(logits.shape, share)
    if by_outcome:
        known = np.where(outcomes == 1, share / 2, min(1.0, share * 1.3))
    ever = chance.uniform(size=logits.shape) < 0.95
    return _Stream(logistic(logits), outcomes, ever & (chance.uniform(size=logits.shape) < known), ever)


def calibrated() -> ReferenceProfile:
    chance = np.random.default_rng(_SEED)
    scores = logistic(chance.normal(-0.5, 2, _REFERENCE))
    positive = chance.uniform(size=_REFERENCE) < scores
    return ReferenceProfile(_REFERENCE, [], {}, calibration=calibration_of(scores, (positive)[None]))


def _add(table: Table, name: str, stream: _Stream, profile: ReferenceProfile) -> None:
    early = counts_of(stream.scores, stream.outcomes, stream.early, "binary")
    ever = counts_of(stream.scores, stream.outcomes, stream.ever, "binary")
    settings = ModelSettings(name="m", horizon=1000, window=100)
    windows = [(i * 100, {0: first}, last) for i, (first, last) in enumerate(zip(early, ever, strict=True))]
    add_rows(table, name, [(first, last) for first, last in through_the_stage(windows, settings, profile)])


def add_rows(table: Table, name: str, told: Sequence[tuple[WindowMetrics, WindowMetrics]]) -> None:
    """A row for each of the three numbers: of pairs of what was told at an age, and at maturity."""
    for kind in ("", "estimated_", "nowcast_"):
        held = [
            _held([(_metric(early, kind + name_), getattr(late, name_)) for early, late in told]) for name_ in METRICS
        ]
        table.add_row(name, f"{len(told):,}", kind.strip("_") or "realised", *[each.text for each in held])


def _held(pairs: Sequence[tuple[Metric | None, Metric | None]]) -> Held:
    held = Held()
    for metric, final in pairs:
        if final is not None:
            held = held.plus(metric, final.value)
    return held


def _metric(record: WindowMetrics, name: str) -> Metric | None:
    """A number with the interval of its final value."""
    value = getattr(record, name)
    found = [each for each in record.finals if each.metric == name]
    return None if value is None else Metric(value.value, found[0].low, found[0].high) if found else Metric(value.value)


def through_the_stage(
    windows: Sequence[tuple[int, Mapping[int, WindowCounts], WindowCounts]],
    settings: ModelSettings,
    profile: ReferenceProfile,
    segment: str = "*",
) -> list[list[WindowMetrics]]:
    """What is told of each window (its start; its counts so long after its end; those at maturity), as the log has it: by time."""
    stage = Performance(MemoryStore(), _One(profile, settings))
    told: dict[int, list[WindowMetrics]] = {}
    ends, last = settings.window, settings.horizon + 1
    events = [(start + ends + age, start, age, counts) for start, ages, _ in windows for age, counts in ages.items()]
    events += [(start + ends + last, start, last, counts) for start, _, counts in windows]
    for at, start, age, counts in sorted(events, key=lambda event: event[:3]):
        partial = _partial(settings, start, at, age == last, counts, segment)
        [output] = stage.on_batch(_batch(partial)).outputs
        told.setdefault(start, []).extend(each for each in output.records if isinstance(each, WindowMetrics))
    return list(told.values())


def _partial(
    settings: ModelSettings, start: int, at: int, mature: bool, counts: WindowCounts, segment: str
) -> WindowPartial:
    state = "mature" if mature else "provisional"
    known = {
        "window_start": start,
        "window_end": start + settings.window,
        "as_of": at,
        "revision": 1 + at - start,
        "state": state,
    }
    return WindowPartial("m", "v1", segment, source_partition=0, task="binary", **known, **counts.fields())  # type: ignore[arg-type]


def _batch(record: WindowPartial) -> Batch:
    at = np.zeros(1, np.int64)
    return Batch("window-partials", 0, at, at, [b""], 0, 0, records=[record])


def _add_real(table: Table, folder: Path) -> None:
    """All windows of the first version of a stream, of an hour, six and a day; of a day those of each segment too."""
    meta = json.loads((folder / "meta.json").read_text())
    reference = _read(folder / "reference.csv.gz")
    scores, positive = reference["score"], reference["label"] == 1
    profile = ReferenceProfile(len(scores), [], {}, calibration=calibration_of(scores, (positive)[None]))
    horizon = duration_ms(meta["horizon"])
    rows = _joined(_read(folder / "predictions.csv.gz"), _read(folder / "outcomes.csv.gz"), horizon)
    for window in (duration_ms("1h"), duration_ms("6h"), duration_ms("1d")):
        settings = ModelSettings(name="m", horizon=horizon, window=window)
        told = through_the_stage(list(_windows(rows, window)), settings, profile)
        add_rows(table, f"{folder.name}, {window // 3_600_000} h", [(early, late) for early, late in told])
    for segment in np.unique(rows.segments).tolist():
        own = list(_windows(rows.where(rows.segments == segment), window))
        told = through_the_stage(own, settings, profile, segment)
        add_rows(table, f"{folder.name}, {window // 3_600_000} h, {segment}", [(early, late) for early, late in told])


@dataclass(frozen=True, slots=True)
class _Logged:
    """Predictions of one version with their outcome: NaN where none came in its horizon; when it was in the log."""

    times: Ints
    scores: Floats
    labels: Ints
    outcomes: Floats
    arrival: Ints
    segments: NDArray[Any]

    def where(self, chosen: Bools) -> "_Logged":
        return _Logged(*(getattr(self, each.name)[chosen] for each in fields(self)))


def _joined(predictions: Columns, outcomes: Columns, horizon: int) -> _Logged:
    """The first record of each prediction, with its earliest outcome in the horizon."""
    versions, counts = np.unique(predictions["model_version"], return_counts=True)
    own = np.flatnonzero(predictions["model_version"] == versions[counts.argmax()])
    ids, first = np.unique(predictions["request_id"][own], return_index=True)
    first = own[first]
    order = np.argsort(outcomes["outcome_time"], kind="stable")
    at = np.searchsorted(ids, outcomes["request_id"][order])
    there = np.flatnonzero((at < len(ids)) & (ids[np.minimum(at, len(ids) - 1)] == outcomes["request_id"][order]))
    order, at = order[there], at[there]
    timely = outcomes["outcome_time"][order] <= predictions["event_time"][first][at] + horizon
    used, earliest = np.unique(at[timely], return_index=True)
    rows = order[timely][earliest]
    truth, arrival = np.full(len(ids), np.nan), np.zeros(len(ids), np.int64)
    truth[used], arrival[used] = outcomes["outcome"][rows], outcomes["arrival_time"][rows]
    times, scores, labels = (predictions[name][first] for name in ("event_time", "score", "label_pred"))
    return _Logged(times, scores, labels, truth, arrival, predictions["segment"][first])


def _read(path: Path) -> Columns:
    """The columns of a file; times in milliseconds."""
    table = csv.read_csv(pa.BufferReader(gzip.decompress(path.read_bytes())))
    columns: Columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_timestamp(column.type):
            column = pc.cast(column, pa.timestamp("ms", column.type.tz)).cast(pa.int64())
        columns[name] = column.to_numpy(zero_copy_only=False)
    return columns


def _windows(rows: _Logged, size: int) -> Iterator[tuple[int, Mapping[int, WindowCounts], WindowCounts]]:
    starts = window_start(rows.times, size)
    for start in np.unique(starts).tolist():
        some = np.flatnonzero(starts == start)
        ever = ~np.isnan(rows.outcomes[some])
        early = ever & (rows.arrival[some] <= start + size)
        own, truth = rows.scores[None, some], np.nan_to_num(rows.outcomes[None, some])
        threshold = _threshold(rows, some)
        counted = [counts_of(own, truth, known[None], "binary", threshold)[0] for known in (early, ever)]
        yield start, {0: counted[0]}, counted[1]


def _threshold(rows: _Logged, some: Ints) -> float:
    """Between what was said no and yes to."""
    yes = rows.scores[some][rows.labels[some] == 1]
    return float(yes.min()) if len(yes) else 2.0
