"""How often drift is said of windows in which there is none, and where there is some: ``scripts/bench drift-null [FOLDER ...]``.

Without folders on synthetic streams whose windows depend on each other; with folders on streams in the files stream.csv.gz,
predictions.csv.gz, reference.csv.gz and meta.json. *Held out*: each window of the reference against the rest of it. *After*: the windows of
the stream after it.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv
from rich.table import Table

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Signature
from leadline.core.reference import FeatureWindow, ReferenceProfile
from leadline.core.watch.two_nulls import Verdict, VersionNulls
from leadline.core.windows.reference_bins import ReferenceBins, build_profile
from leadline.records import iso
from leadline.settings import DriftLimits
from leadline.settings.values import duration_ms

SEED = 23


@dataclass(frozen=True, slots=True)
class Rows:
    """Requests with their event times, features (as in `build_profile`) and scores."""

    signature: Signature
    times: Ints
    matrix: Floats
    scores: Floats

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        return Rows(self.signature, self.times[chosen], self.matrix[chosen], self.scores[chosen])


class Tally(NamedTuple):
    """Windows, those in which both nulls, or the first alone, find drift, and the findings of the windows of both."""

    windows: int
    both: int
    first: int
    found: dict[int, list[str]]


def counts(rows: Rows, profile: ReferenceProfile) -> dict[str, Ints]:
    """The rows in the reference bins of each feature."""
    columns = [*rows.matrix.T, rows.scores]
    found = {}
    for feature, values in zip(profile.features, columns, strict=True):
        bins = ReferenceBins.of(feature, rows.signature.categories.get(feature.name, ()))
        found[feature.name] = np.bincount(bins(values), minlength=bins.size)
    return found


def windows(rows: Rows, window_ms: int) -> Iterator[tuple[int, Rows]]:
    """The rows of each window, in the order of time."""
    starts = rows.times // window_ms * window_ms
    for start in np.unique(starts).tolist():
        yield start, rows.where(starts == start)


def with_windows(rows: Rows, window_ms: int) -> ReferenceProfile:
    """The profile of a reference, with its own windows."""
    profile = build_profile(rows.signature, rows.matrix, rows.scores)
    own = [
        FeatureWindow(start, len(each.times), [found.tolist() for found in counts(each, profile).values()])
        for start, each in windows(rows, window_ms)
    ]
    return replace(profile, window=window_ms, windows=own)


def judged(reference: ReferenceProfile, live: Rows, limits: DriftLimits) -> tuple[list[Verdict], bool]:
    """The verdicts on one window, and whether the first null alone would have found drift."""
    found = counts(live, reference)
    alone = VersionNulls.of(replace(reference, windows=[]), limits.method).judge(found, limits)
    return VersionNulls.of(reference, limits.method).judge(found, limits), any(each.drifted for each in alone)


def held_out(rows: Rows, window_ms: int, limits: DriftLimits) -> Tally:
    """Each window of the reference, against a reference without it."""
    starts = rows.times // window_ms * window_ms
    return tally(
        (
            (start, judged(with_windows(rows.where(starts != start), window_ms), each, limits))
            for start, each in windows(rows, window_ms)
        )
    )


def after(reference: Rows, live: Rows, window_ms: int, limits: DriftLimits) -> Tally:
    """Each window of a stream that goes on."""
    profile = with_windows(reference, window_ms)
    return tally((start, judged(profile, each, limits)) for start, each in windows(live, window_ms))


def tally(verdicts: Iterable[tuple[int, tuple[list[Verdict], bool]]]) -> Tally:
    total = first = 0
    found: dict[int, list[str]] = {}
    for start, (answers, alone) in verdicts:
        total, first = total + 1, first + alone
        drifted = [
            f"{q.feature.name} {q.finding}" for q, each in ((a.nulls.question, a) for a in answers) if each.drifted
        ]
        if drifted:
            found[start] = drifted
    return Tally(total, len(found), first, found)


# -- synthetic --------------------------------------------------------------------------------------------------------


def synthetic(
    correlation: float, count: int, rows: int, features: int, rng: np.random.Generator, shift: float = 0.3
) -> Rows:
    """So many windows of so many rows; the mean of each feature moves from window to window with the correlation."""
    level = np.empty((count, features))
    level[0] = rng.normal(size=features)
    for t in range(1, count):
        level[t] = correlation * level[t - 1] + np.sqrt(1 - correlation**2) * rng.normal(size=features)
    matrix = rng.normal(size=(count * rows, features)) + shift * np.repeat(level, rows, axis=0)
    signature = Signature("s", [f"x{i}" for i in range(features)], [], {})
    return Rows(signature, np.repeat(np.arange(count), rows), matrix, rng.random(count * rows))


def synthetic_table(limits: DriftLimits, runs: int, features: int = 20) -> Table:
    """Shares of windows with any drift: held out, and the ten windows after the reference."""
    table = Table("correlation", "own windows", "rows", "held out", "first null alone", "after", "first null alone")
    rng = np.random.default_rng(SEED)
    for correlation in (0.0, 0.5, 0.8):
        for count in (15, 31, 60):
            for rows in (100, 500):
                streams = [synthetic(correlation, count + 10, rows, features, rng) for _ in range(runs)]
                inside = [held_out(each.where(each.times < count), 1, limits) for each in streams[: max(1, runs // 4)]]
                later = [
                    after(each.where(each.times < count), each.where(each.times >= count), 1, limits)
                    for each in streams
                ]
                table.add_row(str(correlation), str(count), str(rows), *shares(inside), *shares(later))
    return table


def shares(tallies: list[Tally]) -> tuple[str, str]:
    total = sum(each.windows for each in tallies)
    both, first = sum(each.both for each in tallies), sum(each.first for each in tallies)
    return f"{both} of {total} ({both / total:.1%})", f"{first / total:.1%}"


# -- real -------------------------------------------------------------------------------------------------------------


def read_stream(folder: Path) -> tuple[Rows, Rows, int]:
    """The reference, the predictions of the same version after it, and the window."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    stream, reference = _table(folder / "stream.csv.gz"), _table(folder / "reference.csv.gz")
    version = reference["model_version"][0]
    predictions = _table(folder / "predictions.csv.gz").select(["request_id", "model_version", "score"])
    live = predictions.filter(pc.equal(predictions["model_version"], version))
    place = {name: i for i, name in enumerate(stream["request_id"].to_pylist())}
    at = np.array([place[name] for name in reference["request_id"].to_pylist()])
    signature, matrix = _matrix(stream, meta["numeric"], meta["categorical"], at)
    times = stream["event_time"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    scored = dict(zip(live["request_id"].to_pylist(), live["score"].to_pylist(), strict=True))
    later = np.array([place[name] for name in scored])
    return (
        Rows(signature, times[at], matrix[at], reference["score"].to_numpy().astype(float)),
        Rows(signature, times[later], matrix[later], np.array(list(scored.values()), float)),
        duration_ms(meta["window"]),
    )


def _table(path: Path) -> pa.Table:
    text = csv.ConvertOptions(
        column_types={"request_id": pa.string(), "model_version": pa.string()}, strings_can_be_null=True
    )
    with gzip.open(path) as file:
        return csv.read_csv(file, convert_options=text)


def _matrix(stream: pa.Table, numeric: list[str], categorical: list[str], at: Ints) -> tuple[Signature, Floats]:
    """Categories are those of the reference; others have none."""
    columns = [stream[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in numeric]
    categories = {}
    for name in categorical:
        values = stream[name].cast(pa.string()).to_pylist()
        known = sorted({values[i] for i in at.tolist()} - {None})
        index = {each: i for i, each in enumerate(known)}
        columns.append(np.array([np.nan if each is None else index.get(each, -1) for each in values], float))
        categories[name] = known
    return Signature("s", numeric, categorical, categories), np.column_stack(columns)


def stream_table(folder: Path, limits: DriftLimits) -> Table:
    """Held out, the windows after, and each finding of them with its first and last window."""
    reference, live, window_ms = read_stream(folder)
    inside, later = held_out(reference, window_ms, limits), after(reference, live, window_ms, limits)
    table = Table("", "both nulls", "first null alone", title=f"{folder.resolve().name}, {limits.method}")
    table.add_row("held out", *shares([inside]))
    table.add_row("after", *shares([later]))
    for where, each in (("held out", inside), ("after", later)):
        names = sorted({name for found in each.found.values() for name in found})
        for name in names:
            when = [start for start, found in each.found.items() if name in found]
            table.add_row(f"  {where}: {name}", str(len(when)), f"{iso(min(when))} to {iso(max(when))}")
    return table


def tables(folders: list[Path], method: str, runs: int) -> list[Table]:
    """One table for each folder, or that of synthetic streams."""
    limits = DriftLimits.model_validate({"method": method})
    return [stream_table(each, limits) for each in folders] or [synthetic_table(limits, runs)]
