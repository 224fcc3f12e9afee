"""The logs of two versions that scored the same requests.

A request has one event time and one segment, as where it was asked for: those that the first record of the champion says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Ints
from leadline.records import brief
from leadline.replay.errors import LogError
from leadline.replay.logs import Log, read_logs
from leadline.settings import ModelSettings

_NAMED = 5


class PairedLogs(NamedTuple):
    """What a champion said of requests, what its challenger said of the same ones, and their outcomes."""

    champion: Log
    challenger: Log
    outcomes: Log

    @property
    def starts_ms(self) -> int:
        """When the first of the requests was asked for."""
        return int(_event_times(self.champion).min())

    @property
    def ends_ms(self) -> int:
        """When the last record arrived, whatever it is about."""
        return max(each.latest_ms for each in self)

    def due_ms(self, settings: ModelSettings) -> Iterator[tuple[Log, Ints]]:
        """Each log, and when the windows of its requests are due."""
        ids, times = self.champion.columns["request_id"], _event_times(self.champion)
        for log in self:
            at = pc.index_in(log.columns["request_id"], value_set=ids).to_numpy()
            yield log, times[at] // settings.window * settings.window + settings.window + settings.mature_after

    def requests(self) -> dict[str, int]:
        """The event time of each request, as its first record says it."""
        found: dict[str, int] = {}
        for name, at in zip(
            self.champion.columns["request_id"].to_pylist(), _event_times(self.champion).tolist(), strict=True
        ):
            found.setdefault(name, at)
        return found


def read_pairs(
    predictions: Path, outcomes: Path, settings: ModelSettings, champion: str, challenger: str, positive: str | None
) -> PairedLogs:
    """The records of the requests that both versions scored, in order of arrival. Raises LogError that names the file and what is wrong."""
    logged, known = map(_in_order, read_logs(predictions, outcomes, settings.name, settings.task, positive))
    versions = logged.columns["model_version"]
    there = sorted(pc.unique(versions).to_pylist())
    for each in (champion, challenger):
        if each not in there:
            more = ", ..." if len(there) > _NAMED else ""
            raise LogError(
                f"{predictions}: has no prediction of {each}: its versions are {', '.join(there[:_NAMED])}{more}"
            )
    first, second = (logged.only(_mask(pc.equal(versions, each))) for each in (champion, challenger))
    first, second = _of(first, second), _of(second, first)
    if not len(first):
        raise LogError(
            f"{predictions}: no request was scored by both {champion} and {challenger}: there is nothing to compare"
        )
    _check_protected(predictions, first, settings.rollout.protected)
    return PairedLogs(first, _shadows(second, first), _of(known, first))


def _in_order(log: Log) -> Log:
    """A log in order of arrival, that ends with its last record."""
    ends_ms = int(log.arrival_ms.max())
    return replace(log.until(ends_ms), latest_ms=ends_ms)


def _shadows(log: Log, answers: Log) -> Log:
    """What is said beside the answers, of the requests as the answers have them."""
    at = pc.index_in(log.columns["request_id"], value_set=answers.columns["request_id"])
    asked = {name: answers.columns[name].take(at) for name in ("event_time", "segments")}
    return replace(log.with_columns({**asked, "role": pa.repeat("shadow", len(log))}), topic="shadow-predictions")


def _check_protected(path: Path, log: Log, protected: Sequence[str]) -> None:
    """Nothing is ever proven of a segment that nobody is in."""
    there = sorted(pc.unique(log.columns["segments"].flatten()).to_pylist())
    unknown = [brief(each) for each in protected if each not in ("*", *there)]
    if unknown:
        more = ", ..." if len(there) > _NAMED else ""
        raise LogError(
            f"{path}: rollout.protected names {', '.join(unknown[:_NAMED])}, and no request of both versions is in it: their segments are "
            f"{', '.join(map(brief, there[:_NAMED]))}{more}"
        )


def _of(log: Log, other: Log) -> Log:
    """The records of a log whose requests are in another one too."""
    return log.only(_mask(pc.is_in(log.columns["request_id"], value_set=pc.unique(other.columns["request_id"]))))


def _mask(found: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = found.to_numpy(zero_copy_only=False)
    return mask


def _event_times(log: Log) -> Ints:
    times: Ints = log.columns["event_time"].to_numpy(zero_copy_only=False).astype(np.int64)
    return times
