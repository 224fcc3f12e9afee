"""The estimate of performance without outcomes, beside NannyML's CBPE on the same chunks.

Two comparisons: without calibration, where both are given the middle of each score bin as the probability, so that they have to be the same
sums; and as each calibrates. Run by scripts/oracles.
"""

import csv
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from leadline.core.columnar.columns import Bools, Floats
from leadline.core.performance.estimation import estimated
from leadline.core.performance.expectation import Expectation
from leadline.core.windows.aggregates.by_score import SCORE_BINS, score_bin
from leadline.core.windows.aggregates.predictions_by_score import PredictionsByScore
from leadline.core.windows.aggregates.tallies import Tallies
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.reference_windows import calibration_of

METRICS = ("accuracy", "f1", "auc")
CLOSE, EQUAL = 0.002, 1e-7
"""How far a calibrated estimate may be from NannyML's, which calibrates on a part of the reference, and one without calibration.

Shares are equal to 1e-15; NannyML's area under the curve has an error of 1e-8 of its own."""
_MIDDLES = expit(-16 + (np.arange(SCORE_BINS) - 0.5) * 32 / (SCORE_BINS - 2))


class Rows(NamedTuple):
    """Scores, what the model said, and the truth."""

    score: Floats
    said: Bools
    truth: Bools

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(*(column[start:stop] for column in self))


class Stream(NamedTuple):
    """A stream: its reference, and the rows whose performance is estimated, in chunks of ``size``."""

    name: str
    reference: Rows
    rows: Rows
    size: int

    @property
    def chunks(self) -> list[Rows]:
        whole = len(self.rows.score) // self.size
        return [self.rows.part(i * self.size, (i + 1) * self.size) for i in range(whole)]


def made_up() -> Iterator[Stream]:
    """Streams whose probabilities are right, are too sure of themselves, and whose inputs drift."""
    rng = np.random.default_rng(7)

    def rows(count: int, shift: float, sharper: float) -> Rows:
        logit = rng.normal(shift, 1.5, count)
        truth = rng.random(count) < expit(logit)
        score = expit(sharper * logit)
        return Rows(score, score >= 0.5, truth)

    for name, shift, sharper in (
        ("calibrated", 0.0, 1.0),
        ("too sure", 0.0, 2.5),
        ("drifting", 0.8, 1.0),
        ("rare", -3.0, 1.5),
    ):
        yield Stream(name, rows(20_000, min(shift, 0.0), sharper), rows(20_000, shift, sharper), 2_000)


def on_disk(folder: Path, size: int = 2_000) -> Stream:
    """A stream of the folder's files: the predictions of the reference's version, once each, that have an outcome."""
    table = _columns(folder / "reference.csv.gz")
    reference = Rows(*(np.array(table[name], float) for name in ("score", "label_pred", "label")))
    truth = {row["request_id"]: row["label"] for row in _read(folder / "stream.csv.gz") if row["label"]}
    seen, found = set[str](), []
    for row in _read(folder / "predictions.csv.gz"):
        known = row["request_id"] in truth and row["model_version"] == table["model_version"][0]
        if known and row["request_id"] not in seen:
            seen.add(row["request_id"])
            found.append((float(row["score"]), row["label_pred"] == "1", truth[row["request_id"]] == "1"))
    score, said, true = (np.array(column) for column in zip(*found, strict=True))
    return Stream(
        folder.name, Rows(reference.score, reference.said == 1, reference.truth == 1), Rows(score, said, true), size
    )


def _read(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _columns(path: Path) -> dict[str, list[str]]:
    rows = list(_read(path))
    return {name: [row[name] for row in rows] for name in rows[0]}


def ours(stream: Stream, calibrated: bool) -> dict[str, list[float]]:
    """The estimates of Leadline."""
    own = Expectation.of(calibration_of(stream.reference.score, (stream.reference.truth)[None]), SCORE_BINS)
    expectation = own if calibrated and own is not None else Expectation(_MIDDLES[None])
    found = [estimated(_counts(chunk), expectation) for chunk in stream.chunks]
    return {name: [each[name].value for each in found] for name in METRICS}


def _counts(chunk: Rows) -> WindowCounts:
    count = len(chunk.score)
    sign, window = np.ones(count, np.int64), np.zeros(count, np.int64)
    [scores] = PredictionsByScore.count(1, window, chunk.score, chunk.said.astype(np.int64), sign)
    return WindowCounts(tallies=Tallies([count, 0, 0]), scores=scores)


def theirs(stream: Stream, calibrated: bool) -> dict[str, list[float]]:
    """The estimates of NannyML on the same chunks; without calibration, of the middle of each score's bin."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, rows in (("reference", stream.reference), ("analysis", stream.rows)):
            score = rows.score if calibrated else _MIDDLES[score_bin(rows.score)]
            files.append(Path(folder) / f"{name}.csv")
            table = np.column_stack([score, rows.said, rows.truth])
            np.savetxt(files[-1], table, ["%.17g", "%d", "%d"], ",", header="score,said,truth", comments="")
        command = [".venv-oracles/bin/python", "oracles/nannyml_cbpe.py", *map(str, files), str(stream.size)]
        said = subprocess.run([*command, "yes" if calibrated else "no"], capture_output=True, text=True, check=True)
    found: dict[str, list[float]] = json.loads(said.stdout.splitlines()[-1])
    return found


def difference(stream: Stream, calibrated: bool) -> dict[str, float]:
    """The greatest distance of the two over the whole chunks, for each metric."""
    one, other = ours(stream, calibrated), theirs(stream, calibrated)
    count = len(stream.chunks)
    return {name: float(np.abs(np.subtract(one[name], other[name][:count])).max()) for name in METRICS}


def main(folders: list[str]) -> int:
    table = Table("stream", "chunks", *(f"{name}, {how}" for how in ("same sums", "calibrated") for name in METRICS))
    wrong = 0
    for stream in [*made_up(), *(on_disk(Path(folder)) for folder in folders)]:
        found = [difference(stream, calibrated) for calibrated in (False, True)]
        wrong += sum(value > EQUAL for value in found[0].values()) + sum(value > CLOSE for value in found[1].values())
        cells = [f"{each[name]:.1e}" for each in found for name in METRICS]
        table.add_row(stream.name, str(len(stream.chunks)), *cells)
    Console(width=140).print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
