"""``scripts/bench incidents FOLDER ...``: every incident of real streams, and whether it is the same however the log is read.

A folder has predictions.csv.gz, outcomes.csv.gz, reference.csv.gz, stream.csv.gz and meta.json. The log goes through the stages of a
watched replay in memory, several times: in other runs, partitions and ways of reading. The reference, replayed as if it were live, is a
stream on which nothing is wrong.
"""

import csv
import gzip
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from scipy.stats import poisson

from leadline.core.models import LoadedVersion, Models, Version
from leadline.core.processor import Output
from leadline.records import Alert, iso
from leadline.replay.logs import Log, read_logs
from leadline.replay.reference import Watched
from leadline.replay.run import WATCHED
from leadline.settings import Allowed, ModelSettings
from leadline.settings.values import duration_ms
from leadline.testing.driver import Driver
from leadline.topology import step
from leadline.wire.codec import encode

CONFIRMED = ("performance", "concept-drift", "calibration", "labels-biased")
_TELLING = "alert_id kind state window_start window_end segment segments severity".split()


class Cut(NamedTuple):
    """How a log is read: partitions, records of a run, and after how many records that are published all is worked on (0: at the end)."""

    partitions: int
    run: int
    every: int

    @property
    def text(self) -> str:
        when = f"live, every {self.every:,} records" if self.every else "in one go"
        return f"{when}, runs of {self.run:,}, {self.partitions} partitions"


CUTS = (Cut(2, 500, 2000), Cut(1, 5000, 0), Cut(3, 137, 700), Cut(4, 20_000, 0))


@dataclass(frozen=True, slots=True)
class Stream:
    """A log with what watches it."""

    name: str
    settings: ModelSettings
    watched: Watched
    logs: tuple[Log, Log]

    @property
    def windows(self) -> int:
        """From the first prediction to the last."""
        times = self.logs[0].columns["event_time"].to_numpy()
        return int((times.max() - times.min()) // self.settings.window) + 1


class _Known(Models):
    """The versions that have a reference."""

    def __init__(self, settings: ModelSettings, watched: Watched) -> None:
        self._settings = settings
        self._versions = {
            each.version: Version(settings, each.version, each.signature, each.profile) for each in watched.versions
        }

    def names(self) -> list[str]:
        return [self._settings.name]

    def settings(self, model: str) -> ModelSettings | None:
        return self._settings if model == self._settings.name else None

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> Version | None:  # noqa: ARG002
        return self._versions.get(version)

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return None

    def fetched(self) -> int:
        return 0


def on_disk(folder: Path, window: str | None = None, **limits: Any) -> Stream:
    """The stream of a folder, in windows of its own size or of another."""
    settings, watched = _watched(folder, window, limits)
    logs = read_logs(folder / "predictions.csv.gz", folder / "outcomes.csv.gz", "m", "binary", None, watched)
    return Stream(folder.resolve().name, settings, watched, logs)


def as_live(folder: Path, window: str | None = None, **limits: Any) -> Stream:
    """The reference of a folder as a log: what it was made of, in the order of time, each outcome when the world knew it."""
    settings, watched = _watched(folder, window, limits)
    known = {row["request_id"]: row["outcome_time"] for row in _rows(folder / "stream.csv.gz") if row["outcome_time"]}
    rows = list(_rows(folder / "reference.csv.gz"))
    with tempfile.TemporaryDirectory() as place:
        predictions, outcomes = Path(place) / "predictions.csv", Path(place) / "outcomes.csv"
        _write(predictions, [row | {"arrival_time": row["event_time"]} for row in rows])
        _write(outcomes, [_outcome(row, known[row["request_id"]]) for row in rows if row["request_id"] in known])
        logs = read_logs(predictions, outcomes, "m", "binary", None, watched)
    return Stream(f"reference of {folder.resolve().name}", settings, watched, logs)


def _outcome(row: Mapping[str, str], at: str) -> dict[str, str]:
    return {"request_id": row["request_id"], "outcome": row["label"], "outcome_time": at, "arrival_time": at}


def _watched(folder: Path, window: str | None, limits: Mapping[str, Any]) -> tuple[ModelSettings, Watched]:
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    said = {name: meta[name] for name in ("numeric", "categorical", "policy")}
    said |= {"horizon": duration_ms(meta["horizon"]), "window": duration_ms(window or meta["window"])}
    settings = ModelSettings.model_validate({"name": "m", "grace": "never", "alerts": dict(limits)} | said)
    watched = Watched.read(folder / "reference.csv.gz", folder / "stream.csv.gz", settings, None)
    return watched.settings(settings), watched


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def alerts(stream: Stream, cut: Cut) -> list[Alert]:
    """What is told of a stream that is read so."""
    driver = Driver(_Known(stream.settings, stream.watched), [step(name) for name in WATCHED], cut.partitions)
    latest = max(log.latest_ms for log in stream.logs)
    for number, (at, topic, key, value) in enumerate(_merged([log.until(latest) for log in stream.logs]), 1):
        driver.publish(topic, key, value, at)
        if cut.every and not number % cut.every:
            driver.settle(cut.run)
    driver.settle(cut.run)
    for log in stream.logs:
        driver.tick(log.topic, latest)
    driver.settle(cut.run)
    return [record for record in driver.read("alerts") if isinstance(record, Alert)]


def _merged(logs: Sequence[Log]) -> Iterator[tuple[int, str, bytes, bytes | None]]:
    """The records of both logs by their arrival."""
    rows = [
        (at, log.topic, key, value)
        for log in logs
        for at, key, value in zip(
            log.arrival_ms.tolist(), log.keys, encode(Output(log.topic, log.keys, columns=log.columns)), strict=True
        )
    ]
    order = np.argsort([row[0] for row in rows], kind="stable")
    return (rows[i] for i in order.tolist())


def confirmed(found: Sequence[Alert]) -> list[tuple[Any, ...]]:
    """What has to be the same of what rests on labels."""
    return [tuple(getattr(each, name) for name in _TELLING) for each in found if each.kind in CONFIRMED]


# -- tables -----------------------------------------------------------------------------------------------------------


def tables(folders: Sequence[Path], window: str | None, ways: int) -> Iterator[Table]:
    """Of each stream: its incidents, whether they are always the same, and those of its reference."""
    for folder in folders:
        stream = on_disk(folder, window)
        found = {cut: alerts(stream, cut) for cut in CUTS[:ways]}
        yield _incidents(stream, found[CUTS[0]])
        yield _the_same(stream, found)
        reference = as_live(folder, window)
        yield _budget(reference, alerts(reference, CUTS[0]))


def _incidents(stream: Stream, found: Sequence[Alert]) -> Table:
    """A line an incident: when it opened and what became of it."""
    hours = stream.settings.window // 3_600_000
    table = Table(
        "kind", "opened by", "then", "segments", "features", "cause", title=f"{stream.name}, windows of {hours} h"
    )
    for alert_id in dict.fromkeys(each.alert_id for each in found):
        first, *later = sorted((each for each in found if each.alert_id == alert_id), key=lambda each: each.revision)
        then = ", ".join(f"{each.state} {iso(each.window_start)[:10]}" for each in later) or "stays open"
        named = "|".join(first.segments) or first.segment
        table.add_row(first.kind, iso(first.window_start)[:10], then, named, "|".join(first.features), first.cause)
    return table


def _the_same(stream: Stream, found: Mapping[Cut, Sequence[Alert]]) -> Table:
    table = Table("how the log is read", "records of confirmed incidents", "the same", title=stream.name)
    one = confirmed(found[CUTS[0]])
    for cut, each in found.items():
        own = confirmed(each)
        table.add_row(
            cut.text,
            str(len(own)),
            "yes" if own == one else "NO: " + _apart(own, one),
        )
    return table


def _apart(some: Sequence[object], others: Sequence[object]) -> str:
    return "; ".join(str(each) for each in [*some, *others] if (each in some) != (each in others)) or "in another order"


def _budget(stream: Stream, found: Sequence[Alert]) -> Table:
    """The reference as live: each incident is false."""
    limits = stream.settings.alerts
    allowed = Allowed.of(limits.false_alarms)
    expected = stream.windows * stream.settings.window / allowed.period_ms * allowed.number
    table = Table("windows", "incidents", "expected at most", "99.9 % bound", title=f"{stream.name}, as live")
    opened = [each for each in found if each.state == "opened"]
    named = ", ".join(f"{each.kind} {iso(each.window_start)[:10]} ({each.cause})" for each in opened)
    bound = int(poisson.ppf(0.999, expected))
    table.add_row(str(stream.windows), f"{len(opened)} {named}", f"{expected:.1f}", str(bound))
    return table
